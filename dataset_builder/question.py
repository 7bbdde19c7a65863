"""One question, from the responses to it to pairs: corrections, selection, weights. Pure.

The rule: what becomes of a question depends on its own rows, the settings, and whether cleaning
found it to leak, and on no other question. So questions can be built in any order, in shards, and
one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dataset_builder.config import BuildConfig
from dataset_builder.pairs import make_pair
from dataset_builder.reasons import LEAKING, Unused
from dataset_builder.reviews.apply import Corrected, Replaced, apply_corrections
from dataset_builder.select import Selection, drop, find_fault, select
from dataset_builder.splits import Split, split_of
from dataset_builder.weights import find_unusable_confidence
from schemas.errors import ConfigError
from schemas.records import Annotation, Correction, Failure, Pair
from schemas.spans import Offsets


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one question gave.

    rows         its responses, corrected
    split        where its rows go; None when they go nowhere
    replaced     what corrections replaced, by response id and offsets
    """

    rows: Sequence[Annotation]
    split: Split | None
    selection: Selection
    pairs: Sequence[Pair] = ()
    replaced: Mapping[str, Mapping[Offsets, Replaced]] = field(default_factory=dict)
    num_corrections: int = 0
    refused: Sequence[Failure] = ()


def build_question(
    responses: Sequence[Annotation],
    config: BuildConfig,
    *,
    corrections: Mapping[str, Sequence[Correction]] | None = None,
    find_leak: Callable[[Sequence[Annotation]], Unused | None] | None = None,
    topic_name: Callable[[str], str] = str,
) -> Outcome:
    """Everything that the responses to one question (not empty, ids unique) give.

    corrections    by response id
    find_leak      asked of questions that would go to train only
    topic_name     the one spelling of a topic that decides its split

    Raises ConfigError for weights by confidence where a confidence is no probability.
    """
    given = corrections or {}
    corrected = [apply_corrections(row, given.get(row.id, ())) for row in responses]
    rows = [item.annotation for item in corrected]
    for row in rows:
        if message := find_unusable_confidence(row, config):
            raise ConfigError(message)
    split = _split(rows, config, topic_name)
    leak = find_leak(rows) if find_leak is not None and split is Split.TRAIN else None
    selection = drop([row.id for row in rows], leak) if leak else select(rows, config)
    return Outcome(
        rows=rows,
        split=None if selection.dropped in LEAKING else split,
        selection=selection,
        pairs=[make_pair(choice, config) for choice in selection.choices],
        replaced={row.id: item.replaced for row, item in zip(rows, corrected, strict=True)},
        num_corrections=sum(item.num_applied for item in corrected),
        refused=_refused(corrected),
    )


def _split(
    rows: Sequence[Annotation], config: BuildConfig, topic_name: Callable[[str], str]
) -> Split | None:
    """The split of a question; none where its responses name different topics."""
    if find_fault(rows) is Unused.TOPICS_DIFFER:
        return None
    first = rows[0]
    return split_of(
        topic=topic_name(first.topic),
        question_id=first.question_id,
        seed=config.seed,
        test_share=config.test_share,
    )


def _refused(corrected: Sequence[Corrected]) -> list[Failure]:
    return [failure for item in corrected for failure in item.refused]
