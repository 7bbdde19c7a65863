"""A judge that errs, and knows how likely it errs: exact labels in, noisy ones out.

Each sentence has its own error probability p, drawn from 0.5 * Beta(a, b) with the mean that is
given. It is never above 0.5, since such a judge would give the other label. The label is flipped
with probability p, and the verdict's confidence is 1 - p. So the judge is calibrated: among the
verdicts with confidence c, the share c is right.

The rule: a sentence's errors depend on the seed, the response's id and the sentence's number alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from schemas.hashing import stable_seed
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label
from schemas.records import Annotation, ErrorSpan, Sentence
from schemas.spans import Offsets

_LARGEST = 0.5
_CONCENTRATION = 2.0  # a + b of the Beta: 2 is uniform on [0, 0.5] for a mean of 0.25


def add_noise(
    annotation: Annotation, places: Sequence[Offsets], *, noise: float, seed: int
) -> Annotation:
    """The annotation as a judge with mean error rate `noise` (0 to 0.4) would give it.

    places    of the facts in the text; a true sentence that is called wrong gets one of them as its
              error span, and one without facts gets none

    Every verdict gets a confidence; with `noise` 0 it is 1 and no label changes.
    """
    sentences = [
        _judge(
            sentence, places, noise, random.Random(stable_seed(seed, f"{annotation.id}/{number}"))
        )
        for number, sentence in enumerate(annotation.sentences)
    ]
    return annotation.model_copy(update={"sentences": sentences})


def _judge(
    sentence: Sentence, places: Sequence[Offsets], noise: float, rng: random.Random
) -> Sentence:
    rate = _draw_rate(noise, rng)
    is_flipped = rng.random() < rate
    verdict = sentence.verdict
    changed = {"confidence": 1.0 - rate, "confidence_kind": "votes"}
    if is_flipped and verdict.label in CORRECT_LABELS:
        inside = [place for place in places if sentence.start <= place[0] < sentence.end]
        chosen = [rng.choice(inside)] if inside else []
        spans = [ErrorSpan(start=start, end=end) for start, end in chosen]
        changed |= {"label": Label.CONTRADICTORY, "error_spans": spans}
    elif is_flipped and verdict.label in HALLUCINATED_LABELS:
        changed |= {"label": Label.NO_HALLUCINATION, "error_spans": []}
    return sentence.model_copy(update={"verdict": verdict.model_copy(update=changed)})


def _random(seed: int, name: str) -> random.Random:
    return random.Random(stable_seed(seed, name))


def _draw_rate(noise: float, rng: random.Random) -> float:
    """An error probability from 0 to 0.5 with mean `noise`."""
    share = noise / _LARGEST
    if not share:
        return 0.0
    return _LARGEST * rng.betavariate(_CONCENTRATION * share, _CONCENTRATION * (1.0 - share))
