"""What a response must have to be the chosen or the rejected side of a pair.

The rule: a requirement depends on one response, one side and the settings, so selection takes the
best of the responses that may be chosen, and one unsuitable response does not drop its question.
"""

from __future__ import annotations

from dataset_builder.config import BuildConfig
from dataset_builder.unused import Unused
from dataset_builder.weights import lacks_wrong_words, measure_active
from schemas.labels import Side
from schemas.records import Annotation
from schemas.scores import ResponseScore

_SLACK = 1e-6  # 0.29 of 100 sentences is 29, but less in floating point


def why_not_chosen(row: Annotation, counts: ResponseScore, config: BuildConfig) -> Unused | None:
    """Why `row` must not be the chosen side; None if it may. `counts` are those of its labels."""
    num_decided = counts.num_correct + counts.num_hallucinated
    if _exceeds(counts.num_hallucinated, config.max_hallucinated_chosen, of=num_decided):
        return Unused.HALLUCINATED_CHOSEN
    if _is_too_undetermined(counts, config):
        return Unused.UNDETERMINED_CHOSEN
    num_active, num_characters = measure_active(row, Side.CHOSEN, config)
    if not num_active:
        return Unused.NO_ACTIVE_CHOSEN
    if num_active < config.min_active_sentences or num_characters < config.min_active_characters:
        return Unused.LITTLE_ACTIVE_CHOSEN
    return None


def why_not_rejected(row: Annotation, counts: ResponseScore, config: BuildConfig) -> Unused | None:
    """Why `row` must not be the rejected side; None if it may."""
    if _is_too_undetermined(counts, config):
        return Unused.UNDETERMINED_REJECTED
    num_active, num_characters = measure_active(row, Side.REJECTED, config)
    if not num_active and lacks_wrong_words(row, config):
        return Unused.NO_WRONG_WORDS
    if not num_active:
        return Unused.NO_ACTIVE_REJECTED
    if num_active < config.min_active_sentences or num_characters < config.min_active_characters:
        return Unused.LITTLE_ACTIVE_REJECTED
    return None


def _is_too_undetermined(counts: ResponseScore, config: BuildConfig) -> bool:
    return _exceeds(counts.num_undetermined, config.max_undetermined, of=counts.num_sentences)


def _exceeds(count: int, share: float, *, of: int) -> bool:
    return count > share * of + _SLACK
