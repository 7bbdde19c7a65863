"""Which responses to a question can be compared, and the outcome of each of them.

The rule: a pair's scores differ. So the higher score has at least one correct sentence and the
lower one at least one hallucinated sentence, and both sides have sentences to learn from. Selection
depends only on the set of responses, not on their order, and every response is either in a choice
or has a reason. `strategies` decides which of the comparable responses are paired, and
`side_requirements` which side a response may be on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dataset_builder.config import BuildConfig, Strategy
from dataset_builder.side_requirements import why_not_chosen, why_not_rejected
from dataset_builder.splits.topics import topic_key
from dataset_builder.strategies import (
    Candidate,
    Choice,
    admits,
    best_of,
    choosable,
    is_wide_enough,
    pick_above_margin,
    pick_best_worst,
    pick_length_matched,
    pick_mirrored,
    pick_two_sigma,
    rejectable,
    worst_of,
)
from dataset_builder.unused import Unused
from schemas.messages import ends_with_user, turns_alternate
from schemas.records import Annotation
from schemas.scores import score_labels
from schemas.text.language import is_in_another_language


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The selection of one question. Every response is in a choice or in `unused`, by id.

    dropped    why the question has no pair; None when it has some
    """

    choices: Sequence[Choice] = ()
    unused: Mapping[str, Unused] = field(default_factory=dict)
    dropped: Unused | None = None


def select(responses: Sequence[Annotation], config: BuildConfig) -> Selection:
    """The choices from the responses to one question (ids unique, not empty).

    `config.strategy` names the rule and its paper (`dataset_builder.strategies`). A response that
    is in no choice is in `unused` with its reason.
    """
    fault = find_fault(responses)
    if fault is not None:
        return drop([row.id for row in responses], fault)
    candidates, unused = comparable(responses, config)
    ids = [candidate.annotation.id for candidate in candidates]
    choices = _pick(candidates, config)
    if not choices:
        return drop(ids, explain(candidates, config), unused)
    used = {side.annotation.id for choice in choices for side in (choice.chosen, choice.rejected)}
    return Selection(
        choices=choices,
        unused={**unused, **{name: Unused.BETWEEN for name in ids if name not in used}},
    )


def drop(
    ids: Sequence[str], reason: Unused, unused: Mapping[str, Unused] | None = None
) -> Selection:
    """The selection of a question without a pair: all `ids` are unused for one reason."""
    return Selection(unused={**(unused or {}), **dict.fromkeys(ids, reason)}, dropped=reason)


def find_fault(responses: Sequence[Annotation]) -> Unused | None:
    """Why the responses to one question cannot be compared; None when they can."""
    first = responses[0]
    if any(_is_other_topic(row.topic, first.topic) for row in responses):
        return Unused.TOPICS_DIFFER
    if any(row.prompt != first.prompt for row in responses):
        return Unused.PROMPTS_DIFFER
    roles = [message.role for message in first.prompt]
    if not ends_with_user(roles):
        return Unused.PROMPT_ENDS_WITHOUT_USER
    if not turns_alternate(roles):
        return Unused.PROMPT_ROLES
    return None


def _is_other_topic(topic: str, other: str) -> bool:
    """Two spellings of one topic are equal; no topic differs from any topic."""
    return topic != other and topic_key(topic) != topic_key(other)


def comparable(
    responses: Sequence[Annotation], config: BuildConfig
) -> tuple[list[Candidate], dict[str, Unused]]:
    """The responses with a score, each text once (least id), and why the others are left out."""
    candidates: list[Candidate] = []
    unused: dict[str, Unused] = {}
    texts: set[str] = set()
    for row in sorted(responses, key=lambda row: row.id):
        counts = score_labels(sentence.verdict.label for sentence in row.sentences)
        if counts.score is None:
            unused[row.id] = Unused.NOTHING_DECIDED
        elif not row.text.strip():
            unused[row.id] = Unused.BLANK_TEXT
        elif row.text in texts:
            unused[row.id] = Unused.DUPLICATE_TEXT
        elif config.check_language and is_in_another_language(row.text, row.language):
            unused[row.id] = Unused.LANGUAGE_DIFFERS
        else:
            texts.add(row.text)
            candidates.append(
                Candidate(
                    annotation=row,
                    counts=counts,
                    score=counts.score,
                    not_chosen=why_not_chosen(row, counts, config),
                    not_rejected=why_not_rejected(row, counts, config),
                )
            )
    return candidates, unused


def explain(candidates: Sequence[Candidate], config: BuildConfig) -> Unused:
    """Why these make no pair: the first reason that applies to the best and the worst of them."""
    if len(candidates) < 2:
        return Unused.NO_OTHER_RESPONSE if candidates else Unused.NOTHING_DECIDED
    best, worst = best_of(candidates), worst_of(candidates)
    if not best.counts.num_correct:
        return Unused.NOTHING_CORRECT
    if best.score == worst.score:
        return Unused.SCORES_TIED
    if not is_wide_enough(best, worst, min_margin=config.min_margin):
        return Unused.BELOW_MIN_MARGIN
    if _has_admitted_pair(candidates, config):
        return Unused.LENGTHS_DIFFER  # the only requirement that a strategy adds
    return best.not_chosen or worst.not_rejected or Unused.BETWEEN


def _has_admitted_pair(candidates: Sequence[Candidate], config: BuildConfig) -> bool:
    chosen, rejected = list(choosable(candidates)), list(rejectable(candidates))
    if not chosen or not rejected:
        return False
    return admits(best_of(chosen), worst_of(rejected), min_margin=config.min_margin)


_STRATEGIES: Mapping[Strategy, Callable[[Sequence[Candidate], BuildConfig], list[Choice]]] = {
    Strategy.BEST_WORST: lambda rows, config: pick_best_worst(rows, min_margin=config.min_margin),
    Strategy.MIRRORED: lambda rows, config: pick_mirrored(
        rows, min_margin=config.min_margin, max_pairs=config.max_pairs
    ),
    Strategy.ABOVE_MARGIN: lambda rows, config: pick_above_margin(
        rows, min_margin=config.min_margin, max_pairs=config.max_pairs
    ),
    Strategy.TWO_SIGMA: lambda rows, config: pick_two_sigma(rows, min_margin=config.min_margin),
    Strategy.LENGTH_MATCHED: lambda rows, config: pick_length_matched(
        rows, min_margin=config.min_margin, max_length_ratio=config.max_length_ratio
    ),
}


def _pick(candidates: Sequence[Candidate], config: BuildConfig) -> list[Choice]:
    return _STRATEGIES[config.strategy](candidates, config)
