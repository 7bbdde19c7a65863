"""What a data set folder holds, in numbers: labels, scores, margins, lengths, active text, topics.

The rule that makes it correct: every figure is taken from a tally of whole numbers (characters,
sentences, scores in steps of 1 / SCORE_STEPS). So the figures do not depend on the order of rows
or files, and memory grows with the different values, not with the rows.

    compute_statistics(folder) -> {
        "format", "version",
        "all":    {...},                   the same keys for all rows and for each split
        "splits": {"train": {...}, "test": {...}},
    }

    num_pairs, num_sentences, num_topics
    labels          {"all" | "chosen" | "rejected": {label: sentences}}
    sources         {"judge" | "person": sentences}
    score_chosen, score_rejected, margin                 summaries (below)
    length_chosen, length_rejected                       summaries, in characters
    active_share_chosen, active_share_rejected           summaries: characters that train / all
    length_bias     {"chosen_longer", "equal", "chosen_shorter": pairs,
                     "median_log2_ratio": log2(chosen / rejected),
                     "correlation_with_margin": Pearson, of that and the margin, or null}
    topics          {name: {"pairs", "sentences", "correct", "hallucinated"}}, MAX_TOPICS at most;
                    spellings of one topic under the least
    topics_left_out how many smaller ones there are
    topic_rates     summary: hallucinated / (correct + hallucinated) sentences of each topic
    languages       {name: the same counts as a topic's}

A summary is {"count", "mean", "min", "p10", "median", "p90", "max", "edges", "counts"}: `counts[i]`
values lie in [edges[i], edges[i + 1]), the last bin with its end; the outer bins also hold what
lies beyond them. All but `count` are null, and
the lists empty, where there is no value. A length bias above one half is not wrong by itself: a
model may only learn from it that longer is better (arXiv 2403.19159).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_builder.splits.splits import Split
from dataset_builder.splits.topics import topic_key
from schemas.errors import InputError
from schemas.files.writing import write_json
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label

STATISTICS_NAME = "statistics.json"
FORMAT = "maskdpo.statistics"
VERSION = "1.0"
SCORE_STEPS = 1_000
LOG_STEPS = 100
MAX_TOPICS = 50
NUM_BINS = 20
ROWS_A_BATCH = 4_096

Tally = Counter[int]


@dataclass(kw_only=True, slots=True)
class _Group:
    """The counts of one topic or language."""

    pairs: int = 0
    sentences: int = 0
    correct: int = 0
    hallucinated: int = 0

    def add_sentences(self, label: str, count: int) -> None:
        self.sentences += count
        self.correct += count if label in CORRECT_LABELS else 0
        self.hallucinated += count if label in HALLUCINATED_LABELS else 0

    def add(self, other: _Group) -> None:
        self.pairs += other.pairs
        self.sentences += other.sentences
        self.correct += other.correct
        self.hallucinated += other.hallucinated

    def to_dict(self) -> dict[str, int]:
        return {
            "pairs": self.pairs,
            "sentences": self.sentences,
            "correct": self.correct,
            "hallucinated": self.hallucinated,
        }


@dataclass(kw_only=True, slots=True)
class _Tallies:
    """All tallies of one split; those of two splits add up."""

    num_pairs: int = 0
    labels: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in ("all", "chosen", "rejected")}
    )
    sources: Counter[str] = field(default_factory=Counter)
    values: dict[str, Tally] = field(
        default_factory=lambda: {name: Counter() for name in _SUMMARIES}
    )
    longer: Counter[str] = field(default_factory=Counter)
    ratios: Tally = field(default_factory=Counter)
    ratio_and_margin: Counter[tuple[int, int]] = field(default_factory=Counter)
    topics: dict[str, _Group] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    languages: dict[str, _Group] = field(default_factory=dict)

    def add(self, other: _Tallies) -> None:
        self.num_pairs += other.num_pairs
        for name, labels in other.labels.items():
            self.labels[name] += labels
        self.sources += other.sources
        for name, tally in other.values.items():
            self.values[name].update(tally)
        self.longer += other.longer
        self.ratios.update(other.ratios)
        self.ratio_and_margin.update(other.ratio_and_margin)
        self.named |= other.named
        for mine, theirs in ((self.topics, other.topics), (self.languages, other.languages)):
            for name, group in theirs.items():
                mine.setdefault(name, _Group()).add(group)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How a summary's whole numbers are read: value = number / steps; and its histogram's span."""

    steps: int
    low: float | None = None
    high: float | None = None


_FRACTION = Scale(steps=SCORE_STEPS, low=0.0, high=1.0)
_CHARACTERS = Scale(steps=1)
_SUMMARIES: Mapping[str, Scale] = {
    "score_chosen": _FRACTION,
    "score_rejected": _FRACTION,
    "margin": _FRACTION,
    "length_chosen": _CHARACTERS,
    "length_rejected": _CHARACTERS,
    "active_share_chosen": _FRACTION,
    "active_share_rejected": _FRACTION,
}


def compute_statistics(folder: Path) -> dict[str, Any]:
    """The statistics of a data set folder, as plain JSON values; the module says which.

    Raises InputError when a file is no Parquet or lacks a column.
    """
    splits = {split: _tally_split(Path(folder), split) for split in Split}
    total = _Tallies()
    for tallies in splits.values():
        total.add(tallies)
    return {
        "format": FORMAT,
        "version": VERSION,
        "all": _describe(total),
        "splits": {str(split): _describe(tallies) for split, tallies in splits.items()},
    }


def write_statistics(folder: Path) -> dict[str, Any]:
    """`compute_statistics`, also written to `folder/statistics.json`."""
    statistics = compute_statistics(folder)
    write_json(Path(folder) / STATISTICS_NAME, statistics)
    return statistics


def summarise(tally: Mapping[int, int], scale: Scale) -> dict[str, Any]:
    """Mean, quantiles and histogram of a tally {whole number: how often}."""
    numbers = sorted(number for number, count in tally.items() if count)
    count = sum(tally.values())
    if not count:
        names = ("mean", "min", "p10", "median", "p90", "max")
        return {"count": 0, **dict.fromkeys(names), "edges": [], "counts": []}
    cumulative: list[int] = []
    for number in numbers:
        cumulative.append((cumulative[-1] if cumulative else 0) + tally[number])

    def quantile(share: float) -> float:
        """The least value that this share of all values does not exceed."""
        rank = max(1, math.ceil(share * count))
        return numbers[bisect_right(cumulative, rank - 1)] / scale.steps

    edges = _edges(numbers, scale)
    bins = [0] * (len(edges) - 1)
    for number in numbers:
        place = bisect_right(edges, number / scale.steps) - 1
        bins[max(0, min(place, len(bins) - 1))] += tally[number]
    return {
        "count": count,
        "mean": _round(sum(number * tally[number] for number in numbers) / count / scale.steps),
        "min": numbers[0] / scale.steps,
        "p10": quantile(0.1),
        "median": quantile(0.5),
        "p90": quantile(0.9),
        "max": numbers[-1] / scale.steps,
        "edges": edges,
        "counts": bins,
    }


def _edges(numbers: Sequence[int], scale: Scale) -> list[float]:
    """Even bins over the scale's span; lengths in two bins a doubling: ... 32, 48, 64, 96 ..."""
    if scale.low is not None and scale.high is not None:
        width = (scale.high - scale.low) / NUM_BINS
        return [round(scale.low + width * index, 6) for index in range(NUM_BINS + 1)]
    power = 1 << max(0, max(1, numbers[0]).bit_length() - 1)
    edges: list[float] = [0, 1] if numbers[0] == 0 else [power]
    while edges[-1] <= numbers[-1]:
        edges += [power * 3 // 2, power * 2] if power > 1 else [2]
        power *= 2
    return edges


def _tally_split(folder: Path, split: Split) -> _Tallies:
    tallies = _Tallies()
    for rows in _batches(folder / "pairs", split, _PAIR_COLUMNS):
        for row in rows.to_pylist():
            _add_pair(tallies, row)
    for rows in _batches(folder / "sentences", split, _SENTENCE_COLUMNS):
        _add_sentences(tallies, rows)
    return tallies


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
    import pyarrow.parquet as pq

    for path in sorted(folder.glob(f"{split}-*.parquet")):
        try:
            with pq.ParquetFile(path) as file:
                missing = [name for name in columns if name not in file.schema_arrow.names]
                if missing:
                    raise InputError.of(path, f"has no column {missing[0]!r}")
                for batch in file.iter_batches(batch_size=ROWS_A_BATCH, columns=columns):
                    yield pa.Table.from_batches([batch])
        except (OSError, pa.ArrowException) as error:
            message = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
            raise InputError.of(path, message) from None


def _add_pair(tallies: _Tallies, row: Mapping[str, Any]) -> None:
    tallies.num_pairs += 1
    topic, language = row["topic"] or row["question_id"] or "", row["language"] or ""
    tallies.topics.setdefault(topic, _Group()).pairs += 1
    tallies.named.update([row["topic"]] if row["topic"] else ())
    tallies.languages.setdefault(language, _Group()).pairs += 1
    lengths: dict[str, int] = {}
    for side in ("chosen", "rejected"):
        content = row[side][-1]["content"] if row[side] else ""
        lengths[side] = len(content)
        tallies.values[f"length_{side}"][len(content)] += 1
        if row[f"{side}_score"] is not None:
            tallies.values[f"score_{side}"][round(row[f"{side}_score"] * SCORE_STEPS)] += 1
        spans = row[f"{side}_spans"]
        if spans is None:
            continue
        tallies.labels[side].update(span["label"] for span in spans)
        characters = sum(span["end"] - span["start"] for span in spans)
        active = sum(span["end"] - span["start"] for span in spans if span["weight"] > 0.0)
        if characters:
            share = round(active / characters * SCORE_STEPS)
            tallies.values[f"active_share_{side}"][share] += 1
    _add_bias(tallies, row, lengths)


def _add_bias(tallies: _Tallies, row: Mapping[str, Any], lengths: Mapping[str, int]) -> None:
    chosen, rejected = lengths["chosen"], lengths["rejected"]
    words = ("chosen_shorter", "equal", "chosen_longer")
    tallies.longer[words[(chosen > rejected) - (chosen < rejected) + 1]] += 1
    ratio = round(LOG_STEPS * math.log2(chosen / rejected)) if chosen and rejected else None
    if ratio is not None:
        tallies.ratios[ratio] += 1
    if row["chosen_score"] is None or row["rejected_score"] is None:
        return
    margin = round((row["chosen_score"] - row["rejected_score"]) * SCORE_STEPS)
    tallies.values["margin"][margin] += 1
    if ratio is not None:
        tallies.ratio_and_margin[ratio, margin] += 1


def _add_sentences(tallies: _Tallies, rows: Any) -> None:
    """Counted by Arrow: there are many sentences and few different rows of these columns."""
    counted = rows.group_by(_SENTENCE_COLUMNS).aggregate([([], "count_all")])
    for row in counted.to_pylist():
        count, label = row["count_all"], row["label"] or ""
        tallies.labels["all"][label] += count
        tallies.sources[row["source"] or ""] += count
        topic = tallies.topics.setdefault(row["topic"] or row["question_id"] or "", _Group())
        tallies.named.update([row["topic"]] if row["topic"] else ())
        language = tallies.languages.setdefault(row["language"] or "", _Group())
        for group in (topic, language):
            group.add_sentences(label, count)


def _describe(tallies: _Tallies) -> dict[str, Any]:
    by_name = _by_least_spelling(tallies)
    topics = sorted(by_name.items(), key=lambda item: (-item[1].pairs, -item[1].sentences, item[0]))
    return {
        "num_pairs": tallies.num_pairs,
        "num_sentences": sum(tallies.labels["all"].values()),
        "num_topics": len(topics),
        "labels": {name: _in_order(counted) for name, counted in tallies.labels.items()},
        "sources": dict(sorted(tallies.sources.items())),
        **{name: summarise(tallies.values[name], scale) for name, scale in _SUMMARIES.items()},
        "length_bias": _length_bias(tallies),
        "topics": {name: group.to_dict() for name, group in topics[:MAX_TOPICS]},
        "topics_left_out": max(0, len(topics) - MAX_TOPICS),
        "topic_rates": summarise(_topic_rates(by_name.values()), _FRACTION),
        "languages": {name: group.to_dict() for name, group in sorted(tallies.languages.items())},
    }


def _in_order(counted: Mapping[str, int]) -> dict[str, int]:
    """Known labels in their order; whatever else a file holds is counted as `other`."""
    shown = {str(label): counted[label] for label in Label if counted.get(label)}
    others = sum(counted.values()) - sum(shown.values())
    return {**shown, "other": others} if others else shown


def _by_least_spelling(tallies: _Tallies) -> dict[str, _Group]:
    """The counts of each topic, its spellings together under the least of them."""
    least: dict[str, str] = {}
    for topic in sorted(tallies.named):
        least.setdefault(topic_key(topic), topic)
    groups: dict[str, _Group] = {}
    for name, group in tallies.topics.items():
        topic = least[topic_key(name)] if name in tallies.named else name
        groups.setdefault(topic, _Group()).add(group)
    return groups


def _topic_rates(groups: Iterable[_Group]) -> Tally:
    rates: Tally = Counter()
    for group in groups:
        decided = group.correct + group.hallucinated
        if decided:
            rates[round(group.hallucinated / decided * SCORE_STEPS)] += 1
    return rates


def _length_bias(tallies: _Tallies) -> dict[str, Any]:
    names = ("chosen_longer", "equal", "chosen_shorter")
    ratio = summarise(tallies.ratios, Scale(steps=LOG_STEPS, low=-1.0, high=1.0))["median"]
    return {
        **{name: tallies.longer[name] for name in names},
        "median_log2_ratio": ratio,
        "correlation_with_margin": _correlation(tallies.ratio_and_margin),
    }


def _correlation(tally: Mapping[tuple[int, int], int]) -> float | None:
    """Pearson's, in whole numbers up to the last step; None where one side does not vary."""
    count = sum(tally.values())
    sum_x = sum(x * n for (x, _), n in tally.items())
    sum_y = sum(y * n for (_, y), n in tally.items())
    sum_xx = sum(x * x * n for (x, _), n in tally.items())
    sum_yy = sum(y * y * n for (_, y), n in tally.items())
    sum_xy = sum(x * y * n for (x, y), n in tally.items())
    spread = (count * sum_xx - sum_x**2) * (count * sum_yy - sum_y**2)
    return _round((count * sum_xy - sum_x * sum_y) / math.sqrt(spread)) if spread else None


def _round(value: float) -> float:
    return round(value, 6)
