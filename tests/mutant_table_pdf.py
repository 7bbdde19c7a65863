"""Faults in the reader of PDFs: raised digits, spaces, columns, headers, hyphens."""

from __future__ import annotations

from mutant_rows import mutants_of

READING = "annotator/text/reading"

# fmt: off
# One row a mutant, as narrow as its texts allow.
DOCUMENTS_PDF = [
    *mutants_of(
        f"{READING}/pdf_raised.py",
        ("pdf-raised-not-marked", "if not any(before == after", "return text\n    if not any(before == after",
         "test_pdf.py -k raised"),
        ("pdf-lowered-joins-digit", "(?=\\d)\")", "(?=\\D\\d)\")", "test_pdf.py -k raised_digits"),
        ("pdf-reference-list-as-exponent", 'return f" [{text}]"', 'return f"^{{{text}}}"',
         "test_pdf.py -k raised"),
        ("pdf-ordinal-marked", "if raised and before[-1:].isdigit() and", "if False and",
         "test_pdf.py -k raised_digits"),
        ("pdf-raised-not-put-into-a-hole", "        return _find_hole(piece, owner)", "        return None",
         "test_pdf.py -k room_that"),
        ("pdf-raised-never-opens-a-word", "return max(ahead, 0.0) + (", "return 9.0 + (",
         "test_pdf.py -k before_it"),
        ("pdf-same-size-never-raised", "_STAGGERED = 0.22", "_STAGGERED = 0.7", "test_pdf.py -k as_large"),
        ("pdf-small-type-raised", "_MIN_RISE_OF_WORDS = 0.15", "_MIN_RISE_OF_WORDS = 0.05",
         "test_pdf.py -k small_type"),
    ),
    *mutants_of(
        f"{READING}/pdf_chars.py",
        ("pdf-turned-text-not-turned", "    if angle == 90:", "    if angle == 91:", "test_pdf.py -k turned"),
        ("pdf-upside-down-not-turned", "    if angle == 180:", "    if angle == 181:", "test_pdf.py -k turned"),
        ("pdf-other-way-not-turned", "    if angle == 270:", "    if angle == 271:", "test_pdf.py -k turned"),
        ("pdf-scale-of-type-ignored", "size *= math.hypot(matrix.c, matrix.d)", "size *= 1",
         "test_pdf.py -k scale"),
        ("pdf-spaced-letters-parted", "if len(self.doubtful) >= _TRACKED_GAPS else set()",
         "if False else set()", "test_pdf.py -k set_apart or one_by_one"),
        ("pdf-cells-of-digits-joined", "if sum(character.isalpha()", "if False and sum(character.isalpha()",
         "test_pdf.py -k digits_drawn"),
        ("pdf-hyphen-sign-lost", "HYPHEN if character in _HYPHENS else", "",
         "test_pdf.py -k hyphens_at"),
        ("pdf-touching-characters-parted", "_TOUCHING = 0.1 ", "_TOUCHING = -0.1 ",
         "test_pdf.py -k one_by_one or touching"),
    ),
    *mutants_of(
        f"{READING}/pdf_rows.py",
        ("pdf-pieces-joined-without-space", "if gap > room or (after.spaced and gap > 0):", "if False:",
         "test_pdf.py -k raised_digits"),
    ),
    *mutants_of(
        f"{READING}/pdf_edges.py",
        ("pdf-heading-that-counts-dropped", "if _HEADING.match(cell.text):", "if False:",
         "test_pdf.py -k heading_words"),
        ("pdf-words-that-count-dropped", "return not is_top and cell.size <=", "return cell.size <=",
         "test_pdf.py -k that_count"),
        ("pdf-header-need-not-be-apart", "while count and not self._is_apart(inwards, count, step):",
         "while False:", "test_pdf.py -k right_above"),
        ("pdf-line-in-mid-page-dropped", "_MARGIN = 0.13", "_MARGIN = 1.0", "test_pdf.py -k slides"),
        ("pdf-all-lines-dropped", "return found if len(found) < sum(len(row.lines) for row in rows) else {}",
         "return found", "test_pdf.py -k two_numbers"),
        ("pdf-equal-lines-of-two-pages-dropped", "_MIN_REPEATS = 3", "_MIN_REPEATS = 2",
         "test_pdf.py -k two_pages"),
        ("pdf-large-line-dropped", "_LARGE = 1.15", "_LARGE = 9", "test_pdf.py -k large_type"),
        ("pdf-any-number-a-page-number", "offset=number - index", "offset=0", "test_pdf.py -k not_count"),
        ("pdf-page-number-kind", 'return "page_number"', 'return "header"', "test_pdf.py -k page_numbers"),
    ),
    *mutants_of(
        f"{READING}/pdf_columns.py",
        ("pdf-columns-mixed", "    if not regions:", "    if True:", "test_pdf.py -k columns"),
        ("pdf-short-cells-as-columns", "_MIN_WORDS = 4 ", "_MIN_WORDS = 0 ", "test_pdf.py -k labels"),
        ("pdf-whole-cells-as-columns", "if sum(line.text[0].islower()", "if False and sum(line.text[0].islower()",
         "test_pdf.py -k form_stay"),
        ("pdf-longer-column-cut-off", "                break\n            columns[number]",
         "                pass\n            break\n            columns[number]", "test_pdf.py -k one_after"),
    ),
    *mutants_of(
        f"{READING}/pdf_hyphens.py",
        ("pdf-hyphen-by-a-digit-lost", "if head[-1].isdigit() or tail[0].isdigit()", "if False",
         "test_pdf.py -k hyphens_at"),
        ("pdf-compounds-unknown", "return other in _SECOND or bool", "return bool", "test_pdf.py -k hyphens_at"),
        ("pdf-short-age", "if other in _SUFFIXES or", "if", "test_pdf.py -k hyphens_at"),
        ("pdf-document-does-not-decide", "    if joined or kept:", "    if False:", "test_pdf.py -k decides"),
        ("pdf-suspended-hyphen-joined", "if tail.group().lower() in _AND and", "if False and",
         "test_pdf.py -k hyphens_at"),
        ("pdf-several-hyphens-lost", "if last != one and (", "if False and (", "test_pdf.py -k hyphens_at"),
    ),
    *mutants_of(
        f"{READING}/pdf.py",
        ("pdf-dropped-not-reported", "dropped=tuple(dropped),", "dropped=(),", "test_pdf.py -k reported"),
        ("pdf-pictures-not-counted", '{"images": num_images} if num_images else {}', "{}",
         "test_pdf.py -k pictures"),
    ),
]
