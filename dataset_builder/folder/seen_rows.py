"""Faults between the rows of a data set folder: ids, splits, pairs and their sentences.

The rule: little is kept in memory: the ids of pairs and responses, the split of each topic (in any
spelling) and question, and a digest of each response that is in a pair.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dataset_builder.folder.row_faults import (
    FaultKind,
    Row,
    RowFault,
    content_of,
    pair_faults,
    sentence_faults,
)
from dataset_builder.folder.validate_files import SENTENCES, Finding
from dataset_builder.splits.near_topics import find_near_topics
from dataset_builder.splits.topics import topic_key
from schemas.error_spans import group_piece_rows
from schemas.labels import Side


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where something was seen first."""

    split: str
    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file} row {self.row}"


@dataclass(kw_only=True)
class SeenRows:
    """What one validation keeps in memory about earlier rows."""

    pair_ids: dict[str, Place] = field(default_factory=dict)
    topics: dict[str, tuple[str, Place]] = field(default_factory=dict)
    questions: dict[str, Place] = field(default_factory=dict)
    responses_of_pairs: dict[str, tuple[bytes, Place]] = field(default_factory=dict)
    seen_responses: set[str] = field(default_factory=set)

    def check_pair(self, row: Row, place: Place) -> Iterator[RowFault]:
        """The faults of a pair, also in comparison with earlier pairs."""
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
                    f"'{side}' is response {row[f'{side}_id']!r}, which has different text or "
                    f"spans in {first}",
                )

    def notes(self) -> list[str]:
        """Notes for the user, after all rows were read."""
        topics: dict[str, list[str]] = {}
        for spelling, place in self.topics.values():
            topics.setdefault(place.split, []).append(spelling)
        near = find_near_topics(topics).describe()
        return [near] if near is not None else []

    def split_faults(self, row: Row, place: Place) -> Iterator[RowFault]:
        """Faults of a topic (in any spelling) or a question that is also in another split."""
        topic, question_id = row["topic"], row["question_id"]
        if topic:
            spelling, first = self.topics.setdefault(topic_key(topic), (topic, place))
            if first.split != place.split:
                named = f"as {spelling!r}, which is the same topic" if spelling != topic else ""
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
                f"the sentences of response {response_id!r} differ in offsets or text from those "
                f"of its pair, {in_pair[1]}",
            )

    def missing_sentences(self) -> Iterator[Finding]:
        """Responses that are in a pair but have no sentences, after all rows were read."""
        for response_id, (_, place) in self.responses_of_pairs.items():
            if response_id not in self.seen_responses:
                yield Finding(
                    kind=FaultKind.PAIR_AND_SENTENCES,
                    file=place.file,
                    row=place.row,
                    message=f"response {response_id!r} is in a pair and has no row in {SENTENCES}",
                )


@dataclass(kw_only=True)
class OpenResponse:
    """The response whose sentences are being read; its rows are consecutive and in order."""

    seen: SeenRows
    id: str = ""
    place: Place | None = None
    end: int = 0
    hasher: Any = field(default_factory=hashlib.sha256)
    found: list[Finding] = field(default_factory=list)

    def check_row(self, row: Row, place: Place) -> Iterator[RowFault]:
        """The faults of a sentence, also in comparison with earlier sentences."""
        yield from sentence_faults(row)
        yield from self.seen.split_faults(row, place)
        response_id, start, end = row["response_id"], row["start"], row["end"]
        if not response_id or start is None or end is None or row["text"] is None:
            return
        if response_id != self.id:
            self._finish()
            self._open(response_id, place)
            if response_id in self.seen.seen_responses:
                yield (
                    FaultKind.DUPLICATE_ID,
                    f"response {response_id!r} begins again after other responses",
                )
            self.seen.seen_responses.add(response_id)
        elif start < self.end:
            yield (
                FaultKind.SPAN_ORDER,
                f"[{start}, {end}) starts before the end of the sentence before it ({self.end})",
            )
        self.end = max(self.end, end)
        _hash_span(self.hasher, start, end, row["text"])

    def close(self) -> list[Finding]:
        """Faults that show only at the end of a response, for the last response of the file."""
        self._finish()
        return self.found

    def _open(self, response_id: str, place: Place) -> None:
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
            for kind, message in self.seen.compare_with_pair(self.id, self.hasher.digest())
        )


def _digest_of_side(row: Row, side: Side) -> bytes | None:
    content, spans = content_of(row, side), row[f"{side}_spans"]
    if not row[f"{side}_id"] or content is None or spans is None:
        return None
    hasher = hashlib.sha256()
    if any(span is None or span["start"] is None or span["end"] is None for span in spans):
        return None
    for pieces in group_piece_rows(spans):
        start, end = pieces[0]["start"], pieces[-1]["end"]
        _hash_span(hasher, start, end, content[start:end])
    return hasher.digest()


def _hash_span(hasher: Any, start: int, end: int, text: str) -> None:
    hasher.update(f"{start} {end} {len(text)} ".encode())
    hasher.update(text.encode("utf-8", "surrogatepass"))
