"""Faults in how protocols are listed, estimated and shown, and in how their prompts are read."""

from __future__ import annotations

from mutant_rows import mutants_of

FOURTH = "test_fourth_protocol.py"
KEYS = "test_protocol_keys.py"

PROTOCOLS = [
    *mutants_of(
        "annotator/calls/json_reply.py",
        (
            "broken-objects-skipped-whole",
            "value, end = None, start + 1",
            "value, end = None, len(text)",
            "test_reading.py -k one_scan",
        ),
        (
            "keys-given-twice",
            "if len(values) != len(pairs):",
            "if False:",
            "test_reading.py -k one_scan",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/read_reply.py",
        (
            "broken-objects-pass",
            "        if item.value is None:\n",
            "        if item.value is None:\n            continue\n        if False:\n",
            "test_reading.py -k one_scan",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/load_prompts.py",
        (
            "texts-of-every-protocol",
            " if item.folder == folder]",
            "]",
            f"{FOURTH} -k nothing_for_the_others",
        ),
        (
            "own-texts-unchecked",
            "        if fault:\n",
            "        if False:\n",
            f"{FOURTH} -k users_folder",
        ),
        (
            "unknown-prompts-ignored",
            "        if name not in known:\n",
            "        if False:\n",
            f"{FOURTH} -k users_folder",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/anah.py",
        (
            "fact-in-english-only",
            "_FACT_TAGS if tag in prompts",
            "_FACT_TAGS[:1] if tag in prompts",
            f"{KEYS} -k preview",
        ),
    ),
    *mutants_of(
        "annotator/judging/llm_config.py",
        (
            "protocols-unlisted",
            "schema.update(enum=list(PROTOCOLS))",
            "None",
            f"{FOURTH} -k schema",
        ),
    ),
    *mutants_of(
        "annotator/judging/llm_judge.py",
        (
            "window-of-every-protocol",
            "config.window if self.protocol.uses_window else None",
            "config.window",
            f"{KEYS} -k sentence-plain",
        ),
    ),
    *mutants_of(
        "annotator/judging/domains/preview.py",
        (
            "repairs-previewed",
            'while ask.purpose != "repair":',
            "while True:",
            f"{KEYS} -k preview",
        ),
    ),
    *mutants_of(
        "annotator/judging/runs/estimate.py",
        (
            "bounds-unreported",
            "at_most=bool(protocol.upper_bound)",
            "at_most=False",
            f"{FOURTH} -k bound",
        ),
    ),
]
