"""Models whose answers are in files: nothing is sampled from them.

The rule: an answer is used exactly as it is, and every answer of a file is either used or counted.
Responses are judged like sampled ones. Annotations already have verdicts, a judge's or people's
(`maskdpo import`), and these count: no judge is asked.

`FILE` holds one model per value of `model` in its rows, named after it; `NAME=FILE` is one model.
Without a file of questions, the questions are those that the answers name, in order of appearance.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from schemas.errors import ConfigError, InputError
from schemas.files.jsonl import Row, read_lines, read_rows
from schemas.records import Annotation, Question, Response
from schemas.validation import describe_errors

_NAME = re.compile(r"[\w-]+")
_MAX_NAMES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class AnswerSet:
    """One model's answers. `judged`: they have verdicts already."""

    name: str
    path: Path
    rows: Sequence[Row[Response]]
    judged: bool

    @property
    def answers(self) -> list[Response]:
        """The answers, in the order of the file."""
        return [row.record for row in self.rows]

    @property
    def annotations(self) -> list[Annotation]:
        """The annotated responses; empty where they are not judged."""
        return [row.record for row in self.rows if isinstance(row.record, Annotation)]

    @property
    def num_responses(self) -> int:
        """The most answers to one question."""
        return max(Counter(item.question_id for item in self.answers).values(), default=1)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers of all files, by model. `notes` are sentences for the user."""

    sets: Sequence[AnswerSet] = ()
    notes: Sequence[str] = ()

    @property
    def need_judge(self) -> bool:
        """Whether some answers have no verdicts."""
        return not all(item.judged for item in self.sets)

    def derive_questions(self) -> list[Question]:
        """The questions that the answers name; InputError where two answers name different topics.

        A question's messages, documents and language are those of its first answer.
        """
        found: dict[str, tuple[Path, Row[Response], Question]] = {}
        for item in self.sets:
            for row in item.rows:
                answer = row.record
                if answer.question_id not in found:
                    found[answer.question_id] = (item.path, row, _question(item.path, row))
                    continue
                path, first, known = found[answer.question_id]
                if known.topic != answer.topic:
                    raise InputError.of(
                        item.path,
                        f"question {answer.question_id!r} has the topic {answer.topic!r}, but "
                        f"{known.topic!r} in {path}:{first.line}; one question must have one topic",
                        line=row.line,
                    )
        return [question for _, _, question in found.values()]

    def of_questions(self, questions: Iterable[str], source: Path) -> Answers:
        """Only the answers to these questions, with a note on the others.

        Raises InputError for a model without an answer to any of them.
        """
        known = set(questions)
        sets, notes = [], list(self.notes)
        for item in self.sets:
            kept = [row for row in item.rows if row.record.question_id in known]
            other = next((row for row in item.rows if row.record.question_id not in known), None)
            if other is not None:
                about = f"line {other.line} answers {other.record.question_id!r}"
                if not kept:
                    raise InputError.of(
                        item.path,
                        f"no answer of {item.name!r} is to a question of {source} ({about}); give "
                        "the questions that were asked with --questions",
                    )
                notes.append(
                    f"{len(item.rows) - len(kept)} answers of {item.name} in {item.path} are to "
                    f"questions that are not in {source} ({about}); they are not used."
                )
            sets.append(AnswerSet(name=item.name, path=item.path, rows=kept, judged=item.judged))
        return Answers(sets=sets, notes=notes)


def read_answers(given: Sequence[str], taken: Iterable[str] = ()) -> Answers:
    """Read `[NAME=]FILE` values; `taken` are the names of the other models.

    Raises InputError with every fault of a file, ConfigError for a name that is used twice.
    """
    sets: list[AnswerSet] = []
    notes: list[str] = []
    names = set(taken)
    for item in given:
        name, path = _split(item)
        judged = _has_verdicts(path)
        rows = _read(path, Annotation if judged else Response)
        by_name = _by_model(path, rows) if name is None else {name: list(rows)}
        if name is not None:
            notes += _note_several(name, path, rows)
        for key, part in by_name.items():
            if key in names:
                raise ConfigError(
                    f"--answers {item}: the name {key!r} is used twice; give this file another one "
                    "with --answers NAME=FILE"
                )
            names.add(key)
            sets.append(AnswerSet(name=key, path=path, rows=part, judged=judged))
    return Answers(sets=sets, notes=notes)


def _split(given: str) -> tuple[str | None, Path]:
    name, equals, path = given.partition("=")
    if equals and _NAME.fullmatch(name) and path:
        return name, Path(path)
    return None, Path(given)


def _has_verdicts(path: Path) -> bool:
    """Whether the first row is an annotation; invalid JSON is reported by its reader."""
    for _, line in read_lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return False
        return isinstance(row, dict) and "sentences" in row
    return False


def _read(path: Path, kind: type[Response]) -> list[Row[Response]]:
    rows: list[Row[Response]] = [
        Row(line=row.line, record=row.record) for row in read_rows(path, kind)
    ]
    if not rows:
        raise InputError.of(path, "holds no answers; it should hold one response per line")
    return rows


def _by_model(path: Path, rows: Sequence[Row[Response]]) -> Mapping[str, list[Row[Response]]]:
    found: dict[str, list[Row[Response]]] = {}
    named: dict[str, str] = {}
    for row in rows:
        model = row.record.model
        # A name is also that of a folder.
        name = "-".join(_NAME.findall(model))
        if not name:
            raise InputError.of(
                path,
                f"'model' is {model!r}, so the answer is of no model; name it: --answers NAME=FILE",
                line=row.line,
            )
        if named.setdefault(name, model) != model:
            raise InputError.of(
                path,
                f"the models {named[name]!r} and {model!r} get the same name {name!r}; divide the "
                "file, and name each: --answers NAME=FILE",
                line=row.line,
            )
        found.setdefault(name, []).append(row)
    return found


def _note_several(name: str, path: Path, rows: Sequence[Row[Response]]) -> list[str]:
    models = sorted({row.record.model for row in rows})
    if len(models) < 2:
        return []
    shown = ", ".join(map(repr, models[:_MAX_NAMES_SHOWN]))
    return [
        f"{path} holds answers of {len(models)} models ({shown}), and all are taken as those of "
        f"{name}; give the file without a name to compare them."
    ]


def _question(path: Path, row: Row[Response]) -> Question:
    answer = row.record
    try:
        return Question(
            id=answer.question_id,
            topic=answer.topic,
            language=answer.language,
            messages=answer.prompt,
            document_ids=answer.document_ids,
        )
    except ValidationError as error:
        reason = "; ".join(describe_errors(error, Question))
        message = f"its prompt cannot be asked as a question: {reason}"
        raise InputError.of(path, message, line=row.line) from None
