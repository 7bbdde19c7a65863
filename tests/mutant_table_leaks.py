"""Faults in what train must not hold: templates, leaks, topics, opposite questions, empty splits."""

from __future__ import annotations

from mutant_rows import mutants_of

TEMPLATE = "test_prompt_template.py"
TOPICS = "test_topics.py"
SENSES = "test_question_senses.py"
MINHASH = "test_minhash.py"
EMPTY = "test_empty_splits.py"

LEAKS = [
    *mutants_of(
        "dataset_builder/splits/minhash.py",
        ("factors-may-be-even", "* np.uint32(2) + np.uint32(1)", "* np.uint32(2)", MINHASH),
        ("hashes-are-not-mixed", "hashes = _mix(np", "hashes = (np", MINHASH),
        ("greatest-for-least", ".min(axis=0)", ".max(axis=0)", MINHASH),
    ),
    *mutants_of(
        "dataset_builder/splits/evaluation_questions.py",
        (
            "settings-are-leaks",
            "if content not in shared]",
            "]",
            f"{TEMPLATE} -k setting",
        ),
        (
            "numbers-are-leaks",
            "[place for place in own if not all(map(_is_number_or_letter, contents[place]))]",
            "own",
            f"{TEMPLATE} -k setting",
        ),
    ),
    *mutants_of(
        "dataset_builder/splits/prompt_template.py",
        (
            "template-of-repeated-questions",
            "if len(seen) >= RUN_MIN_TOPICS",
            "if seen",
            f"{TEMPLATE} -k repeated",
        ),
        (
            "ends-of-names-are-template",
            "last = match.end() if match.end()",
            "last = match.end() - NGRAM if match.end()",
            f"{TEMPLATE} -k put_into",
        ),
        (
            "fillers-end-what-is-asked",
            "        if is_filler(place[0]):\n            continue\n",
            "        if is_filler(place[0]) and is_open:\n            continue\n",
            f"{TEMPLATE} -k put_into",
        ),
        (
            "runs-need-many-topics",
            "RUN_SHARE, RUN_MIN_TOPICS = 0.03, 3",
            "RUN_SHARE, RUN_MIN_TOPICS = 0.1, 5",
            f"{TEMPLATE} -k several",
        ),
        ("sample-in-order", "rank = _hash(topic)", "rank = len(kept)", f"{TEMPLATE} -k hashes"),
    ),
    *mutants_of(
        "dataset_builder/splits/near_duplicates.py",
        (
            "what-is-put-in-alone",
            "        if not self._template or not self._fill_in_the_same(text, other):",
            "        if True:",
            f"{TEMPLATE} -k copy_under",
        ),
        (
            "opposites-are-near",
            " and not ask_differently(text, other)",
            "",
            f"{SENSES} -k opposite",
        ),
    ),
    *mutants_of(
        "dataset_builder/splits/evaluation_questions.py",
        ("all-runs-are-evidence", "if is_evidence(start, start + length)", "", TEMPLATE),
        (
            "ends-are-evidence",
            "part == whole or sum",
            "part or sum",
            f"{TEMPLATE} -k no_evidence",
        ),
        (
            "whole-questions-forgotten",
            "self._knows(_key(found, is_whole=True))",
            "False",
            "test_cleaning.py",
        ),
    ),
    *mutants_of(
        "dataset_builder/splits/indexed_prompts.py",
        ("spelling-decides", "self._respelled.get(topic, topic)", "topic", f"{TOPICS} -k spelling"),
    ),
    *mutants_of(
        "dataset_builder/folder/seen_rows.py",
        ("topics-as-spelled", "topic_key(topic), (topic", "topic, (topic", f"{TOPICS} -k refuses"),
    ),
    *mutants_of(
        "schemas/text/question_senses.py",
        (
            "added-clauses-count",
            "longest <= MAX_BLOCK or len(turning) * MIN_SHARE >= longest",
            "True",
            f"{SENSES} -k clause",
        ),
        (
            "changed-places-unseen",
            "return _linked(one) != _linked(other)",
            "return False",
            f"{SENSES} -k opposite",
        ),
    ),
    *mutants_of(
        "dataset_builder/splits/near_topics.py",
        (
            "numbers-may-differ",
            " or _numbers(self.senses) != _numbers(other.senses)",
            "",
            f"{TOPICS} -k two",
        ),
    ),
    *mutants_of(
        "dataset_builder/splits/empty_splits.py",
        ("all-in-test-unseen", "if not _num_of_train(counts):", "if False:", EMPTY),
    ),
]
