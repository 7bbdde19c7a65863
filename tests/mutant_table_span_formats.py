"""Faults in how error spans and pieces of sentences go through other formats."""

from __future__ import annotations

from mutant_rows import mutants_of

SPAN_FORMATS = [
    *mutants_of(
        "formats/human_spans.py",
        (
            "span-of-the-next-space",
            "if text[max(places[index][0], span.start) : min(places[index][1], span.end)].strip()",
            "if max(places[index][0], span.start) < min(places[index][1], span.end)",
            "test_human_spans.py -k space_at_a",
        ),
        (
            "span-of-the-first-sentence",
            "before = max(bisect_right(starts, span.start) - 1, 0)",
            "before = 0",
            "test_human_spans.py -k has_its_sentence",
        ),
        (
            "no-sentence-before-the-first",
            "max(bisect_right(starts, span.start) - 1, 0)",
            "bisect_right(starts, span.start) - 1",
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
            "_insert(previous, fresh, key)",
            "_insert(previous, fresh, None)",
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
            "sentence.verdict.label not in HALLUCINATED_LABELS",
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
    *mutants_of(
        "formats/published.py",
        (
            "pieces-are-sentences-there",
            "for pieces in group_pieces(spans)",
            "for pieces in ([span] for span in spans)",
            "test_piece_formats.py -k published",
        ),
    ),
    *mutants_of(
        "formats/reviews/conflicts.py",
        (
            "other-words-not-counted",
            "words_differ=any(_words_differ(item, other) for other in same)",
            "words_differ=False",
            "test_piece_formats.py -k mark_other",
        ),
        (
            "no-words-are-no-place",
            " or [(item.start, item.end)]",
            "",
            "test_piece_formats.py -k mark_other",
        ),
    ),
    *mutants_of(
        "dataset_builder/build_counts.py",
        (
            "other-words-counted-without-pieces",
            'counts.pop("wrong_words_differ", None)',
            "pass",
            "test_piece_formats.py -k mark_other",
        ),
    ),
    *mutants_of(
        "schemas/preference_rows.py",
        (
            "whole-answers-lose-their-names",
            "    return all(name in values for name in spans) and",
            "    return False and",
            "test_pieces.py -k wherever",
        ),
        (
            "any-null-spans-are-ours",
            'and all(values.get(f"{s}_id") for s in SIDES)',
            "",
            "test_pieces.py -k wherever",
        ),
    ),
    *mutants_of(
        "formats/trl.py",
        (
            "rows-of-two-types",
            'span.setdefault("part", None)',
            "pass",
            "test_piece_formats.py -k trl_keeps",
        ),
    ),
    *mutants_of(
        "formats/export.py",
        (
            "lost-words-not-counted",
            "if format_name is ExportFormat.PUBLISHED else {}",
            "if False else {}",
            "test_piece_formats.py -k published",
        ),
    ),
    *mutants_of(
        "formats/import_pairs.py",
        (
            "context-is-wrong-too",
            'if piece.part == "error"]',
            "if piece.part]",
            "test_piece_formats.py -k trl_keeps",
        ),
        (
            "marked-punctuation-is-forgotten",
            "if wrong or pieces[0].part is None:",
            "if True:",
            "test_piece_formats.py -k mark_on_punctuation",
        ),
        (
            "pieces-of-two-labels",
            "if any(piece.label is not first.label for piece in pieces):",
            "if False:",
            "test_piece_formats.py -k no_sentence",
        ),
    ),
    *mutants_of(
        "formats/sheets/columns.py",
        (
            "wrong-words-in-every-sheet",
            "return columns if has_wrong_words else",
            "return columns if True else",
            "test_piece_formats.py -k only_a_sheet",
        ),
    ),
    *mutants_of(
        "formats/reviews/decisions.py",
        (
            "agreeing-loses-wrong-words",
            'if review.action != "agree" or any(span.error_spans for span in review.spans):',
            'if review.action != "agree" or review.spans:',
            "test_piece_formats.py -k agrees_in",
        ),
        (
            "agreeing-with-another-label",
            "if review.spans not in ([], [bare]):",
            "if False:",
            "test_piece_formats.py -k agrees_with_what",
        ),
    ),
    *mutants_of(
        "maskdpo/show/marks.py",
        (
            "mark-per-piece",
            "groups = group_pieces(spans)",
            "groups = [[span] for span in spans]",
            "test_show_pieces.py -k one_mark",
        ),
        (
            "words-have-the-weight-of-the-rest",
            "weighed = [piece.weight for piece in wrong] or rest",
            "weighed = rest",
            "test_show_pieces.py -k readable",
        ),
        (
            "masked-though-the-rest-trains",
            "return self.weight == 0 and not self.rest",
            "return self.weight == 0",
            "test_show_pieces.py -k readable",
        ),
        (
            "wrong-words-not-escaped",
            "f'<span class=\"wrong{look}\">{escape(words)}</span>'",
            "f'<span class=\"wrong{look}\">{words}</span>'",
            "test_show_pieces.py -k never_markup",
        ),
        (
            "wrong-words-not-printable",
            'yield f"[[{printable(words)}]]", of_words',
            'yield f"[[{words}]]", of_words',
            "test_show_pieces.py -k never_markup",
        ),
        (
            "what-trains-is-pale",
            '" trains" if mark.weight else " masked"',
            '" masked" if mark.weight else " trains"',
            "test_show_pieces.py -k pale",
        ),
    ),
    *mutants_of(
        "maskdpo/show/choice.py",
        (
            "pieces-are-counted",
            "for pieces in group_pieces(spans))",
            "for pieces in ([span] for span in spans))",
            "test_show_pieces.py -k choice_counts",
        ),
    ),
    *mutants_of(
        "maskdpo/show/terminal.py",
        (
            "pieces-train-in-the-title",
            "sentences = group_pieces(spans)",
            "sentences = [[span] for span in spans]",
            "test_show_pieces.py -k names_the_words",
        ),
    ),
    *mutants_of(
        "maskdpo/publishing/card_example.py",
        (
            "example-without-wrong-words",
            'span.part == "error" and span.weight > 0',
            "False",
            "test_show_pieces.py -k in_bold",
        ),
    ),
    *mutants_of(
        "maskdpo/publishing/markdown.py",
        (
            "bold-words-not-escaped",
            'lines = [(_escape(re.sub(r"\\s+", " ", text)), is_bold)',
            'lines = [(re.sub(r"\\s+", " ", text), is_bold)',
            "test_show_pieces.py -k in_bold",
        ),
    ),
    *mutants_of(
        "maskdpo/report/templates/report.html.jinja",
        (
            "report-without-wrong-words",
            "{% if is_wrong %}",
            "{% if false %}",
            "test_report.py -k underlines",
        ),
    ),
]
