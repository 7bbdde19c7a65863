"""`RUN/forgotten.jsonl`: which people and responses must not come back, without naming them.

The rule: the file keeps a salted SHA-256 of each name or id and never the name or id itself, so
that a later `import`, `sample` or `build` recognises what was forgotten and the name cannot be read
there. Someone who guesses a name can check the guess against the file; it reveals nothing else.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from formats.reviews.log import locked
from schemas.errors import Fault, InputError
from schemas.files.jsonl import read_lines, scan_rows
from schemas.files.writing import atomic_writer
from schemas.records import Record

FORGOTTEN_NAME = "forgotten.jsonl"
Kind = Literal["who", "response"]
_SALT_BYTES = 16
_ID_KEYS = ("id", "response_id")


class ForgottenRow(Record):
    """One forgotten person or response.

    sha256    of salt, kind and name, in hex; `when` is ISO 8601
    """

    kind: Kind
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    salt: str = Field(min_length=1, max_length=128)
    when: str


class Forgotten:
    """Who and what was forgotten. A lookup costs one hash per salt; a file has one salt."""

    def __init__(self, rows: Iterable[ForgottenRow] = ()) -> None:
        self._digests: dict[Kind, dict[str, set[str]]] = {"who": {}, "response": {}}
        for row in rows:
            self._digests[row.kind].setdefault(row.salt, set()).add(row.sha256)

    @classmethod
    def read(cls, *paths: Path) -> Self:
        """The entries of all files at `paths`; a file that does not exist has none.

        Raises InputError for a row that cannot be read: it must not be skipped.
        """
        return cls(row for path in dict.fromkeys(paths) for row in _read_rows(path))

    @classmethod
    def read_next_to(cls, *outputs: Path) -> Self:
        """The entries of the forgotten.jsonl in the folder of each of `outputs`."""
        return cls.read(*(output.parent / FORGOTTEN_NAME for output in outputs))

    def has_person(self, who: str) -> bool:
        """Whether the person with that name was forgotten; case and spaces are ignored."""
        return self._has("who", same_name(who).casefold())

    def has_response(self, response_id: str) -> bool:
        """Whether the response with that id was forgotten."""
        return self._has("response", response_id)

    def why_refused(self, who: str, response_id: str) -> str:
        """Why a review is not imported, as a sentence without names; '' where it is imported."""
        for what, is_forgotten in (
            ("the person in 'who'", self.has_person(who)),
            ("the response in 'response_id'", self.has_response(response_id)),
        ):
            if is_forgotten:
                return (
                    f"{what} was forgotten in this run (maskdpo forget), so this row is not "
                    "imported; remove it from the file"
                )
        return ""

    @property
    def knows_responses(self) -> bool:
        """Whether any response was forgotten."""
        return bool(self._digests["response"])

    def __bool__(self) -> bool:
        return any(self._digests.values())

    def _has(self, kind: Kind, name: str) -> bool:
        salts = self._digests[kind]
        return any(_digest(salt, kind, name) in found for salt, found in salts.items())


def remember(path: Path, *, people: Collection[str] = (), responses: Collection[str] = ()) -> int:
    """Add people and responses to the file at `path`, and return how many were new.

    The whole file is replaced, under a lock; it has one salt. Raises InputError where one of its
    rows cannot be read, or another process holds the lock.
    """
    with locked(path):
        rows = _read_rows(path)
        known = Forgotten(rows)
        salt = rows[0].salt if rows else secrets.token_hex(_SALT_BYTES)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        wanted: list[tuple[Kind, str]] = [("who", same_name(item).casefold()) for item in people]
        wanted += [("response", item) for item in responses]
        fresh = [
            ForgottenRow(kind=kind, sha256=_digest(salt, kind, name), salt=salt, when=when)
            for kind, name in dict.fromkeys(wanted)
            if not known._has(kind, name)
        ]
        if fresh:
            with atomic_writer(path) as handle:
                handle.writelines(row.model_dump_json() + "\n" for row in [*rows, *fresh])
    return len(fresh)


def same_name(who: str) -> str:
    """A person's name in the form that is compared: composed characters, single spaces, none at the
    ends."""
    return " ".join(unicodedata.normalize("NFC", who).split())


def spellings(name: str) -> list[str]:
    """A name with composed and with decomposed accents: macOS uses the second in file names."""
    return list(dict.fromkeys((name, unicodedata.normalize("NFD", name))))


def refuse_forgotten_rows(path: Path, forgotten: Forgotten) -> None:
    """Raise InputError where a JSONL file of responses contains one that was forgotten."""
    if not forgotten.knows_responses:
        return
    faults = [
        Fault(
            path=str(path),
            line=line,
            message=(
                f"response {name!r} was forgotten and must not come back; remove it with: "
                f"maskdpo forget --response {name}"
            ),
        )
        for line, name in _named(path)
        if forgotten.has_response(name)
    ]
    if faults:
        raise InputError(faults)


def _named(path: Path) -> Iterator[tuple[int, str]]:
    """(line, id) of the rows that have an id; the code that uses the rows reports bad ones."""
    for line, text in read_lines(path):
        try:
            values: Any = json.loads(text)
        except (ValueError, RecursionError):
            continue
        for key in _ID_KEYS if isinstance(values, dict) else ():
            if isinstance(values.get(key), str):
                yield line, values[key]
                break


def _read_rows(path: Path) -> Sequence[ForgottenRow]:
    if not path.exists():
        return []
    found = list(scan_rows(path, ForgottenRow))
    faults = [item for item in found if isinstance(item, Fault)]
    if faults:
        raise InputError(faults)
    return [item.record for item in found if not isinstance(item, Fault)]


def _digest(salt: str, kind: Kind, name: str) -> str:
    content = f"{salt}\n{kind}\n{name}"
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
