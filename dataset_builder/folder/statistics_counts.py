"""The counts from which a data set's statistics are computed, read from its Parquet files.

The rule: everything is counted as whole numbers (characters, sentences, scores in steps of
1 / SCORE_STEPS), so counts of two splits add up and memory grows with the number of different
values, not with the rows. The rows of a record batch are counted at once, in arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dataset_builder.folder.summaries import Products, Scale
from dataset_builder.splits.splits import Split
from schemas.files.columnar import scan_batches
from schemas.files.tables import require_columns
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS

SCORE_STEPS = 1_000
LOG_STEPS = 100
ROWS_A_BATCH = 8_192

Counted = Counter[int]
Wholes = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(kw_only=True, slots=True)
class GroupCounts:
    """The counts of one topic or language."""

    pairs: int = 0
    sentences: int = 0
    correct: int = 0
    hallucinated: int = 0

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
    ratio_and_margin: Products = field(default_factory=Products)
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
        self.ratio_and_margin.add(other.ratio_and_margin)
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
        _add_pairs(counts, rows)
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
    for path in sorted(folder.glob(f"{split}-*.parquet")):
        require_columns(path, columns, what="statistics")
        yield from scan_batches(path, columns=columns, num_rows=ROWS_A_BATCH)


def _add_pairs(counts: SplitCounts, rows: Any) -> None:
    counts.num_pairs += rows.num_rows
    _add_groups(counts, rows, pairs=np.ones(rows.num_rows))
    lengths: dict[str, Wholes] = {}
    scores: dict[str, Floats] = {}
    for side in ("chosen", "rejected"):
        lengths[side] = _last_lengths(rows.column(side))
        scores[side] = rows.column(f"{side}_score").cast("float64").to_numpy(zero_copy_only=False)
        _count(counts.values[f"length_{side}"], lengths[side])
        _count(counts.values[f"score_{side}"], _steps(scores[side]))
        _add_spans(counts, side, rows.column(f"{side}_spans"))
    _add_bias(counts, lengths["chosen"], lengths["rejected"], scores["chosen"] - scores["rejected"])


def _add_spans(counts: SplitCounts, side: str, spans: Any) -> None:
    """Count the spans of one side: characters that train, labels, and sentences of pieces."""
    owners, items = _flat(spans)
    if not len(owners):
        return
    sizes = items.field("end").to_numpy() - items.field("start").to_numpy()
    active = sizes * (items.field("weight").to_numpy() > 0.0)
    _count(counts.values[f"active_share_{side}"], _shares(owners, active, sizes))
    begins = _begins(owners, items)
    counts.labels[side].update(items.field("label").filter(pa.array(begins)).to_pylist())
    if "part" in items.type.names:
        is_wrong = pc.fill_null(pc.equal(items.field("part"), "error"), False)
        wrong = is_wrong.to_numpy(zero_copy_only=False)
        _add_pieces(counts, side, np.cumsum(begins) - 1, wrong=wrong, sizes=sizes, active=active)


def _add_pieces(
    counts: SplitCounts,
    side: str,
    sentences: Wholes,
    *,
    wrong: Flags,
    sizes: Wholes,
    active: Wholes,
) -> None:
    """Count the sentences with error spans: their wrong words, and what of them trains.

    All arrays have one value per piece; `sentences` has the number of its sentence.
    """
    marked = np.bincount(sentences, weights=wrong)[sentences] > 0
    if not marked.any():
        return
    sentences, wrong, sizes, active = (
        sentences[marked],
        wrong[marked],
        sizes[marked],
        active[marked],
    )
    counts.pieces.setdefault(side, Counter()).update(
        sentences=len(np.unique(sentences)),
        wrong_words=int(wrong.sum()),
        characters=int(sizes.sum()),
        wrong_characters=int(sizes[wrong].sum()),
        active_wrong_characters=int(active[wrong].sum()),
        active_characters=int(active.sum()),
    )
    shares = _shares(sentences, sizes * wrong, sizes)
    _count(counts.wrong_shares.setdefault(side, Counter()), shares)


def _add_bias(counts: SplitCounts, chosen: Wholes, rejected: Wholes, differences: Floats) -> None:
    """Count which side is longer, by how much, and whether the margin of scores follows it."""
    for word, sign in (("chosen_shorter", -1), ("equal", 0), ("chosen_longer", 1)):
        counts.longer[word] += int(np.count_nonzero(np.sign(chosen - rejected) == sign))
    _count(counts.values["margin"], _steps(differences))
    with_text = (chosen > 0) & (rejected > 0)
    ratios = LOG_STEPS * np.log2(chosen[with_text] / rejected[with_text])
    _count(counts.ratios, np.rint(ratios).astype(np.int64))
    margins = differences[with_text]
    scored = np.isfinite(margins)
    counts.ratio_and_margin.add(
        Products.of(np.rint(ratios[scored]).astype(np.int64), _steps(margins))
    )


def _add_sentences(counts: SplitCounts, rows: Any) -> None:
    labels = pc.fill_null(rows.column("label").cast("string"), "")
    counts.labels["all"].update(_tally(labels))
    counts.sources.update(_tally(pc.fill_null(rows.column("source").cast("string"), "")))
    _add_groups(
        counts,
        rows,
        sentences=np.ones(rows.num_rows),
        correct=_are_in(labels, CORRECT_LABELS),
        hallucinated=_are_in(labels, HALLUCINATED_LABELS),
    )


def _add_groups(counts: SplitCounts, rows: Any, **weights: Floats | Flags) -> None:
    """Add to the topics and languages of the rows; `weights` are fields of GroupCounts."""
    topics, questions, languages = (
        rows.column(name).cast("string") for name in ("topic", "question_id", "language")
    )
    named = topics.filter(pc.not_equal(topics, ""))  # without nulls, too
    counts.named.update(named.unique().to_pylist())
    topics = pc.coalesce(pc.if_else(pc.equal(topics, ""), None, topics), questions, "")
    for groups, names in (
        (counts.topics, topics),
        (counts.languages, pc.fill_null(languages, "")),
    ):
        coded = names.dictionary_encode()
        codes = coded.indices.to_numpy()
        sums = {key: np.bincount(codes, weights=values) for key, values in weights.items()}
        for place, name in enumerate(coded.dictionary.to_pylist()):
            found = {key: int(values[place]) for key, values in sums.items()}
            groups.setdefault(name, GroupCounts()).add(GroupCounts(**found))


def _flat(lists: Any) -> tuple[Wholes, Any]:
    """The items of all lists of a column, and for each the number of its row."""
    if pa.types.is_null(lists.type):
        return np.zeros(0, dtype=np.int64), None
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    return np.repeat(np.arange(len(lists)), sizes), pc.list_flatten(lists)


def _last_lengths(messages: Any) -> Wholes:
    """Number of characters (Unicode code points) of each row's last message; 0 where none is."""
    owners, items = _flat(messages)
    lengths = np.zeros(len(messages), dtype=np.int64)
    if len(owners):
        # Of several values for one row, NumPy keeps the last.
        lengths[owners] = pc.fill_null(pc.utf8_length(items.field("content")), 0).to_numpy()
    return lengths


def _begins(owners: Wholes, items: Any) -> Flags:
    """Where a sentence begins: at each span, except at a further piece of the sentence before."""
    begins = np.ones(len(owners), dtype=bool)
    if "sentence" in items.type.names:
        numbers = items.field("sentence").cast("float64").to_numpy(zero_copy_only=False)
        # A null is nan, which equals no number.
        begins[1:] = (owners[1:] != owners[:-1]) | (numbers[1:] != numbers[:-1])
    return begins


def _shares(owners: Wholes, part: Wholes, whole: Wholes) -> Wholes:
    """For each owner the share of `part` in `whole`, in steps; without a whole there is none."""
    parts, wholes = np.bincount(owners, weights=part), np.bincount(owners, weights=whole)
    has_whole = wholes != 0
    return _steps(parts[has_whole] / wholes[has_whole])


def _steps(values: Floats) -> Wholes:
    """Values in steps of 1 / SCORE_STEPS, half to even; nan is left out."""
    return np.rint(values[np.isfinite(values)] * SCORE_STEPS).astype(np.int64)


def _count(counted: Counted, values: Wholes) -> None:
    numbers, counts = np.unique(values, return_counts=True)
    counted.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))


def _tally(texts: Any) -> dict[str, int]:
    """How often each text occurs."""
    return {item["values"]: item["counts"] for item in texts.value_counts().to_pylist()}


def _are_in(labels: Any, wanted: Collection[str]) -> Flags:
    found = pc.is_in(labels, value_set=pa.array(map(str, wanted)))
    return found.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
