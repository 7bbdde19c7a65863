"""Judges from the names that a user gives.

lexical                a judge's name, with the settings of the run config
judge.yaml             the judge in that run config's section `annotate`
annotations.jsonl      verdicts made earlier, by `annotate` or by `agreement` itself
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import click

from annotator.agreement.named_judge import NamedJudge
from annotator.calls.estimate import Estimator, look_into
from annotator.calls.store import Store
from annotator.calls.usage import NO_LIMITS, Budget, Limits
from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from annotator.judging.judge import Judge
from annotator.judging.make_judge import asks_a_model, judge_meter, make_judge
from annotator.judging.replay_judge import ReplayJudge
from maskdpo.config import RunConfig
from maskdpo.run_store import RunStore
from schemas.errors import InputError

CONFIG_SUFFIXES = (".yaml", ".yml")
VERDICTS_SUFFIXES = (".jsonl", ".parquet")


@dataclass(kw_only=True)
class PaidCalls:
    """The store of judges that use a model, opened by the first of them. A context manager.

    limits         apply to the calls of all judges together
    only_estimate  no model is called and nothing written: judges get an estimator
    """

    path: Path
    limits: Limits = NO_LIMITS
    retry_failed: bool = False
    same_model: bool = False
    formers: Sequence[Path] = ()
    only_estimate: bool = False
    budget: Budget = field(init=False)
    _store: Store | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.budget = Budget(limits=self.limits)

    def open(self) -> Store:
        """The store, open until the block ends."""
        if self._store is None:
            enter = self._stack.enter_context
            stores = RunStore(path=self.path, formers=self.formers)
            if self.only_estimate:
                path = enter(stores.to_read())
                self._store = enter(look_into(path, retry_failed=self.retry_failed))
            else:
                stores.take_over()
                self._store = enter(Store(self.path, retry_failed=self.retry_failed))
        return self._store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def find_judges(
    names: Sequence[str | None], config: RunConfig, *, paid: PaidCalls
) -> list[NamedJudge]:
    """The judges for `names` (see the module's docstring), with different names.

    None means the section `annotate` of `config`. `paid` opens the store of judges that use a
    model. Raises InputError for a file that is missing or cannot be read, ConfigError for wrong
    settings and for a name that is neither a file nor a judge.
    """
    found = [_find_judge(name, config, paid) for name in names]
    if len({item.name for item in found}) == len(found):
        return found
    # Two runs of one judge: distinguished by their files, or by position if the files are equal
    # too.
    titles = [f"{item.name} ({item.path.name if item.path else 'settings'})" for item in found]
    if len(set(titles)) < len(titles):
        titles = [f"{item.name} ({letter})" for item, letter in zip(found, "AB", strict=True)]
    return [replace(item, name=title) for title, item in zip(titles, found, strict=True)]


def _find_judge(name: str | None, config: RunConfig, paid: PaidCalls) -> NamedJudge:
    path = Path(name) if name else None
    if path is None or path.suffix not in (*CONFIG_SUFFIXES, *VERDICTS_SUFFIXES):
        return _make_judge(config.section(AnnotateConfig, "annotate", judge=name), paid)
    if not path.exists():
        raise InputError.of(
            path,
            "not found; a judge is a name, a run config (.yaml), or annotations made earlier "
            "(.jsonl or .parquet)",
        )
    if path.suffix in VERDICTS_SUFFIXES:
        replayed = ReplayJudge.read(path, is_of_gold=True)
        # The verdicts exist already, so the settings of other judges need not be complete.
        settings = config.section(AnnotateConfig, "annotate", judge="lexical")
        return NamedJudge(
            name=replayed.name, judge=replayed, settings=with_domain(settings), path=path
        )
    made = _make_judge(config.with_file(path).section(AnnotateConfig, "annotate"), paid)
    return replace(made, path=path)


def _make_judge(settings: AnnotateConfig, paid: PaidCalls) -> NamedJudge:
    """The only place where `agreement` makes a judge from settings."""
    if not asks_a_model(settings):
        judge = make_judge(settings)
        return NamedJudge(name=judge.name, judge=judge, settings=with_domain(settings))
    meter = judge_meter(settings, paid.budget)
    estimators: list[Estimator] | None = [] if paid.only_estimate else None
    judge = make_judge(settings, store=paid.open(), meter=meter, estimators=estimators)
    if not paid.only_estimate:
        begin_paid_run(judge, paid)
    return NamedJudge(
        name=judge.name,
        judge=judge,
        settings=with_domain(settings),
        meter=meter,
        estimator=estimators[0] if estimators else None,
        protocol=settings.llm.protocol if settings.llm else "",
    )


def begin_paid_run(judge: Judge, paid: PaidCalls) -> None:
    """Record the run with its servers' reports. Raises ConfigError if that is another model."""
    from annotator.judging.llm_judge import CALL_KIND
    from annotator.judging.runs.stored_replies import identify_judge

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
