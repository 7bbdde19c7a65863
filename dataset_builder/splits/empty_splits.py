"""Why a split has no pairs, in one true sentence that ends with the setting to change.

The rule: every number in it is a count of the build, and the numbers add up to all questions:

    questions = questions that gave pairs + all dropped_*
    questions = questions of test + dropped as topics_differ + questions of train
"""

from __future__ import annotations

from collections.abc import Mapping

from dataset_builder.config import BuildConfig
from dataset_builder.folder.write import PAIRS
from dataset_builder.splits.splits import Split
from dataset_builder.unused import EXPLANATIONS, Unused

OF_TEST = "questions_of_test"

# The advice when a reason is the most frequent one; values of settings are filled in.
_HELP: dict[Unused, str] = {
    Unused.TOPICS_DIFFER: "give all responses to one question one topic",
    Unused.PROMPTS_DIFFER: "give all responses to one question the same prompt",
    Unused.PROMPT_ENDS_WITHOUT_USER: "let each prompt end with a message of the user",
    Unused.PROMPT_ROLES: "give each prompt user and assistant messages in turns",
    Unused.NEAR_DUPLICATE: "if these are different questions, raise build.near_duplicate "
    "({near_duplicate:g}), or set it to 0 to keep them all",
    Unused.IN_EVALUATION: "if these questions differ from the evaluation's, raise "
    "build.decontaminate_words ({decontaminate_words}), or leave out --evaluation-questions",
    Unused.NOTHING_DECIDED: "first label the responses with maskdpo annotate",
    Unused.BLANK_TEXT: "sample responses with text",
    Unused.DUPLICATE_TEXT: "sample responses that differ: raise sample.temperature",
    Unused.LANGUAGE_DIFFERS: "set build.check_language to false to keep them",
    Unused.NO_OTHER_RESPONSE: "give each question at least two labelled responses "
    "(sample.num_responses)",
    Unused.NOTHING_CORRECT: "sample more responses per question (sample.num_responses)",
    Unused.SCORES_TIED: "sample more responses per question (sample.num_responses)",
    Unused.BELOW_MIN_MARGIN: "lower build.min_margin ({min_margin:g})",
    Unused.BETWEEN: "choose another build.strategy ({strategy})",
    Unused.LENGTHS_DIFFER: "raise build.max_length_ratio ({max_length_ratio:g})",
    Unused.NO_ACTIVE_CHOSEN: "lower build.min_confidence ({min_confidence:g}), or see "
    "build.label_policy",
    Unused.NO_ACTIVE_REJECTED: "lower build.min_confidence ({min_confidence:g}), or see "
    "build.label_policy",
    Unused.NO_WRONG_WORDS: "mark the wrong words of these responses, or build with "
    "--set build.granularity=sentence",
    Unused.LITTLE_ACTIVE_CHOSEN: "lower build.min_active_sentences ({min_active_sentences}) or "
    "build.min_active_characters ({min_active_characters})",
    Unused.LITTLE_ACTIVE_REJECTED: "lower build.min_active_sentences ({min_active_sentences}) or "
    "build.min_active_characters ({min_active_characters})",
    Unused.UNDETERMINED_CHOSEN: "raise build.max_undetermined ({max_undetermined:g})",
    Unused.UNDETERMINED_REJECTED: "raise build.max_undetermined ({max_undetermined:g})",
    Unused.HALLUCINATED_CHOSEN: "raise build.max_hallucinated_chosen ({max_hallucinated_chosen:g})",
    Unused.BY_PEOPLE: "take drops back (maskdpo review), or build with --no-reviews",
}


def find_empty(counts: Mapping[str, int], config: BuildConfig) -> str | None:
    """Why there is nothing to train on, as the end of a sentence; None when there is."""
    if not counts["pairs"]:
        return (
            f"gives no pair: of {counts['questions']} questions with {counts['responses']} "
            f"responses, {'; '.join(_reasons(counts))}; {_help(counts, config)}"
        )
    if counts[f"{PAIRS}_{Split.TRAIN}"]:
        return None
    start = f"the split '{Split.TRAIN}' has no pair: "
    if not _num_of_train(counts):
        return (
            f"{start}the topics of all {counts[OF_TEST]} questions are in the split "
            f"'{Split.TEST}' ({_share(config)}); lower build.test_share, set another build.seed, "
            "or give more topics"
        )
    return (
        f"{start}of {counts['questions']} questions, {', '.join(_reasons(counts))}, "
        f"{counts['questions_in_pairs']} gave pairs of the split '{Split.TEST}'; "
        f"{_help(counts, config)}"
    )


def note_on_test(counts: Mapping[str, int], config: BuildConfig) -> str | None:
    """Why the split `test` is empty although test_share is above 0; None when it is not."""
    if not config.test_share or counts[f"{PAIRS}_{Split.TEST}"]:
        return None
    start = f"the split '{Split.TEST}' of '{PAIRS}' is empty and not written: "
    num_questions = counts.get(OF_TEST, 0)
    if not num_questions:
        return (
            f"{start}no question is in it ({counts['topics']} topics, {_share(config)}); raise "
            "build.test_share or set another build.seed"
        )
    return (
        f"{start}{num_questions} questions are in it ({_share(config)}), and none of them gave a "
        f"pair (dropped in all splits: {', '.join(_reasons(counts))})"
    )


def _num_of_train(counts: Mapping[str, int]) -> int:
    nowhere = counts.get(f"dropped_{Unused.TOPICS_DIFFER}", 0)
    return counts["questions"] - counts.get(OF_TEST, 0) - nowhere


def _reasons(counts: Mapping[str, int]) -> list[str]:
    return [
        f"{counts[f'dropped_{reason}']} x {reason} ({text})"
        for reason, text in EXPLANATIONS.items()
        if counts.get(f"dropped_{reason}")
    ]


def _help(counts: Mapping[str, int], config: BuildConfig) -> str:
    """The advice for the most frequent reason."""
    commonest = max(EXPLANATIONS, key=lambda reason: counts.get(f"dropped_{reason}", 0))
    return _HELP[commonest].format_map(config.model_dump(mode="json"))


def _share(config: BuildConfig) -> str:
    return f"test_share={config.test_share:g}, seed={config.seed}"
