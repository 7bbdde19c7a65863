"""Which files in a model's folder `evaluate` may replace, and the seal by which it knows its own.

The rule: no file that the user gives is written to, and no file that this command did not write is
replaced, but for verdicts of judges and responses, which follow the rules of `annotate` and
`sample`. All is checked before anything is spent. A sidecar has the hash of `answers.jsonl` and
of `facts.jsonl`. Without one (a run that was killed before it, or an earlier version), answers are
its own where all their rows are in the given file, and facts where all their ids are ids of facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from annotator.judging.runs.output_checks import refuse_labels
from annotator.sampling.sample import refuse_other_rows
from maskdpo.evaluation.answers import AnswerSet
from maskdpo.evaluation.factscore.verdicts import is_fact_id
from schemas.errors import ConfigError, InputError
from schemas.files.jsonl import read_records, write_records
from schemas.files.own_files import is_sealed, refuse_to_replace_unless, seal
from schemas.files.sidecar import make_sidecar, read_sidecar_values, sidecar_path, write_sidecar
from schemas.records import Response

ANSWERS, FACTS, FACT_VERDICTS = "answers.jsonl", "facts.jsonl", "fact_verdicts.jsonl"
RESPONSES, ANNOTATIONS = "responses.jsonl", "annotations.jsonl"
_MADE_BY = {"made_by": "evaluate"}


def refuse_unless_own(path: Path, is_own: Callable[[Path], bool]) -> None:
    """Raise ConfigError where `path` holds something else than an evaluation writes there."""
    refuse_to_replace_unless(path, is_own, by="maskdpo evaluate", kind="folder")


def write_own(path: Path, rows: Iterable[BaseModel], *, inputs: Sequence[Path] = ()) -> None:
    """Write responses (answers or facts) to `path`, and their sidecar with the file's hash."""
    # A sidecar with the hash of other rows would make the new file one that somebody edited.
    sidecar_path(path).unlink(missing_ok=True)
    count = write_records(path, rows)
    sidecar = make_sidecar("response", config=_MADE_BY, inputs=inputs, counts={"responses": count})
    write_sidecar(path, seal(sidecar, [path]))


def check_outputs(
    output: Path,
    sampled: Iterable[str],
    answers: Sequence[AnswerSet],
    *,
    inputs: Iterable[Path | None],
    with_facts: bool,
) -> None:
    """Raise ConfigError where the run would write to an input, or replace a file of others.

    sampled     names of the models that are sampled
    answers     the other models, with all rows of their files
    inputs      all files that the user gives, apart from those of `answers`
    with_facts  whether files of FActScore are written
    """
    sets = {item.name: item for item in answers}
    names = [*sampled, *sets]
    given = [*(item.path for item in answers), *(path for path in inputs if path)]
    for path in _written(output, names, sets, with_facts=with_facts):
        _refuse_input(path, given)
    for name in names:
        _refuse_others(output / name, sets.get(name), with_facts=with_facts)


def _written(
    output: Path, names: Iterable[str], sets: Mapping[str, AnswerSet], *, with_facts: bool
) -> Iterator[Path]:
    """The files that a run writes, apart from sidecars and lists of failures."""
    yield from (output / "scores.json", output / "report.html")
    for name in names:
        if name not in sets or not sets[name].judged:
            yield output / name / (ANSWERS if name in sets else RESPONSES)
            yield output / name / ANNOTATIONS
        if with_facts:
            yield from (output / name / FACTS, output / name / FACT_VERDICTS)


def _refuse_input(path: Path, given: Iterable[Path]) -> None:
    for item in given:
        if path.exists() and item.exists() and path.samefile(item):
            raise ConfigError(
                f"{item} is an input, and this evaluation writes its own {path.name} there; give a "
                "copy of the file, or another folder with --output"
            )


def _refuse_others(folder: Path, source: AnswerSet | None, *, with_facts: bool) -> None:
    """Raise ConfigError where a file of one model is not that of an earlier evaluation."""
    if source is None:
        refuse_other_rows(folder / RESPONSES)
    elif not source.judged:
        refuse_unless_own(
            folder / ANSWERS,
            lambda path: _is_sealed_here(path) or _holds_only(source.answers, path),
        )
    if source is None or not source.judged:
        refuse_labels(folder / ANNOTATIONS)
    if with_facts:
        refuse_unless_own(folder / FACTS, _holds_facts)
        refuse_labels(folder / FACT_VERDICTS)


def _is_sealed_here(path: Path) -> bool:
    return read_sidecar_values(path).get("config") == _MADE_BY and is_sealed(path)


def _holds_only(answers: Sequence[Response], path: Path) -> bool:
    """Whether each line is one of these answers, as `write_own` writes it: nothing is lost."""
    known = {item.model_dump_json().encode() for item in answers}
    with path.open("rb") as handle:
        return all(line.rstrip(b"\n") in known for line in handle)


def _holds_facts(path: Path) -> bool:
    """Whether a file is sealed, or has no sidecar and holds facts, by their ids."""
    if sidecar_path(path).exists():
        return _is_sealed_here(path)  # if not: of another command, or edited since
    try:
        return all(is_fact_id(row.id) for row in read_records(path, Response))
    except InputError:
        return False
