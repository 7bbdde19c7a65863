"""PDF: characters with their places in, lines with their places out to be joined.

The rule: PDFium says what the characters are and `pdf_lines` how lines make text; this module
only carries the one to the other. Pages without text (scans) are counted, never passed over in
silence. Runs in a child process (`worker`): the format is large, and files in it are hostile.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

from annotator.text.reading.file_text import FileText, UnreadableError, clean, one_line
from annotator.text.reading.pdf_lines import (
    CELL_GAP,
    HYPHEN_BREAK,
    Line,
    Page,
    join_pages,
    opens_item,
)

_BREAK = re.compile(f"(\r\n|{HYPHEN_BREAK})")
# Ligatures, and radicals that fonts give in place of the characters they look like (⼀ for 一).
_COMPATIBLE = re.compile("[\ufb00-\ufb06\u2f00-\u2fd5]")
_UNMAPPED = re.compile("[\ufffd\ue000-\uf8ff]")  # what fonts give that do not say their characters
_MAX_UNMAPPED_SHARE = 0.2
_NO_TITLE = re.compile(
    r"untitled|microsoft \w+ - |.*\.(?:docx?|rtf|odt|tex|dvi|indd|pdf|txt)\Z", re.I
)
_XMP = re.compile(rb"<x:xmpmeta\b.{0,1000000}?</x:xmpmeta>", re.DOTALL)
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LICENSE_TAGS = (
    "{http://creativecommons.org/ns#}license",
    "{http://ns.adobe.com/xap/1.0/rights/}UsageTerms",
    "{http://purl.org/dc/elements/1.1/}rights",
)
_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD


def read_pdf(data: bytes, *, max_chars: int) -> FileText:
    """The text of a PDF, its lines joined to paragraphs, with title and licence of its metadata.

    Raises UnreadableError: `encrypted`, `broken`, `no_text` (scanned), `garbled` (fonts that do
    not say which characters they draw), `too_large` (more than `max_chars` characters).
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD_ERROR:
            raise UnreadableError("encrypted", "it needs a password") from None
        raise UnreadableError("broken", f"it is no sound PDF: {error}") from None
    pages: list[Page] = []
    num_chars = 0
    for index in range(len(document)):
        page = _read_page(document, index)
        num_chars += sum(len(line.text) for line in page.lines)
        if num_chars > max_chars:
            raise UnreadableError("too_large", f"it holds more than {max_chars:,} characters")
        pages.append(page)
    title = one_line(document.get_metadata_value("Title"))
    num_blank = sum(not page.lines for page in pages)
    if num_blank == len(pages):
        raise UnreadableError(
            "no_text", f"none of its {len(pages)} pages holds text; is it scanned? OCR it first"
        )
    text = clean(join_pages(pages))
    num_unmapped = len(_UNMAPPED.findall(text))
    if num_unmapped > _MAX_UNMAPPED_SHARE * len(text):
        raise UnreadableError(
            "garbled", f"its fonts do not say what {num_unmapped} of {len(text)} characters are"
        )
    return FileText(
        text=text,
        title="" if _NO_TITLE.match(title) else title,
        license=_find_license(data),
        num_pages=len(pages),
        num_blank_pages=num_blank,
    )


def _read_page(document: Any, index: int) -> Page:
    import pypdfium2

    try:
        page = document[index]
        textpage = page.get_textpage()
    except pypdfium2.PdfiumError as error:
        raise UnreadableError("broken", f"page {index + 1} cannot be read: {error}") from None
    text = textpage.get_text_range()
    lines: list[Line] = []
    start = 0  # in PDFium's units, which count two for a character beyond U+FFFF
    pieces = _BREAK.split(text)
    for content, ending in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        if content.strip():
            lines.append(_place(textpage, content, start, ending, page.get_rotation()))
        start += _num_units(content) + len(ending)
    textpage.close()
    page.close()
    return Page(lines=lines)


def _num_units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def _place(textpage: Any, content: str, start: int, ending: str, rotation: int) -> Line:
    """The line with the boxes of its first and last characters, the page turned upright."""
    from pypdfium2 import raw

    begin = start + _num_units(content[: len(content) - len(content.lstrip())])
    end = start + _num_units(content.rstrip())
    first, last = (
        max(raw.FPDFText_GetCharIndexFromTextIndex(textpage.raw, unit), 0)
        for unit in (begin, end - 1)
    )
    boxes = [_upright(textpage.get_charbox(index, loose=True), rotation) for index in (first, last)]
    starts_item = opens_item(content)
    # A bullet is often of another size than its item.
    height = max(top - bottom for _, bottom, _, top in boxes[starts_item:])
    return Line(
        text=_COMPATIBLE.sub(_spell, content.strip()),
        left=boxes[0][0],
        right=boxes[1][2],
        bottom=min(bottom for _, bottom, _, _ in boxes),
        height=height,
        hyphenated=ending == HYPHEN_BREAK,
        has_cells=any(
            gap > CELL_GAP * height for gap in _gaps(textpage, first, last, rotation)[starts_item:]
        ),
    )


def _gaps(textpage: Any, first: int, last: int, rotation: int) -> list[float]:
    """The distances between the runs of text that a line is set in, from left to right."""
    num_runs = textpage.count_rects(first, last - first + 1)
    runs = [_upright(textpage.get_rect(index), rotation) for index in range(num_runs)]
    return [right[0] - left[2] for left, right in pairwise(runs)]


def _spell(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match.group())


def _upright(box: tuple[float, ...], rotation: int) -> tuple[float, float, float, float]:
    """A box (left, bottom, right, top) as it lies once the page is turned for reading."""
    left, bottom, right, top = box
    if rotation == 90:
        return bottom, -right, top, -left
    if rotation == 180:
        return -right, -top, -left, -bottom
    if rotation == 270:
        return -top, left, -bottom, right
    return left, bottom, right, top


def _find_license(data: bytes) -> str:
    """What the file's metadata packet (XMP, plain XML inside the file) says of its licence."""
    packets = _XMP.findall(data)
    if not packets or b"<!" in packets[-1]:  # a packet has no DOCTYPE, hence no entities
        return ""
    try:
        root = ElementTree.fromstring(packets[-1])
    except (ElementTree.ParseError, ValueError):
        return ""
    for tag in _LICENSE_TAGS:
        for node in root.iter(tag):
            stated = one_line(node.get(f"{_RDF}resource") or " ".join(node.itertext()))
            if stated:
                return stated
        for node in root.iter(f"{_RDF}Description"):
            if one_line(node.get(tag)):
                return one_line(node.get(tag))
    return ""
