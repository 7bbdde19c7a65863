"""Builds the index of a file of annotations: one SQLite file, in two passes over the rows.

The rule: an index is complete or not there: it is written under another name and renamed at the
end. It holds nothing that cannot be made again from the annotations, the documents and the reviews.
The first pass reads the rows, the second writes them in reading order: responses with the least
sure sentence first, so that the number of a sentence is its place in that order.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from maskdpo.desk.index.tickets import ticket_of
from maskdpo.desk.index.words import pieces_of, singles_of
from schemas.errors import Fault
from schemas.events import Advanced, Ended, OnEvent, Started
from schemas.files.jsonl import Row, scan_rows
from schemas.labels import Label
from schemas.records import Annotation, Document, Verdict
from schemas.reviews import text_sha256

VERSION = 5
STAGE = "index"
MAX_KEPT_FAULTS = 20
_UNSURE = -1.0  # undetermined: surest to need a person
_UNKNOWN = 2.0  # no confidence
_STEP = 200

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE responses (
    n INTEGER PRIMARY KEY, id TEXT, question_id TEXT, topic TEXT, language TEXT, judge TEXT,
    position INTEGER, offset INTEGER, length INTEGER, sha TEXT, first INTEGER, count INTEGER);
CREATE TABLE copies (id TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;
CREATE INDEX copies_of ON copies (n);
CREATE TABLE sentences (
    id INTEGER PRIMARY KEY, n INTEGER, number INTEGER, start INTEGER, end INTEGER, label TEXT,
    reason TEXT, confidence REAL, sure REAL, ticket INTEGER, state TEXT);
CREATE TABLE reviews (line INTEGER PRIMARY KEY, n INTEGER, id TEXT, who TEXT, json TEXT);
CREATE INDEX reviews_of ON reviews (n);
CREATE INDEX reviews_by ON reviews (who, line);
CREATE INDEX reviews_id ON reviews (id);
CREATE TABLE documents (id TEXT PRIMARY KEY, offset INTEGER, length INTEGER) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(
    pieces, single, content='', tokenize="unicode61 remove_diacritics 0");
"""
_SCRATCH = """
CREATE TEMP TABLE raw (
    position INTEGER PRIMARY KEY, id TEXT, question_id TEXT, sha TEXT, topic TEXT, language TEXT,
    judge TEXT, offset INTEGER, length INTEGER, sure REAL);
CREATE TEMP TABLE parts (
    position INTEGER, number INTEGER, start INTEGER, end INTEGER, label TEXT, reason TEXT,
    confidence REAL, text TEXT, PRIMARY KEY (position, number)) WITHOUT ROWID;
"""


def build_index(
    target: Path, annotations: Path, documents: Path | None, mark: str, on_event: OnEvent
) -> None:
    """Write the index of `annotations` to `target`; `mark` names the state of the input files."""
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA temp_store = FILE")
            connection.executescript(_TABLES + _SCRATCH)
            connection.execute("BEGIN")
            _read_rows(connection, annotations, on_event)
            _order_rows(connection)
            if documents is not None:
                _find_documents(connection, documents)
            connection.execute("INSERT INTO meta VALUES ('mark', ?)", (mark,))
            connection.execute("COMMIT")
            connection.execute("ANALYZE")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def line_places(path: Path) -> Iterator[tuple[int, int]]:
    """(offset, length) in bytes of each line of a file, the first line first."""
    offset = 0
    with path.open("rb") as handle:
        for raw in handle:
            yield offset, len(raw)
            offset += len(raw)


def _read_rows(connection: sqlite3.Connection, path: Path, on_event: OnEvent) -> None:
    """All rows into the scratch tables; faults are counted, and the first ones kept."""
    places = list(line_places(path))
    on_event(Started(stage=STAGE, unit="response", total=len(places)))
    faults: list[str] = []
    bad: set[int | None] = set()  # a row may have several faults
    first: dict[str, int] = {}
    done = 0
    for done, item in enumerate(scan_rows(path, Annotation), start=1):
        if done % _STEP == 0:
            on_event(Advanced(stage=STAGE, count=_STEP))
        fault = item if isinstance(item, Fault) else _used_before(path, item, first)
        if isinstance(fault, Fault):
            bad.add(fault.line)
            if len(faults) < MAX_KEPT_FAULTS:
                faults.append(str(fault))
            continue
        assert not isinstance(item, Fault)
        _keep(connection, item.line, item.record, *places[item.line - 1])
    connection.execute("INSERT INTO meta VALUES ('faults', ?)", ("\n".join(faults),))
    connection.execute("INSERT INTO meta VALUES ('num_faults', ?)", (str(len(bad)),))
    on_event(Advanced(stage=STAGE, count=done % _STEP))
    on_event(Ended(stage=STAGE))


def _used_before(path: Path, row: Row[Annotation], first: dict[str, int]) -> Fault | None:
    """What is wrong with a second row of one id: a review could not say which it is for."""
    name = row.record.id
    line = first.setdefault(name, row.line)
    if line == row.line:
        return None
    message = f"duplicate id {name!r}, first used on line {line}; ids must be unique in a file"
    return Fault(path=str(path), line=row.line, message=message)


def _keep(
    connection: sqlite3.Connection, position: int, row: Annotation, offset: int, length: int
) -> None:
    sure = min((how_sure(item.verdict) for item in row.sentences), default=_UNKNOWN)
    judge = row.sentences[0].verdict.judge if row.sentences else ""
    sha = text_sha256(row.text)
    connection.execute(
        "INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (position, _text(row.id), _text(row.question_id), sha, _text(row.topic),
         _text(row.language), _text(judge), offset, length, sure),
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (position, number, item.start, item.end, item.verdict.label.value,
             _text(item.verdict.reason or ""), item.verdict.confidence,
             _text(row.text[item.start : item.end]))
            for number, item in enumerate(row.sentences)
        ),
    )  # fmt: skip


def _text(text: str) -> str:
    """Text that SQLite takes: lone surrogates, which no valid UTF-8 holds, are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def how_sure(verdict: Verdict) -> float:
    """The place of a verdict in reading order: undetermined first, without confidence last."""
    if verdict.label is Label.UNDETERMINED:
        return _UNSURE
    return _UNKNOWN if verdict.confidence is None else verdict.confidence


def _order_rows(connection: sqlite3.Connection) -> None:
    """The rows in reading order; of identical answers to one question, that with the least id."""
    chosen = connection.execute(
        "SELECT MIN(id), question_id, sha FROM raw GROUP BY question_id, sha"
    ).fetchall()
    connection.execute("CREATE INDEX temp.raw_id ON raw (id)")
    connection.execute("CREATE INDEX temp.raw_key ON raw (question_id, sha)")
    connection.execute("CREATE TEMP TABLE chosen (id TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.executemany("INSERT INTO chosen VALUES (?)", ((name,) for name, _, _ in chosen))
    rows = connection.execute(
        "SELECT raw.* FROM raw JOIN chosen USING (id) ORDER BY sure, position"
    ).fetchall()
    sentence = 0
    for n, row in enumerate(rows, start=1):
        position, name, question, sha, topic, language, judge, offset, length, _ = row
        parts = connection.execute(
            "SELECT number, start, end, label, reason, confidence, text FROM parts"
            " WHERE position = ? ORDER BY number",
            (position,),
        ).fetchall()
        connection.execute(
            "INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (n, name, question, topic, language, judge, position, offset, length, sha,
             sentence + 1, len(parts)),
        )  # fmt: skip
        connection.execute(
            "INSERT OR IGNORE INTO copies SELECT id, ? FROM raw WHERE question_id = ? AND sha = ?",
            (n, question, sha),
        )
        for number, start, end, label, reason, confidence, text in parts:
            sentence += 1
            sure = _sure(label, confidence)
            ticket = ticket_of(name, start, end)
            connection.execute(
                "INSERT INTO sentences VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
                (sentence, n, number, start, end, label, reason, confidence, sure, ticket),
            )
            words = (sentence, " ".join(pieces_of(text)), " ".join(singles_of(text)))
            connection.execute("INSERT INTO words (rowid, pieces, single) VALUES (?, ?, ?)", words)


def _sure(label: str, confidence: float | None) -> float:
    if label == Label.UNDETERMINED:
        return _UNSURE
    return _UNKNOWN if confidence is None else confidence


def _find_documents(connection: sqlite3.Connection, path: Path) -> None:
    places = list(line_places(path))
    for item in scan_rows(path, Document):
        if not isinstance(item, Fault):
            connection.execute(
                "INSERT OR IGNORE INTO documents VALUES (?, ?, ?)",
                (_text(item.record.id), *places[item.line - 1]),
            )
