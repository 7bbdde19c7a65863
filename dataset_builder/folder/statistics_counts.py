"""The counts from which a data set's statistics are computed, read from its Parquet files.

The rule: everything is counted as whole numbers (characters, sentences, scores in steps of
1 / SCORE_STEPS), so counts of two splits add up and memory grows with the number of different
values, not with the rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_builder.folder.summaries import Scale
from dataset_builder.splits.splits import Split
from schemas.error_spans import group_piece_rows
from schemas.files.columnar import scan_batches
from schemas.files.tables import require_columns
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS

SCORE_STEPS = 1_000
LOG_STEPS = 100

Counted = Counter[int]


@dataclass(kw_only=True, slots=True)
class GroupCounts:
    """The counts of one topic or language."""

    pairs: int = 0
    sentences: int = 0
    correct: int = 0
    hallucinated: int = 0

    def add_sentences(self, label: str, count: int) -> None:
        """Count sentences of one label."""
        self.sentences += count
        self.correct += count if label in CORRECT_LABELS else 0
        self.hallucinated += count if label in HALLUCINATED_LABELS else 0

    def add(self, other: GroupCounts) -> None:
        """Add the counts of another group."""
        self.pairs += other.pairs
        self.sentences += other.sentences
        self.correct += other.correct
        self.hallucinated += other.hallucinated

    def to_dict(self) -> dict[str, int]:
        """The counts by name, as in statistics.json."""
        return {
            "pairs": self.pairs,
            "sentences": self.sentences,
            "correct": self.correct,
            "hallucinated": self.hallucinated,
        }


@dataclass(kw_only=True, slots=True)
class SplitCounts:
    """All counts of one split; those of two splits add up."""

    num_pairs: int = 0
    labels: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in ("all", "chosen", "rejected")}
    )
    sources: Counter[str] = field(default_factory=Counter)
    values: dict[str, Counted] = field(
        default_factory=lambda: {name: Counter() for name in SUMMARIES}
    )
    longer: Counter[str] = field(default_factory=Counter)
    ratios: Counted = field(default_factory=Counter)
    ratio_and_margin: Counter[tuple[int, int]] = field(default_factory=Counter)
    topics: dict[str, GroupCounts] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    languages: dict[str, GroupCounts] = field(default_factory=dict)
    pieces: dict[str, Counter[str]] = field(default_factory=dict)
    wrong_shares: dict[str, Counted] = field(default_factory=dict)

    def add(self, other: SplitCounts) -> None:
        """Add the counts of another split."""
        self.num_pairs += other.num_pairs
        for name, labels in other.labels.items():
            self.labels[name] += labels
        self.sources += other.sources
        for name, counted in other.values.items():
            self.values[name].update(counted)
        self.longer += other.longer
        self.ratios.update(other.ratios)
        self.ratio_and_margin.update(other.ratio_and_margin)
        self.named |= other.named
        for side, of_pieces in other.pieces.items():
            self.pieces.setdefault(side, Counter()).update(of_pieces)
        for side, shares in other.wrong_shares.items():
            self.wrong_shares.setdefault(side, Counter()).update(shares)
        for mine, theirs in ((self.topics, other.topics), (self.languages, other.languages)):
            for name, group in theirs.items():
                mine.setdefault(name, GroupCounts()).add(group)


FRACTION = Scale(steps=SCORE_STEPS, low=0.0, high=1.0)
CHARACTERS = Scale(steps=1)
SUMMARIES: Mapping[str, Scale] = {
    "score_chosen": FRACTION,
    "score_rejected": FRACTION,
    "margin": FRACTION,
    "length_chosen": CHARACTERS,
    "length_rejected": CHARACTERS,
    "active_share_chosen": FRACTION,
    "active_share_rejected": FRACTION,
}


def count_split(folder: Path, split: Split) -> SplitCounts:
    """The counts of one split of a data set folder. Raises InputError for an unreadable file."""
    counts = SplitCounts()
    for rows in _batches(folder / "pairs", split, _PAIR_COLUMNS):
        for row in rows.to_pylist():
            _add_pair(counts, row)
    for rows in _batches(folder / "sentences", split, _SENTENCE_COLUMNS):
        _add_sentences(counts, rows)
    return counts


_PAIR_COLUMNS = [
    "chosen",
    "rejected",
    "chosen_spans",
    "rejected_spans",
    "chosen_score",
    "rejected_score",
    "question_id",
    "topic",
    "language",
]
_SENTENCE_COLUMNS = ["question_id", "topic", "language", "label", "source"]


def _batches(folder: Path, split: Split, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa

    for path in sorted(folder.glob(f"{split}-*.parquet")):
        require_columns(path, columns, what="statistics")
        for batch in scan_batches(path, columns=columns):
            yield pa.Table.from_batches([batch])


def _add_pair(counts: SplitCounts, row: Mapping[str, Any]) -> None:
    counts.num_pairs += 1
    topic, language = row["topic"] or row["question_id"] or "", row["language"] or ""
    counts.topics.setdefault(topic, GroupCounts()).pairs += 1
    counts.named.update([row["topic"]] if row["topic"] else ())
    counts.languages.setdefault(language, GroupCounts()).pairs += 1
    lengths: dict[str, int] = {}
    for side in ("chosen", "rejected"):
        content = row[side][-1]["content"] if row[side] else ""
        lengths[side] = len(content)
        counts.values[f"length_{side}"][len(content)] += 1
        if row[f"{side}_score"] is not None:
            counts.values[f"score_{side}"][round(row[f"{side}_score"] * SCORE_STEPS)] += 1
        spans = row[f"{side}_spans"]
        if spans is None:
            continue
        sentences = group_piece_rows(spans)
        counts.labels[side].update(pieces[0]["label"] for pieces in sentences)
        for pieces in sentences:
            if any(piece.get("part") == "error" for piece in pieces):
                _add_pieces(counts, side, pieces)
        characters = _length(spans)
        active = _length(span for span in spans if span["weight"] > 0.0)
        if characters:
            share = round(active / characters * SCORE_STEPS)
            counts.values[f"active_share_{side}"][share] += 1
    _add_bias(counts, row, lengths)


def _add_pieces(counts: SplitCounts, side: str, pieces: Sequence[Mapping[str, Any]]) -> None:
    """Count a sentence with error spans: its wrong words, and what of it trains."""
    wrong = [piece for piece in pieces if piece["part"] == "error"]
    characters, wrong_characters = _length(pieces), _length(wrong)
    counts.pieces.setdefault(side, Counter()).update(
        sentences=1,
        wrong_words=len(wrong),
        characters=characters,
        wrong_characters=wrong_characters,
        active_wrong_characters=_length(item for item in wrong if item["weight"] > 0.0),
        active_characters=_length(item for item in pieces if item["weight"] > 0.0),
    )
    share = round(wrong_characters / characters * SCORE_STEPS)
    counts.wrong_shares.setdefault(side, Counter())[share] += 1


def _length(spans: Iterable[Mapping[str, Any]]) -> int:
    """Number of characters."""
    return sum(span["end"] - span["start"] for span in spans)


def _add_bias(counts: SplitCounts, row: Mapping[str, Any], lengths: Mapping[str, int]) -> None:
    chosen, rejected = lengths["chosen"], lengths["rejected"]
    words = ("chosen_shorter", "equal", "chosen_longer")
    counts.longer[words[(chosen > rejected) - (chosen < rejected) + 1]] += 1
    ratio = round(LOG_STEPS * math.log2(chosen / rejected)) if chosen and rejected else None
    if ratio is not None:
        counts.ratios[ratio] += 1
    if row["chosen_score"] is None or row["rejected_score"] is None:
        return
    margin = round((row["chosen_score"] - row["rejected_score"]) * SCORE_STEPS)
    counts.values["margin"][margin] += 1
    if ratio is not None:
        counts.ratio_and_margin[ratio, margin] += 1


def _add_sentences(counts: SplitCounts, rows: Any) -> None:
    """Counted by Arrow: there are many sentences, but few different values of these columns."""
    counted = rows.group_by(_SENTENCE_COLUMNS).aggregate([([], "count_all")])
    for row in counted.to_pylist():
        count, label = row["count_all"], row["label"] or ""
        counts.labels["all"][label] += count
        counts.sources[row["source"] or ""] += count
        topic = counts.topics.setdefault(row["topic"] or row["question_id"] or "", GroupCounts())
        counts.named.update([row["topic"]] if row["topic"] else ())
        language = counts.languages.setdefault(row["language"] or "", GroupCounts())
        for group in (topic, language):
            group.add_sentences(label, count)
