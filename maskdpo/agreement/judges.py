"""From what a user names to a judge.

lexical                a judge's name, with the settings of the run config
judge.yaml             the judge of that run config's section `annotate`
annotations.jsonl      verdicts made earlier, by `annotate` or by `agreement` itself
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import click

from annotator.generation.config import Prices
from annotator.generation.usage import NO_LIMITS, Limits, Meter
from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import Judge
from annotator.judging.judges import asks_a_model, make_judge
from annotator.judging.recorded import RecordedJudge
from annotator.store import Store
from maskdpo.config import RunConfig
from maskdpo.run_store import RunStore
from schemas.errors import InputError

CONFIG_SUFFIXES = (".yaml", ".yml")
VERDICTS_SUFFIX = ".jsonl"


@dataclass(frozen=True, kw_only=True)
class NamedJudge:
    """A judge, the name it goes by in this run, and the file it came from, if any."""

    name: str
    judge: Judge
    path: Path | None = None


@dataclass(kw_only=True)
class PaidCalls:
    """The store of judges that ask a model, opened by the first of them. A context manager."""

    path: Path
    limits: Limits = NO_LIMITS
    retry_failed: bool = False
    same_model: bool = False
    formers: Sequence[Path] = ()
    meters: list[Meter] = field(default_factory=list)
    _store: Store | None = None

    def open(self) -> Store:
        """The store, open until the block ends."""
        if self._store is None:
            RunStore(path=self.path, formers=self.formers).take_over()
            self._store = Store(self.path, retry_failed=self.retry_failed)
        return self._store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()


def find_judges(
    names: Sequence[str | None], config: RunConfig, *, paid: PaidCalls
) -> list[NamedJudge]:
    """The judges that `names` stand for (see the module's docstring), under different names.

    None stands for the section `annotate` of `config`. `paid` opens the store of judges that ask
    a model. Raises InputError for a file that is not there or cannot be read, ConfigError for
    wrong settings and for a name that is neither a file nor a judge.
    """
    found = [_find_judge(name, config, paid) for name in names]
    if len({item.name for item in found}) == len(found):
        return found
    # Two runs of one judge: told apart by their files, or by their places when even those agree.
    titles = [f"{item.name} ({item.path.name if item.path else 'settings'})" for item in found]
    if len(set(titles)) < len(titles):
        titles = [f"{item.name} ({letter})" for item, letter in zip(found, "AB", strict=True)]
    return [
        NamedJudge(name=title, judge=item.judge, path=item.path)
        for title, item in zip(titles, found, strict=True)
    ]


def _find_judge(name: str | None, config: RunConfig, paid: PaidCalls) -> NamedJudge:
    path = Path(name) if name else None
    if path is None or path.suffix not in (*CONFIG_SUFFIXES, VERDICTS_SUFFIX):
        settings = config.section(AnnotateConfig, "annotate", judge=name)
        judge = _make_judge(settings, paid)
        return NamedJudge(name=judge.name, judge=judge)
    if not path.exists():
        raise InputError.of(
            path,
            "not found; a judge is a name, a run config (.yaml), or annotations made earlier "
            "(.jsonl)",
        )
    if path.suffix == VERDICTS_SUFFIX:
        recorded = RecordedJudge.read(path, is_of_gold=True)
        return NamedJudge(name=recorded.name, judge=recorded, path=path)
    judge = _make_judge(config.beside(path).section(AnnotateConfig, "annotate"), paid)
    return NamedJudge(name=judge.name, judge=judge, path=path)


def _make_judge(settings: AnnotateConfig, paid: PaidCalls) -> Judge:
    """The one place where `agreement` makes a judge of settings."""
    if not asks_a_model(settings):
        return make_judge(settings)
    meter = Meter(prices=settings.llm.prices if settings.llm else Prices(), limits=paid.limits)
    judge = make_judge(settings, store=paid.open(), meter=meter)
    begin_paid_run(judge, paid)
    paid.meters.append(meter)
    return judge


def begin_paid_run(judge: Judge, paid: PaidCalls) -> None:
    """Record the run with what its servers report; ConfigError where that is another model."""
    from annotator.judging.llm_judge import CALL_KIND
    from annotator.judging.serving import identify_judge

    store = paid.open()
    models = identify_judge(
        store,
        judge,
        same_model=paid.same_model,
        count_serving=lambda: store.count(CALL_KIND),
    )
    store.begin_run("agreement", {}, models=models.records)
    for note in models.notes:
        click.echo(f"note: {note}", err=True)
