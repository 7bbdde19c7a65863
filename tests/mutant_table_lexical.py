"""Faults in the lexical judge: quantities, the checks, refusals, and what its score is used for."""

from __future__ import annotations

from mutant_rows import mutants_of

CHECKS = "test_lexical_checks.py"
QUANTITIES = "test_quantities.py"

LEXICAL = [
    *mutants_of(
        "annotator/judging/lexical/quantity.py",
        (
            "currencies-are-one",
            "not same_currency(said.unit, stated.unit)",
            "False",
            f"{QUANTITIES} -k another_amount",
        ),
        (
            "about-means-nothing",
            '        case "about" if _close(said.value, stated.value, _ABOUT):\n            return True',
            '        case "about" if False:\n            return True',
            f"{QUANTITIES} -k one_amount",
        ),
        (
            "range-denies",
            "stated.low <= said.value <= stated.high or",
            "False or",
            f"{QUANTITIES} -k neither",
        ),
        ("day-forgotten", "(said.day and not stated.day)", "False", f"{QUANTITIES} -k neither"),
    ),
    *mutants_of(
        "annotator/judging/lexical/amounts.py",
        ("sign-dropped", "(-1 if is_negative else 1)", "1", f"{QUANTITIES} -k another_amount"),
        (
            "scale-dropped",
            "value=bare.written * scale",
            "value=bare.written",
            f"{QUANTITIES} -k one_amount",
        ),
        (
            "one-is-a-number",
            'surface != "one" or _is_one_unit(lower, end)',
            "True",
            f"{QUANTITIES} -k only_look",
        ),
    ),
    *mutants_of(
        "annotator/judging/lexical/quantities.py",
        ("quantities-overlap", "not any(taken[item.start : item.end])", "True", QUANTITIES),
        ("range-without-unit", "one = _with_unit_of(one, other)", "pass", f"{QUANTITIES} -k range"),
    ),
    *mutants_of(
        "annotator/judging/lexical/checks.py",
        ("numbers-unchecked", "        *_check_quantities(overlap, corpus),\n", "", CHECKS),
        ("names-unchecked", "        *_check_names(overlap, corpus),\n", "", CHECKS),
        ("denial-unchecked", "        *_check_negation(overlap, corpus),\n", "", CHECKS),
        (
            "nouns-unchecked",
            "if noun in same or",
            "if True or noun in same or",
            f"{CHECKS} -k another_value",
        ),
        ("missing-is-wrong", "Objection(contradicts=False,", "Objection(contradicts=True,", CHECKS),
    ),
    *mutants_of(
        "annotator/judging/lexical/no_fact.py",
        (
            "claims-are-refusals",
            " and not _CLAIM.search(text, start)",
            "",
            f"{CHECKS} -k claim_next",
        ),
    ),
    *mutants_of(
        "annotator/judging/lexical/judge.py",
        ("absent-names-free", "_ABSENT_NAME * min(2,", "0 * min(2,", "test_lexical.py -k absent"),
    ),
    *mutants_of(
        "dataset_builder/weights.py",
        (
            "ranking-weighs",
            'item.verdict.confidence_kind == "lexical"',
            "False",
            "test_build_weights.py",
        ),
    ),
    *mutants_of(
        "dataset_builder/reading/heads.py",
        (
            "ranking-found-late",
            "heads.unusable = self._unusable(place.line, text, heads.faults)",
            "heads.unusable = None",
            "test_build.py -k ranking",
        ),
    ),
    *mutants_of(
        "annotator/agreement/measure.py",
        (
            "ranking-calibrated",
            'item.verdict.confidence_kind == "lexical" for',
            "False for",
            "test_agreement_command.py -k calibrated",
        ),
    ),
]
