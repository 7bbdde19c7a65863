"""Faults in how a judge's replies are read and mended: labels, quotes, copies, loops, thoughts."""

from __future__ import annotations

from mutant_rows import mutants_of

REPAIRS = "test_repairs.py"
CUT = "test_cut_replies.py"
COPIED = "test_copied.py"
FORMS = "test_reply_forms.py"

REPLIES = [
    *mutants_of(
        "annotator/judging/protocols/repairs.py",
        (
            "repair-flips-the-label",
            "if not labels or labels & self.labels:",
            "if True:",
            f"{REPAIRS} -k changed_label",
        ),
        (
            "faults-bind-nothing",
            "return FirstLabel(labels=fault.labels, fault=fault)",
            "return None",
            f"{REPAIRS} -k label_that_could_be_read",
        ),
        (
            "loop-gets-more-room",
            " or find_loop(answer.text) is not None:",
            ":",
            f"{CUT} -k loop_is_named",
        ),
        (
            "loop-repeated-in-its-repair",
            "_MAX_REPEATED_CHARS if loop is None else loop + _LOOP_CHARS",
            "_MAX_REPEATED_CHARS",
            f"{CUT} -k loop_is_named",
        ),
        (
            "quote-outside-its-tags",
            "wrap('quote', fault.quote[:_MAX_QUOTE_CHARS])",
            "fault.quote[:_MAX_QUOTE_CHARS]",
            f"{REPAIRS} -k order_in_a_quote",
        ),
        (
            "thoughts-in-a-repair",
            "said = find_answer(reply.text) or reply.text",
            "said = reply.text",
            f"{CUT} -k thoughts_are_not",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/steps.py",
        (
            "one-quote-is-enough",
            "    if found.missing:\n",
            "    if len(found.missing) == len(quotes):\n",
            f"{REPAIRS} -k every_quote",
        ),
        (
            "passages-of-other-labels-are-not-read",
            "label in NEED_QUOTES or _claims_passages(found)",
            "label in NEED_QUOTES",
            f"{REPAIRS} -k under_any_label",
        ),
        (
            "none-is-a-passage",
            "count_units(quote) >= _PASSAGE_UNITS",
            "bool(quote)",
            f"{REPAIRS} -k under_any_label",
        ),
        (
            "weak-quotes-are-evidence",
            "    if found.is_weak:\n",
            "    if False:\n",
            f"{REPAIRS} -k without_content",
        ),
        (
            "copies-are-verdicts",
            "    if copy is not None:\n",
            "    if False:\n",
            f"{COPIED} -k placeholders_has",
        ),
        (
            "quotes-without-bound",
            ', "maxItems": MAX_QUOTES',
            "",
            f"{CUT} -k bounded",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/response.py",
        (
            "window-flips-labels",
            "earlier.changed_by(good.get(number) or faults[number]) if earlier else None",
            "None",
            f"{REPAIRS} -k changed_label or evidence_fault",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/window_reply.py",
        (
            "labels-of-another-sentence-bind",
            "elif number in owed and begins_alike(begins, inputs.sentence(number)):",
            "elif number in owed:",
            f"{REPAIRS} -k own_sentence_only",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/anah.py",
        (
            "points-vanish-in-a-repair",
            "        return replace(before, detail=detail), ask, reply\n",
            "        return points, ask, reply\n",
            f"{REPAIRS} -k anah_has_no_label",
        ),
        (
            "points-unfound-go-on",
            "return (fault if fault and is_missing else points), ask, reply",
            "return points, ask, reply",
            f"{REPAIRS} -k anah_has_no_label",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/read_reply.py",
        (
            "prose-after-an-object-unread",
            "if names_another(after, labels) or takes_back(after) or",
            "if",
            f"{FORMS} -k names_another_label",
        ),
        (
            "prose-before-an-object-unread",
            " or states_another(before, labels):",
            ":",
            f"{FORMS} -k names_another_label",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/prose.py",
        (
            "denials-unread",
            "return label in labels if denied else labels != {label}",
            "return labels != {label}",
            f"{FORMS} -k agrees_with",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/copied.py",
        (
            "located-quotes-are-copies",
            "for quote in missing:",
            'for quote in [*missing, *values.get("quotes", ())]:',
            f"{COPIED} -k what_a_document_says",
        ),
        (
            "guidance-unread",
            "for text in (*others, *requests):",
            "for text in requests:",
            f"{COPIED} -k examples_of_a_domain",
        ),
    ),
    *mutants_of(
        "annotator/judging/protocols/prompts/__init__.py",
        (
            "language-by-its-case",
            "language.strip().lower()",
            "language.strip()",
            f"{COPIED} -k chinese_rows",
        ),
    ),
]
