"""`validate`: everything that is wrong with a data set folder, file by file and row by row.

The rule that makes it worth trusting: it reads what is in the files and believes nothing else,
neither the manifest's counts nor that `build` wrote them, and it goes on after a fault. Rows are
counted from 0, as `load_dataset(FOLDER)["train"][0]` counts them within a split of one file.

Rows are streamed. What is kept for the whole run is small: the ids of pairs and responses, the
split of each topic (in any spelling) and question, a digest of each response that is in a pair.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from dataset_builder.folder.row_faults import (
    FaultKind,
    Row,
    RowFault,
    content_of,
    pair_faults,
    sentence_faults,
)
from dataset_builder.folder.validate_files import (
    PAIRS,
    SENTENCES,
    Finding,
    card_faults,
    column_faults,
    data_files,
    file_faults,
    read_manifest,
    row_count_faults,
)
from dataset_builder.folder.write import pair_schema, sentence_schema
from dataset_builder.splits.near_topics import find_near_topics
from dataset_builder.splits.topics import topic_key
from schemas.errors import InputError
from schemas.labels import Side

MAX_FINDINGS = 10_000
ROWS_A_BATCH = 1_024


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The outcome for one folder.

    findings   the faults in reading order, the first MAX_FINDINGS of them
    by_kind    how many there are of each kind, all of them
    num_rows   rows read, by file
    notes      what is no fault and may be one: topics of two splits that are nearly equal
    """

    findings: Sequence[Finding]
    by_kind: Mapping[str, int]
    num_rows: Mapping[str, int]
    notes: Sequence[str] = ()

    @property
    def num_faults(self) -> int:
        """All faults, those past MAX_FINDINGS included."""
        return sum(self.by_kind.values())


def validate_folder(folder: str | Path) -> Validation:
    """Check a whole data set folder; raises InputError only when there is no such folder."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError.of(folder, "is no folder; maskdpo build makes a data set folder")
    run = _Run(folder=folder)
    findings: list[Finding] = []
    by_kind: Counter[str] = Counter()
    for finding in run.findings():
        by_kind[finding.kind] += 1
        if len(findings) < MAX_FINDINGS:
            findings.append(finding)
    return Validation(
        findings=findings,
        by_kind=dict(sorted(by_kind.items())),
        num_rows=run.rows,
        notes=run.notes(),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where something was seen first."""

    split: str
    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file} row {self.row}"


@dataclass(kw_only=True)
class _Run:
    """What one validation remembers from row to row, and its checks in order."""

    folder: Path
    rows: dict[str, int] = field(default_factory=dict)
    pair_ids: dict[str, _Place] = field(default_factory=dict)
    topics: dict[str, tuple[str, _Place]] = field(default_factory=dict)
    questions: dict[str, _Place] = field(default_factory=dict)
    responses_of_pairs: dict[str, tuple[bytes, _Place]] = field(default_factory=dict)
    seen_responses: set[str] = field(default_factory=set)

    def findings(self) -> Iterator[Finding]:
        manifest, faults = read_manifest(self.folder)
        yield from faults
        if any(fault.kind is FaultKind.FORMAT_VERSION for fault in faults):
            return  # a newer format may mean other things by the same columns
        names = data_files(self.folder)
        yield from file_faults(self.folder, manifest, names)
        yield from card_faults(self.folder, names)
        pairs = [name for name in names if name.startswith(f"{PAIRS}/")]
        sentences = [name for name in names if name.startswith(f"{SENTENCES}/")]
        if not pairs:
            message = f"no {PAIRS}/SPLIT-*.parquet in the folder"
            yield Finding(kind=FaultKind.NO_PAIRS, file=PAIRS, message=message)
        for name in pairs:
            yield from self._check_file(name, pair_schema(), self._check_pair, id_column="id")
        for name in sentences:
            last = _OpenResponse(run=self)
            yield from self._check_file(
                name, sentence_schema(), last.check_row, id_column="response_id"
            )
            yield from last.close()
        if sentences and all(name in self.rows for name in sentences):
            yield from self._missing_sentences()
        yield from row_count_faults(manifest, self.rows)

    def notes(self) -> list[str]:
        """What to look at, once all rows have been read."""
        topics: dict[str, list[str]] = {}
        for spelling, place in self.topics.values():
            topics.setdefault(place.split, []).append(spelling)
        near = find_near_topics(topics).describe()
        return [near] if near is not None else []

    def _check_file(
        self,
        name: str,
        schema: Any,
        check: Callable[[Row, _Place], Iterable[RowFault]],
        *,
        id_column: str,
    ) -> Iterator[Finding]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        split = PurePosixPath(name).name.split("-")[0]
        try:
            with pq.ParquetFile(self.folder / name) as file:
                faults = list(column_faults(name, file.schema_arrow, schema))
                yield from faults
                if faults:
                    return
                row = 0
                known = [column for column in schema.names if column in file.schema_arrow.names]
                for batch in file.iter_batches(batch_size=ROWS_A_BATCH, columns=known):
                    for values in batch.to_pylist():
                        place = _Place(split=split, file=name, row=row)
                        for kind, message in check(values, place):
                            identifier = values[id_column] or ""
                            yield Finding(
                                kind=kind, file=name, row=row, id=identifier, message=message
                            )
                        row += 1
                self.rows[name] = row
        except (OSError, pa.ArrowException) as error:
            message = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
            yield Finding(kind=FaultKind.UNREADABLE, file=name, message=message)

    def _check_pair(self, row: Row, place: _Place) -> Iterator[RowFault]:
        yield from pair_faults(row)
        if row["id"]:
            first = self.pair_ids.setdefault(row["id"], place)
            if first is not place:
                yield FaultKind.DUPLICATE_ID, f"the id of {first} is used again"
        yield from self.split_faults(row, place)
        for side in Side:
            digest = _digest_of_side(row, side)
            if digest is None:
                continue
            known, first = self.responses_of_pairs.setdefault(row[f"{side}_id"], (digest, place))
            if known != digest:
                yield (
                    FaultKind.PAIR_AND_SENTENCES,
                    f"'{side}' is response {row[f'{side}_id']!r}, which has another text or other "
                    f"spans in {first}",
                )

    def split_faults(self, row: Row, place: _Place) -> Iterator[RowFault]:
        """A topic, in any spelling, or a question that an earlier row has in another split."""
        topic, question_id = row["topic"], row["question_id"]
        if topic:
            spelling, first = self.topics.setdefault(topic_key(topic), (topic, place))
            if first.split != place.split:
                named = f"as {spelling!r}, the same topic by our rule" if spelling != topic else ""
                yield (
                    FaultKind.TOPIC_IN_TWO_SPLITS,
                    f"topic {topic!r} is also in split {first.split!r}"
                    f"{f' {named}' if named else ''}: {first}; build the data set again",
                )
        if question_id:
            first = self.questions.setdefault(question_id, place)
            if first.split != place.split:
                message = f"question_id {question_id!r} is also in split {first.split!r}: {first}"
                yield FaultKind.QUESTION_IN_TWO_SPLITS, message

    def compare_with_pair(self, response_id: str, digest: bytes) -> Iterator[RowFault]:
        """A response whose sentences are not those of its pair."""
        in_pair = self.responses_of_pairs.get(response_id)
        if in_pair is not None and in_pair[0] != digest:
            yield (
                FaultKind.PAIR_AND_SENTENCES,
                f"the sentences of response {response_id!r} differ in place or text from those "
                f"of its pair, {in_pair[1]}",
            )

    def _missing_sentences(self) -> Iterator[Finding]:
        for response_id, (_, place) in self.responses_of_pairs.items():
            if response_id not in self.seen_responses:
                yield Finding(
                    kind=FaultKind.PAIR_AND_SENTENCES,
                    file=place.file,
                    row=place.row,
                    message=f"response {response_id!r} is in a pair and has no row in {SENTENCES}",
                )


@dataclass(kw_only=True)
class _OpenResponse:
    """The response whose sentences are being read; its rows stand together, in order."""

    run: _Run
    id: str = ""
    place: _Place | None = None
    end: int = 0
    hasher: Any = field(default_factory=hashlib.sha256)
    found: list[Finding] = field(default_factory=list)

    def check_row(self, row: Row, place: _Place) -> Iterator[RowFault]:
        yield from sentence_faults(row)
        yield from self.run.split_faults(row, place)
        response_id, start, end = row["response_id"], row["start"], row["end"]
        if not response_id or start is None or end is None or row["text"] is None:
            return
        if response_id != self.id:
            self._finish()
            self._open(response_id, place)
            if response_id in self.run.seen_responses:
                yield (
                    FaultKind.DUPLICATE_ID,
                    f"response {response_id!r} begins again after other responses",
                )
            self.run.seen_responses.add(response_id)
        elif start < self.end:
            yield (
                FaultKind.SPAN_ORDER,
                f"[{start}, {end}) starts before the end of the sentence before it ({self.end})",
            )
        self.end = max(self.end, end)
        _hash_span(self.hasher, start, end, row["text"])

    def close(self) -> list[Finding]:
        """What only the end of a response tells, when the file has ended."""
        self._finish()
        return self.found

    def _open(self, response_id: str, place: _Place) -> None:
        self.id, self.place, self.end = response_id, place, 0
        self.hasher = hashlib.sha256()

    def _finish(self) -> None:
        if self.place is None:
            return
        self.found.extend(
            Finding(
                kind=kind,
                file=self.place.file,
                row=self.place.row,
                id=self.id,
                message=message,
            )
            for kind, message in self.run.compare_with_pair(self.id, self.hasher.digest())
        )


def _digest_of_side(row: Row, side: Side) -> bytes | None:
    content, spans = content_of(row, side), row[f"{side}_spans"]
    if not row[f"{side}_id"] or content is None or spans is None:
        return None
    hasher = hashlib.sha256()
    for span in spans:
        if span is None or span["start"] is None or span["end"] is None:
            return None
        _hash_span(hasher, span["start"], span["end"], content[span["start"] : span["end"]])
    return hasher.digest()


def _hash_span(hasher: Any, start: int, end: int, text: str) -> None:
    hasher.update(f"{start} {end} {len(text)} ".encode())
    hasher.update(text.encode("utf-8", "surrogatepass"))
