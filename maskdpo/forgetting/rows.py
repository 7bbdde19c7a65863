"""Removal of a person or response from the files of a run: row by row, one file at a time.

The rule: a row that is not about them stays the same, byte for byte, and a file is replaced whole
or not at all. Rows of a removed response or by a removed person are deleted. A row that only
mentions them (a failed row, a conflict, a sidecar) keeps its other content, with the name or id
replaced; a failed row that quotes the response is deleted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from formats.forgotten import same_name
from formats.reviews import PAIR_REVIEWS_NAME, REVIEW_FILES
from formats.reviews.log import locked
from maskdpo.forgetting.targets import Targets
from schemas.files.appending import CUT_OFF_SUFFIX
from schemas.files.jsonl import read_lines
from schemas.files.own_files import is_sealed, renew_seal
from schemas.files.writing import atomic_descriptor, write_json

# Files of a run by their content, in the order in which they are changed: the text of a response is
# removed last, because a second run needs it to find the rest.
MENTIONS = (
    "*.conflicts.jsonl",
    "*.failed.jsonl",
    "jobs/*/*.failed.jsonl",
    "*.meta.json",
    "jobs/*/*.meta.json",
    f"*{CUT_OFF_SUFFIX}",
)
TEXTS = (
    "jobs/*/annotations.*.part",
    "jobs/*/annotations.jsonl",
    "jobs/*/responses.jsonl",
    "annotations.partial.jsonl",
    "annotations.jsonl",
    "responses.partial.jsonl",
    "responses.jsonl",
)
_SIDE_IDS = frozenset({"chosen_id", "rejected_id"})
_OTHER_IDS = ("ingest", "questions")  # stages whose failed rows have ids of documents or questions
_MIN_DECISIONS = 2  # fewer are not a conflict
_NAMING_KEYS = ("config", "inputs")  # where a sidecar may name a person


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is removed from a file.

    num_removed   rows
    num_masked    rows (of a sidecar: values) in which a name or id is replaced
    """

    path: Path
    num_removed: int = 0
    num_masked: int = 0

    def __bool__(self) -> bool:
        return bool(self.num_removed or self.num_masked)


@dataclass(kw_only=True)
class Known:
    """The people and the response ids in a run's files."""

    people: set[str] = field(default_factory=set)
    responses: set[str] = field(default_factory=set)


def find_files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """The files in `folder` with those names, in the order of the names."""
    found = (path for pattern in patterns for path in sorted(folder.glob(pattern)))
    return [path for path in found if path.is_file()]


def read_objects(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file that are JSON objects, unchecked; other lines are ignored."""
    for text in _lines(path):
        values = _parse(text)
        if values is not None:
            yield values


def _lines(path: Path) -> Iterator[bytes]:
    if path.suffix != ".part":
        yield from (text for _, text in read_lines(path))
        return
    with path.open("rb") as handle:  # the last row of an unfinished job may be incomplete
        yield from handle


def find_known(
    folder: Path,
    patterns: tuple[str, ...] = (*MENTIONS[:3], *REVIEW_FILES, PAIR_REVIEWS_NAME, *TEXTS),
) -> Known:
    """All people and responses in the files of a run that match `patterns`."""
    known = Known()
    for path in find_files(folder, patterns):
        for values in read_objects(path):
            for row in (values, *_decisions(values)):
                if isinstance(row.get("who"), str):
                    known.people.add(same_name(row["who"]))
            known.responses.update(_response_ids(values))
    return known


def forget_in(path: Path, targets: Targets, *, dry_run: bool = False) -> Change:
    """Remove the targets from one file; returns what is removed. `dry_run` writes nothing.

    A file of reviews is locked during the change. A list of failed rows or conflicts that becomes
    empty is deleted.
    """
    if path.name.endswith(".meta.json"):
        return _forget_in_sidecar(path, targets, dry_run=dry_run)
    if path.suffix == ".part":
        return _forget_part(path, targets, dry_run=dry_run)
    is_locked = path.name in (*REVIEW_FILES, PAIR_REVIEWS_NAME) and not dry_run
    with locked(path) if is_locked else nullcontext():
        kept, change = 0, Change(path=path)
        for raw, line in _forget_rows(path, targets):
            kept += line is not None
            change = Change(
                path=path,
                num_removed=change.num_removed + (line is None),
                num_masked=change.num_masked + (line not in (None, raw)),
            )
        if change and not dry_run:
            if not kept and _may_mention(path):
                path.unlink()
            else:
                _write_lines(path, targets)
    return change


def _forget_part(path: Path, targets: Targets, *, dry_run: bool) -> Change:
    """Delete what an unfinished job has written, which it writes again, if it is about them.

    Its last row may be incomplete, so the text is searched, too.
    """
    if not targets.responses:
        return Change(path=path)
    num_removed = sum(
        not targets.responses.isdisjoint(_response_ids(row)) for row in read_objects(path)
    )
    is_cut = not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    if (num_removed or is_cut) and not dry_run:
        path.unlink()
    return Change(path=path, num_removed=num_removed)


def _write_lines(path: Path, targets: Targets) -> None:
    """Replace the file; a file that was not edited by hand still counts as not edited."""
    was_sealed = is_sealed(path)
    kept = (line for _, line in _forget_rows(path, targets) if line is not None)
    with (
        atomic_descriptor(Path(os.path.realpath(path))) as descriptor,
        os.fdopen(descriptor, "wb", closefd=False) as handle,
    ):
        handle.writelines(kept)
    if was_sealed:
        renew_seal(path)


def _forget_rows(path: Path, targets: Targets) -> Iterator[tuple[bytes, bytes | None]]:
    """(line, new line) for each line; None if it is deleted."""
    with path.open("rb") as handle:
        for raw in handle:
            values = _parse(raw)
            if values is None:
                yield raw, None if _is_cut_off_row_of(path, raw, targets) else raw
                continue
            left = _forget_row(values, targets)
            if left is not None and _may_mention(path):
                left = None if targets.is_quoted(left) else _mask(left, targets)
            if left is None:
                yield raw, None
            elif left == values:
                yield raw, raw
            else:
                yield raw, _to_line(left)


def _is_cut_off_row_of(path: Path, raw: bytes, targets: Targets) -> bool:
    """Whether a row that was cut off is, or may be, about somebody who is removed: of a row without
    its 'when', the name before it may be incomplete."""
    if path.suffix != CUT_OFF_SUFFIX:
        return False
    text = raw.decode("utf-8", "replace")
    return targets.mask(text) != text or (bool(targets.people) and '"when":' not in text)


def _to_line(values: dict[str, Any]) -> bytes:
    """A row as a line of a file; an unpaired surrogate stays escaped."""
    try:
        return json.dumps(values, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(values).encode() + b"\n"


def _may_mention(path: Path) -> bool:
    return any(path.match(pattern) for pattern in MENTIONS)


def _forget_row(values: dict[str, Any], targets: Targets) -> dict[str, Any] | None:
    """A row without decisions of removed people; None if the whole row is deleted."""
    if not targets.responses.isdisjoint(_response_ids(values)):
        return None
    if targets.is_person(values.get("who")):
        return None
    decisions = _decisions(values)
    others = [row for row in decisions if not targets.is_person(row.get("who"))]
    if len(others) == len(decisions):
        return values
    return {**values, "decisions": others} if len(others) >= _MIN_DECISIONS else None


def _response_ids(values: dict[str, Any]) -> list[str]:
    """The ids of the responses that a row is about: two where it is a decision about a pair."""
    if values.get("stage") in _OTHER_IDS:
        return []
    if values.keys() >= _SIDE_IDS:
        names = [values[key] for key in sorted(_SIDE_IDS)]
    else:
        names = [values.get("response_id", values.get("id"))]
    return [name for name in names if isinstance(name, str) and name]


def _decisions(values: dict[str, Any]) -> list[dict[str, Any]]:
    found = values.get("decisions")
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _forget_in_sidecar(path: Path, targets: Targets, *, dry_run: bool) -> Change:
    """Replace people's names; format, versions, models and counts do not change."""
    values = _parse(path.read_bytes())
    if values is None:
        return Change(path=path)
    people = Targets(people=targets.people)
    parts = {key: values[key] for key in _NAMING_KEYS if key in values}
    masked = values | {key: _mask(part, people) for key, part in parts.items()}
    if masked == values:
        return Change(path=path)
    if not dry_run:
        write_json(path, masked)
    return Change(path=path, num_masked=_count_differing(values, masked))


def _mask(value: Any, targets: Targets) -> Any:
    """A JSON value with names and ids replaced in its strings and keys."""
    if isinstance(value, str):
        return targets.mask(value)
    if isinstance(value, dict):
        return {targets.mask(key): _mask(item, targets) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask(item, targets) for item in value]
    return value


def _count_differing(one: Any, other: Any) -> int:
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=False)
        return sum((k1 != k2) + _count_differing(v1, v2) for (k1, v1), (k2, v2) in pairs)
    if isinstance(one, list):
        return sum(_count_differing(a, b) for a, b in zip(one, other, strict=True))
    return int(one != other)


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
