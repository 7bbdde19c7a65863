"""Which responses to a question make a pair: the best against the worst.

Mask-DPO (arXiv 2503.02846) prefers the response with the most correct sentences over the one with
the fewest. Counts favour long answers, so the score decides here, correct / (correct +
hallucinated), and the paper's counts only break ties:

    chosen    highest score, then most correct sentences, then fewest undetermined, then least id
    rejected  lowest score, then fewest correct sentences, then most hallucinated, then least id

The rule that makes it correct: a pair's scores differ. A higher score has at least one correct
sentence and a lower one at least one hallucinated sentence, so both sides have what to learn from.
Selection depends on the set of responses alone, not on their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dataset_builder.reasons import Unused
from schemas.records import Annotation
from schemas.scores import ResponseScore, score_labels


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A response with the counts of its sentences and the score they give."""

    annotation: Annotation
    counts: ResponseScore
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Two responses to one question; `chosen` has the higher score."""

    chosen: Candidate
    rejected: Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What one question gives. Every response is in a choice or in `unused`, by id.

    dropped    why the question gives no pair; None when it gives some
    """

    choices: Sequence[Choice] = ()
    unused: Mapping[str, Unused] = field(default_factory=dict)
    dropped: Unused | None = None


def select_best_worst(responses: Sequence[Annotation], *, min_margin: float) -> Selection:
    """At most one choice out of the responses to one question (ids unique, not empty)."""
    fault = find_fault(responses)
    if fault is not None:
        return _drop([row.id for row in responses], fault)
    candidates, unused = comparable(responses)
    ids = [candidate.annotation.id for candidate in candidates]
    choice = choose(candidates, min_margin=min_margin)
    if isinstance(choice, Unused):
        return _drop(ids, choice, unused)
    used = {choice.chosen.annotation.id, choice.rejected.annotation.id}
    return Selection(
        choices=(choice,),
        unused={**unused, **{name: Unused.BETWEEN for name in ids if name not in used}},
    )


def choose(candidates: Sequence[Candidate], *, min_margin: float) -> Choice | Unused:
    """The best against the worst of these, or why they make no pair."""
    if not candidates:
        return Unused.NOTHING_DECIDED
    if len(candidates) == 1:
        return Unused.NO_OTHER_RESPONSE
    best = min(candidates, key=_preference)
    worst = min(candidates, key=_aversion)
    if not best.counts.num_correct:
        return Unused.NOTHING_CORRECT
    if best.score == worst.score:
        return Unused.SCORES_TIED
    if best.score - worst.score < min_margin:
        return Unused.BELOW_MIN_MARGIN
    return Choice(chosen=best, rejected=worst)


def find_fault(responses: Sequence[Annotation]) -> Unused | None:
    """What makes the responses of one question incomparable, if anything."""
    first = responses[0]
    if any(row.topic != first.topic for row in responses):
        return Unused.TOPICS_DIFFER
    if any(row.prompt != first.prompt for row in responses):
        return Unused.PROMPTS_DIFFER
    if first.prompt[-1].role != "user":
        return Unused.PROMPT_ENDS_WITHOUT_USER
    return None


def comparable(responses: Sequence[Annotation]) -> tuple[list[Candidate], dict[str, Unused]]:
    """The responses that have a score, each text once (least id), and why the others are out."""
    candidates: list[Candidate] = []
    unused: dict[str, Unused] = {}
    texts: set[str] = set()
    for row in sorted(responses, key=lambda row: row.id):
        counts = score_labels(sentence.verdict.label for sentence in row.sentences)
        if counts.score is None:
            unused[row.id] = Unused.NOTHING_DECIDED
        elif row.text in texts:
            unused[row.id] = Unused.DUPLICATE_TEXT
        else:
            texts.add(row.text)
            candidates.append(Candidate(annotation=row, counts=counts, score=counts.score))
    return candidates, unused


def _preference(candidate: Candidate) -> tuple[float, int, int, str]:
    counts = candidate.counts
    return (
        -candidate.score,
        -counts.num_correct,
        counts.num_undetermined,
        candidate.annotation.id,
    )


def _aversion(candidate: Candidate) -> tuple[float, int, int, str]:
    counts = candidate.counts
    return (
        candidate.score,
        counts.num_correct,
        -counts.num_hallucinated,
        candidate.annotation.id,
    )


def _drop(
    ids: Sequence[str], reason: Unused, unused: Mapping[str, Unused] | None = None
) -> Selection:
    return Selection(unused={**(unused or {}), **dict.fromkeys(ids, reason)}, dropped=reason)
