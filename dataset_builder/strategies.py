"""The ways to pair the responses to one question, each a pure function with its source.

    best_worst      the best with the worst: Mask-DPO (arXiv 2503.02846)
    mirrored        the best with the worst, the second best with the second worst, and so on; the
                    demo's closed world learns more from it than from best_worst at the same rate
    above_margin    every better response with every worse one, as in FactTune
                    (arXiv 2311.08401), the widest margins first, with a maximum per question
    two_sigma       the best with the one whose score is nearest to mean - 2 sigma, because the
                    very worst of many samples is an outlier (arXiv 2502.16825)
    length_matched  the widest margin among pairs of nearly equal length, so that length cannot
                    replace quality (length bias: arXiv 2310.03716)

Mask-DPO prefers the response with the most correct sentences over the one with the fewest. Counts
favour long answers, so here the score decides, correct / (correct + hallucinated), and the paper's
counts only break ties:

    preference  highest score, then most correct sentences, then fewest undetermined, then least id
    aversion    lowest score, then fewest correct sentences, then most hallucinated, then least id

Common rule (`admits`): scores differ by the margin, and each response may be on its side.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dataset_builder.unused import Unused
from schemas.records import Annotation
from schemas.scores import ResponseScore

_SLACK = 1e-9  # 0.9 - 0.4 is below 0.5 in floating point, but reaches a margin of 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A response with the counts of its sentences and their score.

    not_chosen, not_rejected    why it must not be on a side; None if it may
    """

    annotation: Annotation
    counts: ResponseScore
    score: float
    not_chosen: Unused | None = None
    not_rejected: Unused | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Two responses to one question; `chosen` has the higher score."""

    chosen: Candidate
    rejected: Candidate

    @property
    def margin(self) -> float:
        """Difference of the scores, above 0."""
        return self.chosen.score - self.rejected.score


def admits(chosen: Candidate, rejected: Candidate, *, min_margin: float) -> bool:
    """Whether these two may be a pair."""
    return (
        chosen.not_chosen is None
        and rejected.not_rejected is None
        and is_wide_enough(chosen, rejected, min_margin=min_margin)
    )


def is_wide_enough(chosen: Candidate, rejected: Candidate, *, min_margin: float) -> bool:
    """Whether the scores differ, and by the margin."""
    margin = chosen.score - rejected.score
    return margin > 0.0 and margin >= min_margin - _SLACK


def pick_best_worst(candidates: Sequence[Candidate], *, min_margin: float) -> list[Choice]:
    """At most one choice."""
    return pick_mirrored(candidates, min_margin=min_margin, max_pairs=1)


def pick_mirrored(
    candidates: Sequence[Candidate], *, min_margin: float, max_pairs: int
) -> list[Choice]:
    """Choices that share no response, each the best with the worst of the rest."""
    preferred = sorted(choosable(candidates), key=preference)
    averted = sorted(rejectable(candidates), key=aversion)
    used: set[str] = set()
    choices: list[Choice] = []
    for chosen in preferred:
        rejected = next((item for item in averted if item.annotation.id not in used), None)
        if len(choices) == max_pairs or rejected is None or chosen.annotation.id in used:
            break
        # From here on chosen only gets worse and rejected better, so no later pair is admitted.
        if not admits(chosen, rejected, min_margin=min_margin):
            break
        used |= {chosen.annotation.id, rejected.annotation.id}
        choices.append(Choice(chosen=chosen, rejected=rejected))
    return choices


def pick_above_margin(
    candidates: Sequence[Candidate], *, min_margin: float, max_pairs: int
) -> list[Choice]:
    """The `max_pairs` widest admitted pairs; a response may be in several.

    Only the best and the worst `max_pairs` responses can be in these pairs, which limits the work:
    any pair with a chosen response further down has `max_pairs` wider pairs before it.
    """
    preferred = heapq.nsmallest(max_pairs, choosable(candidates), key=preference)
    averted = heapq.nsmallest(max_pairs, rejectable(candidates), key=aversion)
    choices = _admitted(preferred, averted, min_margin=min_margin)
    return heapq.nsmallest(max_pairs, choices, key=_width)


def pick_two_sigma(candidates: Sequence[Candidate], *, min_margin: float) -> list[Choice]:
    """The best with the admitted response nearest to mean - 2 sigma (population sigma of all)."""
    preferred = sorted(choosable(candidates), key=preference)[:1]
    choices = list(_admitted(preferred, rejectable(candidates), min_margin=min_margin))
    if not choices:
        return []
    mean = math.fsum(item.score for item in candidates) / len(candidates)
    variance = math.fsum((item.score - mean) ** 2 for item in candidates) / len(candidates)
    target = mean - 2.0 * math.sqrt(variance)
    return [
        min(
            choices,
            key=lambda choice: (abs(choice.rejected.score - target), aversion(choice.rejected)),
        )
    ]


def pick_length_matched(
    candidates: Sequence[Candidate], *, min_margin: float, max_length_ratio: float
) -> list[Choice]:
    """The widest admitted pair whose longer text has at most `max_length_ratio` x the shorter's."""
    choices = _admitted(
        list(choosable(candidates)), list(rejectable(candidates)), min_margin=min_margin
    )
    matched = (choice for choice in choices if length_ratio(choice) <= max_length_ratio)
    best = min(
        matched,
        key=lambda choice: (-choice.margin, length_ratio(choice), _width(choice)),
        default=None,
    )
    return [] if best is None else [best]


def length_ratio(choice: Choice) -> float:
    """Length of the longer text / length of the shorter, in characters; at least 1."""
    lengths = len(choice.chosen.annotation.text), len(choice.rejected.annotation.text)
    return max(lengths) / min(lengths)  # a text with a decided sentence is not empty


def best_of(candidates: Iterable[Candidate]) -> Candidate:
    """The first by preference."""
    return min(candidates, key=preference)


def worst_of(candidates: Iterable[Candidate]) -> Candidate:
    """The first by aversion."""
    return min(candidates, key=aversion)


def choosable(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Those that may be chosen."""
    return (item for item in candidates if item.not_chosen is None)


def rejectable(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """The responses that may be rejected."""
    return (item for item in candidates if item.not_rejected is None)


def preference(candidate: Candidate) -> tuple[float, int, int, str]:
    """Sort key of the chosen side."""
    counts = candidate.counts
    return (
        -candidate.score,
        -counts.num_correct,
        counts.num_undetermined,
        candidate.annotation.id,
    )


def aversion(candidate: Candidate) -> tuple[float, int, int, str]:
    """Sort key of the rejected side."""
    counts = candidate.counts
    return (
        candidate.score,
        counts.num_correct,
        -counts.num_hallucinated,
        candidate.annotation.id,
    )


def _admitted(
    preferred: Iterable[Candidate], averted: Iterable[Candidate], *, min_margin: float
) -> Iterator[Choice]:
    worse = list(averted)
    for chosen in preferred:
        for rejected in worse:
            if admits(chosen, rejected, min_margin=min_margin):
                yield Choice(chosen=chosen, rejected=rejected)


def _width(choice: Choice) -> tuple[object, ...]:
    return (-choice.margin, preference(choice.chosen), aversion(choice.rejected))
