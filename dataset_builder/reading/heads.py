"""The first reading: of each row what the index needs, part by part of a file. Pure.

The rule: the result of a part depends on that part, the settings and the list of forgotten rows
only, so parts can be read in any order and by any process; rows are checked in full only at the
second reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, ValidationError

from dataset_builder.config import BuildConfig, Weighting
from dataset_builder.reading.row_files import Part, RowFile
from dataset_builder.splits.prompt_text import prompt_text
from dataset_builder.weights import find_unusable_confidence
from formats.forgotten import Forgotten
from schemas.files.shard import Shard, falls_to
from schemas.records import Annotation, Identifier
from schemas.validation import describe_errors

Located = tuple[int, str]  # a line of the part, and what is wrong with it


class _HeadMessage(BaseModel):
    """A message in its plain form; a message in another form is read as a record."""

    model_config = ConfigDict(extra="ignore", strict=True)

    role: str
    content: str


class _Head(BaseModel):
    """The fields that the first reading uses. The second reading checks all fields."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: Identifier
    question_id: Identifier
    topic: str = ""
    prompt: list[_HeadMessage]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadReader:
    """What decides the heads of a part, in a form that another process can be given.

    forgotten   its rows are left out and counted
    """

    config: BuildConfig
    shard: Shard
    forgotten: Forgotten

    def read(self, file: RowFile, part: Part) -> Heads:
        """The heads of one part."""
        scanned = file.scan(part)
        heads = Heads(num_lines=scanned.num_lines, torn_line=scanned.torn_line)
        heads.is_empty = not scanned.rows
        for place, text in scanned.rows:
            head = _read_head(place.line, text, heads.faults)
            if head is None:
                continue
            if self.forgotten.has_response(head.id):
                heads.num_forgotten += 1
                continue
            heads.unusable = self._unusable(place.line, text, heads.faults)
            if heads.unusable is not None:
                break
            mine = falls_to(self.shard, head.question_id)
            heads.rows.append((head.id, head.question_id, mine, *place))
            prompt = (head.question_id, head.topic, prompt_text(head.prompt))
            if not heads.prompts or heads.prompts[-1] != prompt:
                heads.prompts.append(prompt)  # most rows come after one of the same question
        return heads

    def _unusable(self, line: int, text: bytes, faults: list[Located]) -> Located | None:
        """Why a row cannot be weighted as the settings require."""
        if self.config.weighting is not Weighting.CONFIDENCE or b'"lexical"' not in text:
            return None
        row = check_row(line, text, faults)
        message = find_unusable_confidence(row, self.config) if row is not None else None
        return None if message is None else (line, message)


@dataclass(kw_only=True, slots=True)
class Heads:
    """The first reading of one part. Lines count from 1 in the part.

    rows       (id, question id, whether the shard has it, line, start, size) of each row
    prompts    (question id, topic, text), each stretch of equal ones once
    faults     the rows that have no head
    unusable   the first row that stops the build at once; nothing after it was read
    torn_line  of a last row that was not written completely
    is_empty   no line of the part is a row, sound or not
    """

    num_lines: int
    torn_line: int | None
    rows: list[tuple[str, str, bool, int, int, int]] = field(default_factory=list)
    prompts: list[tuple[str, str, str]] = field(default_factory=list)
    faults: list[Located] = field(default_factory=list)
    unusable: Located | None = None
    num_forgotten: int = 0
    is_empty: bool = False


def check_row(line: int, text: bytes, faults: list[Located]) -> Annotation | None:
    """A row with all its fields; None where it has faults, which are added to `faults`."""
    try:
        return Annotation.model_validate_json(text)
    except ValidationError as error:
        faults.extend((line, message) for message in describe_errors(error, Annotation))
    return None


def _read_head(line: int, text: bytes, faults: list[Located]) -> _Head | Annotation | None:
    """The head of a row, or the full row if its messages are not plain; None: a fault."""
    try:
        return _Head.model_validate_json(text)
    except ValidationError:
        return check_row(line, text, faults)
