"""Faults in what is counted of a real judge's replies."""

from __future__ import annotations

from mutant_rows import mutants_of

TESTS = "test_real_judge_log.py"

REAL_JUDGES = [
    *mutants_of(
        "benchmarks/real_judge_log.py",
        (
            "flips-of-the-last-label",
            'LABELS.get(said[0]["label"]) != recorded',
            'LABELS.get(said[-1]["label"]) != recorded',
            TESTS,
        ),
        (
            "flips-of-undetermined",
            'if verdict is None or verdict["label"] == "undetermined":',
            "if verdict is None:",
            TESTS,
        ),
        (
            "flips-of-any-question",
            'by_question[one["question"]].append',
            "by_question[0].append",
            TESTS,
        ),
        (
            "copies-of-the-first-reply",
            "find_copies(deciding[-1], opening)",
            "find_copies(said[0], opening)",
            TESTS,
        ),
        (
            "copies-of-one-word",
            '" " in words(text) and words(text) not in LABELS',
            "words(text) not in LABELS",
            TESTS,
        ),
        ("copies-with-letters-only", "if not letters(text)\n        or (", "if (", TESTS),
        ("labels-are-copies", "and words(text) not in LABELS ", "", TESTS),
        (
            "verdicts-by-position",
            'named = [v for v in items if isinstance(v, dict) and v.get("id") == number] if items else []',
            "named = items[:1]",
            TESTS,
        ),
        (
            "evidence-of-every-label",
            'v["label"] in NEED_QUOTES and not v["evidence"]',
            'not v["evidence"]',
            TESTS,
        ),
        (
            "questions-are-repairs",
            "len(self.messages) > 2 and not ANAH_QUESTION.search(last)",
            "len(self.messages) > 2",
            TESTS,
        ),
        ("failed-calls-are-read", 'if line["status"] == 200:', "if True:", TESTS),
    ),
    *mutants_of(
        "benchmarks/real_judges.py",
        ("selection-from-the-start", "rows[::stride][:per_file]", "rows[:per_file]", TESTS),
    ),
    *mutants_of(
        "benchmarks/real_judge_proxy.py",
        (
            "proxy-records-questions",
            "        if body is not None:\n",
            '        if True:\n            body = body or b"{}"\n',
            TESTS,
        ),
    ),
]
