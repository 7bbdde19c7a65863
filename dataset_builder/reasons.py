"""Why a response is in no pair. Every response of the input is in a pair or has one of these."""

from __future__ import annotations

from enum import StrEnum


class Unused(StrEnum):
    """A reason, as it stands in counts: `unused_REASON` responses, `dropped_REASON` questions."""

    TOPICS_DIFFER = "topics_differ"
    PROMPTS_DIFFER = "prompts_differ"
    PROMPT_ENDS_WITHOUT_USER = "prompt_ends_without_user"
    NOTHING_DECIDED = "nothing_decided"
    DUPLICATE_TEXT = "duplicate_text"
    NO_OTHER_RESPONSE = "no_other_response"
    NOTHING_CORRECT = "nothing_correct"
    SCORES_TIED = "scores_tied"
    BELOW_MIN_MARGIN = "below_min_margin"
    BETWEEN = "between"
    NO_ACTIVE_CHOSEN = "no_active_chosen"
    NO_ACTIVE_REJECTED = "no_active_rejected"


EXPLANATIONS: dict[Unused, str] = {
    Unused.TOPICS_DIFFER: "the responses to one question name different topics",
    Unused.PROMPTS_DIFFER: "the responses to one question answer different prompts",
    Unused.PROMPT_ENDS_WITHOUT_USER: "the prompt does not end with a user's message",
    Unused.NOTHING_DECIDED: "no sentence was judged correct or hallucinated, so there is no score",
    Unused.DUPLICATE_TEXT: "the same text as another response to the question",
    Unused.NO_OTHER_RESPONSE: "nothing to compare with: the only response left to its question",
    Unused.NOTHING_CORRECT: "no response to the question has a correct sentence",
    Unused.SCORES_TIED: "all responses to the question have one score",
    Unused.BELOW_MIN_MARGIN: "best and worst are closer than the least margin",
    Unused.BETWEEN: "neither the best nor the worst response to its question",
    Unused.NO_ACTIVE_CHOSEN: "no sentence of the better response trains",
    Unused.NO_ACTIVE_REJECTED: "no sentence of the worse response trains",
}

# What the input should not hold: recorded as failures, row by row. The others are selection.
FAULTY = frozenset({Unused.TOPICS_DIFFER, Unused.PROMPTS_DIFFER, Unused.PROMPT_ENDS_WITHOUT_USER})
