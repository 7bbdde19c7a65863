"""One question, from the responses to it to pairs: reviews, selection, weights. Pure.

The rule: the result of a question depends on its own rows, the settings, and whether cleaning found
a leak, but on no other question. So questions can be built in any order, in shards, and one at a
time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dataset_builder.config import BuildConfig
from dataset_builder.dropped_pairs import leave_out
from dataset_builder.pairs import make_pair
from dataset_builder.select import Selection, drop, find_fault, select
from dataset_builder.splits.splits import Split, split_of
from dataset_builder.unused import LEAKING, Unused
from dataset_builder.weights import find_unusable_confidence
from formats.reviews.apply import Replaced, apply_reviews
from formats.reviews.conflicts import Conflict
from formats.reviews.log import Logged
from schemas.errors import ConfigError
from schemas.records import Annotation, Failure, Pair
from schemas.spans import Offsets


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The result of one question.

    rows             its responses, reviewed
    split            where its rows are written; None when they are not written
    replaced         verdicts that people's decisions replaced, by response id and offsets
    review_counts    number of reviews by their outcome (formats.reviews.apply)
    dropped_pairs    pairs that people dropped; `used_drops` are the decisions that did it
    """

    rows: Sequence[Annotation]
    split: Split | None
    selection: Selection
    pairs: Sequence[Pair] = ()
    replaced: Mapping[str, Mapping[Offsets, Replaced]] = field(default_factory=dict)
    conflicts: Sequence[Conflict] = ()
    refused: Sequence[Failure] = ()
    review_counts: Mapping[str, int] = field(default_factory=dict)
    dropped_pairs: int = 0
    used_drops: int = 0


def build_question(
    responses: Sequence[Annotation],
    config: BuildConfig,
    *,
    reviews: Mapping[str, Sequence[Logged]] | None = None,
    drops: Mapping[tuple[str, str], int] | None = None,
    find_leak: Callable[[Sequence[Annotation]], Unused | None] | None = None,
    topic_name: Callable[[str], str] = str,
) -> Outcome:
    """Build one question from its responses (not empty, ids unique).

    reviews        by response id
    drops          how many people dropped a pair, by the SHA-256 of its two texts
    find_leak      called only for questions that would be in train
    topic_name     gives the spelling of a topic that decides its split

    Raises ConfigError for weights by confidence when a confidence is not a probability.
    """
    reviewed = apply_reviews(responses, reviews or {}, config.conflicts)
    rows = reviewed.rows
    for row in rows:
        if message := find_unusable_confidence(row, config):
            raise ConfigError(message)
    split = _split(rows, config, topic_name)
    leak = find_leak(rows) if find_leak is not None and split is Split.TRAIN else None
    selection = drop([row.id for row in rows], leak) if leak else select(rows, config)
    remaining = leave_out(selection, drops or {})
    return Outcome(
        rows=rows,
        split=None if selection.dropped in LEAKING else split,
        selection=remaining.selection,
        pairs=[make_pair(choice, config) for choice in remaining.selection.choices],
        replaced=reviewed.replaced,
        conflicts=reviewed.conflicts,
        refused=reviewed.refused,
        review_counts=reviewed.counts,
        dropped_pairs=remaining.num_dropped,
        used_drops=remaining.num_used,
    )


def _split(
    rows: Sequence[Annotation], config: BuildConfig, topic_name: Callable[[str], str]
) -> Split | None:
    """The split of a question; None when its responses name different topics."""
    if find_fault(rows) is Unused.TOPICS_DIFFER:
        return None
    first = rows[0]
    return split_of(
        topic=topic_name(first.topic),
        question_id=first.question_id,
        seed=config.seed,
        test_share=config.test_share,
    )
