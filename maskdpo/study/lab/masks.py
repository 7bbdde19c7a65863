"""Masks of a data set that the builder does not make: the same weights on random sentences.

The rule: each side keeps its own weights, so the share that trains is the same; only which
sentences have them changes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

from schemas.hashing import stable_seed
from schemas.records import Pair, Span


def shuffle_masks(pair: Pair, *, seed: int) -> Pair:
    """The pair with the weights of each side shuffled among the sentences of that side.

    It depends on the seed and the pair's id alone. A pair without spans is returned as it is.
    """
    if pair.chosen_spans is None or pair.rejected_spans is None:
        return pair
    rng = random.Random(stable_seed(seed, pair.id))
    changed = {
        "chosen_spans": _shuffle(pair.chosen_spans, rng),
        "rejected_spans": _shuffle(pair.rejected_spans, rng),
    }
    return pair.model_copy(update=changed)


def _shuffle(spans: Sequence[Span], rng: random.Random) -> list[Span]:
    weights = [span.weight for span in spans]
    rng.shuffle(weights)
    return [
        span.model_copy(update={"weight": weight})
        for span, weight in zip(spans, weights, strict=True)
    ]


def describe_masks(pairs: Iterable[Pair]) -> dict[str, Any]:
    """Per side: the share of sentences that train, and the mean weight per character.

    None for a side without sentences.
    """
    sides: dict[str, list[list[Span]]] = {"chosen": [], "rejected": []}
    for pair in pairs:
        sides["chosen"].append(pair.chosen_spans or [])
        sides["rejected"].append(pair.rejected_spans or [])
    return {side: _describe_side(responses) for side, responses in sides.items()}


def _describe_side(responses: Sequence[Sequence[Span]]) -> dict[str, float | None]:
    active: dict[tuple[int, int], bool] = {}
    weight = length = 0.0
    for row, spans in enumerate(responses):
        for place, span in enumerate(spans):
            sentence = (row, place if span.sentence is None else span.sentence)
            active[sentence] = active.get(sentence, False) or span.weight > 0.0
            weight += span.weight * (span.end - span.start)
            length += span.end - span.start
    return {
        "active_sentences": sum(active.values()) / len(active) if active else None,
        "mean_weight": weight / length if length else None,
    }
