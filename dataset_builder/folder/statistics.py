"""Statistics of a data set folder: labels, scores, margins, lengths, active text, topics.

The rule: every figure is computed from counts of whole numbers (characters, sentences, scores in
steps of 1 / SCORE_STEPS). So the figures do not depend on the order of rows or files, and memory
grows with the number of different values, not with the rows.

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
    pieces          only in data sets with pieces: {"chosen" | "rejected": {"sentences",
                    "wrong_words", "characters", "wrong_characters", "active_wrong_characters",
                    "active_characters", "wrong_share": summary}}, all over sentences with error
                    spans; wrong_share is the share of a sentence's characters that are wrong

A summary is {"count", "mean", "min", "p10", "median", "p90", "max", "edges", "counts"}: `counts[i]`
values are in [edges[i], edges[i + 1]), the last bin with its end; the outer bins also count the
values beyond them. Without values, all except `count` are null and the lists are empty. A length
bias above one half is not wrong by itself: a model may only learn from it that longer is better
(arXiv 2403.19159).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dataset_builder.folder.statistics_counts import (
    FRACTION,
    LOG_STEPS,
    SCORE_STEPS,
    SUMMARIES,
    Counted,
    GroupCounts,
    SplitCounts,
    count_split,
)
from dataset_builder.folder.summaries import Scale, summarise
from dataset_builder.splits.splits import Split
from dataset_builder.splits.topics import topic_key
from schemas.files.writing import write_json
from schemas.labels import Label

STATISTICS_NAME = "statistics.json"
FORMAT = "maskdpo.statistics"
VERSION = "1.0"
VERSION_WITH_PIECES = "1.1"
MAX_TOPICS = 50


def compute_statistics(folder: Path) -> dict[str, Any]:
    """The statistics of a data set folder, as plain JSON values; see the module's docstring.

    Raises InputError when a file is not Parquet or has no such column.
    """
    splits = {split: count_split(Path(folder), split) for split in Split}
    total = SplitCounts()
    for counts in splits.values():
        total.add(counts)
    return {
        "format": FORMAT,
        "version": VERSION_WITH_PIECES if total.pieces else VERSION,
        "all": _describe(total),
        "splits": {str(split): _describe(counts) for split, counts in splits.items()},
    }


def write_statistics(folder: Path) -> dict[str, Any]:
    """`compute_statistics`, also written to `folder/statistics.json`."""
    statistics = compute_statistics(folder)
    write_json(Path(folder) / STATISTICS_NAME, statistics)
    return statistics


def _describe(counts: SplitCounts) -> dict[str, Any]:
    by_name = _by_least_spelling(counts)
    topics = sorted(by_name.items(), key=lambda item: (-item[1].pairs, -item[1].sentences, item[0]))
    return {
        "num_pairs": counts.num_pairs,
        "num_sentences": sum(counts.labels["all"].values()),
        "num_topics": len(topics),
        "labels": {name: _in_order(counted) for name, counted in counts.labels.items()},
        "sources": dict(sorted(counts.sources.items())),
        **{name: summarise(counts.values[name], scale) for name, scale in SUMMARIES.items()},
        "length_bias": _length_bias(counts),
        "topics": {name: group.to_dict() for name, group in topics[:MAX_TOPICS]},
        "topics_left_out": max(0, len(topics) - MAX_TOPICS),
        "topic_rates": summarise(_topic_rates(by_name.values()), FRACTION),
        "languages": {name: group.to_dict() for name, group in sorted(counts.languages.items())},
        **({"pieces": _describe_pieces(counts)} if counts.pieces else {}),
    }


def _describe_pieces(counts: SplitCounts) -> dict[str, Any]:
    return {
        side: {**counted, "wrong_share": summarise(counts.wrong_shares[side], FRACTION)}
        for side, counted in sorted(counts.pieces.items())
    }


def _in_order(counted: Mapping[str, int]) -> dict[str, int]:
    """Known labels in their order; any other label of a file is counted as `other`."""
    shown = {str(label): counted[label] for label in Label if counted.get(label)}
    others = sum(counted.values()) - sum(shown.values())
    return {**shown, "other": others} if others else shown


def _by_least_spelling(counts: SplitCounts) -> dict[str, GroupCounts]:
    """The counts of each topic; its spellings are together under the least of them."""
    least: dict[str, str] = {}
    for topic in sorted(counts.named):
        least.setdefault(topic_key(topic), topic)
    groups: dict[str, GroupCounts] = {}
    for name, group in counts.topics.items():
        topic = least[topic_key(name)] if name in counts.named else name
        groups.setdefault(topic, GroupCounts()).add(group)
    return groups


def _topic_rates(groups: Iterable[GroupCounts]) -> Counted:
    rates: Counted = Counter()
    for group in groups:
        decided = group.correct + group.hallucinated
        if decided:
            rates[round(group.hallucinated / decided * SCORE_STEPS)] += 1
    return rates


def _length_bias(counts: SplitCounts) -> dict[str, Any]:
    names = ("chosen_longer", "equal", "chosen_shorter")
    ratio = summarise(counts.ratios, Scale(steps=LOG_STEPS, low=-1.0, high=1.0))["median"]
    return {
        **{name: counts.longer[name] for name in names},
        "median_log2_ratio": ratio,
        "correlation_with_margin": counts.ratio_and_margin.correlation(),
    }
