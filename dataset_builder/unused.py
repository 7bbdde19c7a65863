"""Why a response is in no pair. Every response of the input is in a pair or has one of these."""

from __future__ import annotations

from enum import StrEnum

from schemas.messages import ROLES_RULE


class Unused(StrEnum):
    """A reason, as named in counts: `unused_REASON` responses, `dropped_REASON` questions."""

    TOPICS_DIFFER = "topics_differ"
    PROMPTS_DIFFER = "prompts_differ"
    PROMPT_ENDS_WITHOUT_USER = "prompt_ends_without_user"
    PROMPT_ROLES = "prompt_roles"
    NEAR_DUPLICATE = "near_duplicate"
    IN_EVALUATION = "in_evaluation"
    NOTHING_DECIDED = "nothing_decided"
    BLANK_TEXT = "blank_text"
    DUPLICATE_TEXT = "duplicate_text"
    LANGUAGE_DIFFERS = "language_differs"
    NO_OTHER_RESPONSE = "no_other_response"
    NOTHING_CORRECT = "nothing_correct"
    SCORES_TIED = "scores_tied"
    BELOW_MIN_MARGIN = "below_min_margin"
    BETWEEN = "between"
    LENGTHS_DIFFER = "lengths_differ"
    NO_ACTIVE_CHOSEN = "no_active_chosen"
    NO_ACTIVE_REJECTED = "no_active_rejected"
    NO_WRONG_WORDS = "no_wrong_words"
    LITTLE_ACTIVE_CHOSEN = "little_active_chosen"
    LITTLE_ACTIVE_REJECTED = "little_active_rejected"
    UNDETERMINED_CHOSEN = "undetermined_chosen"
    UNDETERMINED_REJECTED = "undetermined_rejected"
    HALLUCINATED_CHOSEN = "hallucinated_chosen"
    BY_PEOPLE = "by_people"


EXPLANATIONS: dict[Unused, str] = {
    Unused.TOPICS_DIFFER: "the responses to one question name different topics",
    Unused.PROMPTS_DIFFER: "the responses to one question answer different prompts",
    Unused.PROMPT_ENDS_WITHOUT_USER: "the prompt does not end with a user's message",
    Unused.PROMPT_ROLES: f"in the prompt, {ROLES_RULE}",
    Unused.NEAR_DUPLICATE: "the training question is nearly the same as one of the split test",
    Unused.IN_EVALUATION: "the training question shares its words with an evaluation question",
    Unused.NOTHING_DECIDED: "no sentence was judged correct or hallucinated, so there is no score",
    Unused.BLANK_TEXT: "the text is empty or only white space",
    Unused.DUPLICATE_TEXT: "the same text as another response to the question",
    Unused.LANGUAGE_DIFFERS: "the text is in another language than its row says",
    Unused.NO_OTHER_RESPONSE: "nothing to compare with: the only response left to its question",
    Unused.NOTHING_CORRECT: "no response to the question has a correct sentence",
    Unused.SCORES_TIED: "all responses to the question have one score",
    Unused.BELOW_MIN_MARGIN: "best and worst are closer than the least margin",
    Unused.BETWEEN: "other responses to the question make its pairs",
    Unused.LENGTHS_DIFFER: "no better and worse response are nearly equally long",
    Unused.NO_ACTIVE_CHOSEN: "no sentence of the better response trains",
    Unused.NO_ACTIVE_REJECTED: "no sentence of the worse response trains",
    Unused.NO_WRONG_WORDS: "error spans of the worse response mark punctuation only",
    Unused.LITTLE_ACTIVE_CHOSEN: "too little of the better response trains",
    Unused.LITTLE_ACTIVE_REJECTED: "too little of the worse response trains",
    Unused.UNDETERMINED_CHOSEN: "too much of the better response is undetermined",
    Unused.UNDETERMINED_REJECTED: "too much of the worse response is undetermined",
    Unused.HALLUCINATED_CHOSEN: "too much of the better response is hallucinated",
    Unused.BY_PEOPLE: "people dropped each of its pairs",
}

# Faults of the input: recorded as failures, row by row. The other reasons are selection.
FAULTY = frozenset(
    {
        Unused.TOPICS_DIFFER,
        Unused.PROMPTS_DIFFER,
        Unused.PROMPT_ENDS_WITHOUT_USER,
        Unused.PROMPT_ROLES,
    }
)

# Leaks of test or evaluation questions into train: neither pairs nor sentences are kept.
LEAKING = frozenset({Unused.NEAR_DUPLICATE, Unused.IN_EVALUATION})
