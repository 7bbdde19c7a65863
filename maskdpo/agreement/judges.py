"""From what a user names to a judge.

lexical                a judge's name, with the settings of the run config
judge.yaml             the judge of that run config's section `annotate`
annotations.jsonl      verdicts made earlier, by `annotate` or by `agreement` itself
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import Judge
from annotator.judging.judges import make_judge
from annotator.judging.recorded import RecordedJudge
from maskdpo.config import RunConfig
from schemas.errors import InputError

CONFIG_SUFFIXES = (".yaml", ".yml")
VERDICTS_SUFFIX = ".jsonl"


@dataclass(frozen=True, kw_only=True)
class NamedJudge:
    """A judge, the name it goes by in this run, and the file it came from, if any."""

    name: str
    judge: Judge
    path: Path | None = None


def find_judges(names: Sequence[str | None], config: RunConfig, *, store: Path) -> list[NamedJudge]:
    """The judges that `names` stand for (see the module's docstring), under different names.

    None stands for the section `annotate` of `config`. `store` keeps the calls of judges that
    are paid for. Raises InputError for a file that is not there or cannot be read, ConfigError
    for wrong settings and for a name that is neither a file nor a judge.
    """
    found = [_find_judge(name, config, store) for name in names]
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


def _find_judge(name: str | None, config: RunConfig, store: Path) -> NamedJudge:
    path = Path(name) if name else None
    if path is None or path.suffix not in (*CONFIG_SUFFIXES, VERDICTS_SUFFIX):
        settings = config.section(AnnotateConfig, "annotate", judge=name)
        judge = _make_judge(settings, store)
        return NamedJudge(name=judge.name, judge=judge)
    if not path.exists():
        raise InputError.of(
            path,
            "not found; a judge is a name, a run config (.yaml), or annotations made earlier "
            "(.jsonl)",
        )
    if path.suffix == VERDICTS_SUFFIX:
        recorded = RecordedJudge.read(path)
        return NamedJudge(name=recorded.name, judge=recorded, path=path)
    judge = _make_judge(config.beside(path).section(AnnotateConfig, "annotate"), store)
    return NamedJudge(name=judge.name, judge=judge, path=path)


def _make_judge(settings: AnnotateConfig, store: Path) -> Judge:
    """The one place where `agreement` makes a judge of settings.

    `store` is where a judge that is paid for keeps its finished calls; the lexical judge has none.
    """
    del store
    return make_judge(settings)
