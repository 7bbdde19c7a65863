"""Faults in how error spans and pieces of sentences go through other formats."""

from __future__ import annotations

from mutant_rows import mutants_of

SPAN_FORMATS = [
    *mutants_of(
        "formats/human_spans.py",
        (
            "span-of-the-next-space",
            "if text[max(start, span.start) : min(end, span.end)].strip()",
            "if max(start, span.start) < min(end, span.end)",
            "test_human_spans.py -k space_at_a",
        ),
        (
            "span-of-the-first-sentence",
            "before = sum(start <= span.start",
            "before = sum(start > span.start",
            "test_human_spans.py -k has_its_sentence",
        ),
        (
            "no-sentence-before-the-first",
            "[max(before - 1, 0)]",
            "[before - 1]",
            "test_human_spans.py -k before_all_sentences",
        ),
        (
            "repeated-spans-are-one",
            "seen[span] += 1",
            "pass",
            "test_human_spans.py -k character_for_character",
        ),
        (
            "order-of-spans-lost",
            "found[at:at] = fresh",
            "found += fresh",
            "test_human_spans.py -k order_of",
        ),
        (
            "spread-not-noticed",
            "for span in (*lost, *added):",
            "for span in ():",
            "test_human_spans.py -k asked_for",
        ),
        (
            "spans-elsewhere-not-counted",
            "item.verdict.label not in HALLUCINATED_LABELS",
            "False",
            "test_human_spans.py -k counts_spans",
        ),
    ),
    *mutants_of(
        "formats/human_labels.py",
        (
            "error-span-past-the-end",
            "return messages + _faults_of_error_spans(row)",
            "return messages",
            "test_human_spans.py -k wrong_span",
        ),
        (
            "error-span-without-kind",
            'kind=span.kind or "",',
            'kind="",',
            "test_human_spans.py -k untouched",
        ),
    ),
    *mutants_of(
        "formats/export_human_labels.py",
        (
            "judges-error-spans-leave",
            "if verdict.label is Label.UNDETERMINED and not verdict.error_spans:",
            "if verdict.label is Label.UNDETERMINED:",
            "test_human_spans.py -k asked_for",
        ),
        (
            "empty-spans-written",
            '**({"spans": spans} if spans else {})',
            '"spans": spans',
            "test_human_spans.py -k bytes_as_before",
        ),
    ),
]
