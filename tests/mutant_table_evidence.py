"""Faults in how quotes are located and weighed, and in the checks of written questions."""

from __future__ import annotations

from mutant_rows import mutants_of

QUOTES = "test_quotes.py"
EVIDENCE = "test_judge_evidence.py"
QUESTIONS = "test_question_checks.py"

QUOTED = [
    *mutants_of(
        "annotator/text/quote_text.py",
        ("units-without-case", "elif form in _CASED_UNITS and", "elif False and", QUOTES),
        ("raised-digits-are-digits", 'if any(unicodedata.category(letter) == "No"', "if any(False", QUOTES),
        ("quoted-numbers-are-feet", 'forms[number] = ""', "pass", QUOTES),
        ("article-before-few", "or after in _CHANGES_WITHOUT_ARTICLE", "", QUOTES),
    ),
    *mutants_of(
        "annotator/text/quote_edges.py",
        ("amounts-are-cut", "        or _is_amount(edge)\n", "", QUOTES),
        ("compounds-are-cut", "        or _is_compound(edge, sign=0)\n", "", QUOTES),
        ("not-before-a-quote", "        _DENIED_BEFORE.search(text.raw[max", "        False and (text.raw[max", QUOTES),
        ("not-behind-a-quote", "        or _DENIED_BEHIND.match(", "        or False and (", QUOTES),
        ("kinds-are-cut", " or _is_designated(behind)", "", QUOTES),
        ("elision-over-not", "    between = between[:_MAX_ELIDED_CHARS]", "    return False", QUOTES),
    ),
    *mutants_of(
        "annotator/text/quote_places.py",
        ("any-article", "            return 0.0\n", "            wrong, mine, other = wrong + 1, mine + 1, other + 1\n", QUOTES),
        ("sign-trimmed", "and not _is_signed(text, first)", "", QUOTES),
        ("lines-run-on", 'return "\\n" in gap or', "return", EVIDENCE),
    ),
    *mutants_of(
        "annotator/judging/evidence/find_evidence.py",
        ("first-place", "if count == most", "if count == shared[0]", EVIDENCE),
        ("titles-are-missing", "elif in_titles := finder.locate(quote, titles)", "elif in_titles := []", EVIDENCE),
        ("whole-text-weak", "and not any(_is_whole(part", "and any(True or _is_whole(part", EVIDENCE),
    ),
    *mutants_of(
        "annotator/judging/evidence/quote_content.py",
        ("years-are-enough", "    if sentence.words.keys() - names and", "    if False and", EVIDENCE),
        ("short-sentences-need-more", ", max(sentence.units, 1.0))", ", 9.0)", EVIDENCE),
        ("nothing-shared", "SHARED_UNITS if shares else ENOUGH_UNITS", "ENOUGH_UNITS", EVIDENCE),
    ),
    *mutants_of(
        "annotator/sampling/question_checks.py",
        ("asked-number-said", "numbers <= asked and not has_other", "False", QUESTIONS),
        ("answer-said", "    if not said - asked:\n        return True\n", "", QUESTIONS),
    ),
    *mutants_of(
        "annotator/sampling/near_questions.py",
        ("turning-words", "return not senses_differ(one.senses, other.senses)", "return True", QUESTIONS),
        ("replaced-words", " or _replaces(one, other)", "", QUESTIONS),
    ),
    *mutants_of(
        "annotator/sampling/question_wording.py",
        ("it-of-nothing", "is_of_it = word == \"it\" and", "is_of_it = False and", QUESTIONS),
        ("plural-for-one", "    if is_plural:\n", "    if False:\n", QUESTIONS),
    ),
]  # fmt: skip
