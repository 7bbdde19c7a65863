"""PDF: from the file to its text, with what was left out and what could not be read.

The rule: PDFium reports the characters and their positions; `chars`, `raised`, `columns`,
`rows`, `edges` and `lines` make text of them, in this order. Pages without text
(scans) are counted, never skipped silently. Runs in a child process (`worker`): the format is
large, and files may be malicious.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from annotator.documents.readers.file_text import FileText, UnreadableError, clean, field_text
from annotator.documents.readers.pdf.chars import read_pieces, turn
from annotator.documents.readers.pdf.edges import drop_edges
from annotator.documents.readers.pdf.lines import Page, join_pages
from annotator.documents.readers.pdf.rows import Frame, make_lines

# Ligatures, and radicals that fonts use for the characters they look like (⼀ for 一).
_COMPATIBLE = re.compile("[\ufb00-\ufb06\u2f00-\u2fd5]")
_UNMAPPED = re.compile("[\ufffd\ue000-\uf8ff]")  # characters from fonts without a character map
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
_MAX_OBJECTS = 5_000  # of a page that are searched for pictures
_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD


def read_pdf(data: bytes, *, max_chars: int) -> FileText:
    """The text of a PDF, its lines joined to paragraphs, with title and licence of its metadata.

    Raises UnreadableError: `encrypted`, `broken`, `no_text` (scanned), `garbled` (fonts without a
    character map), `too_large` (more than `max_chars` characters).
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD_ERROR:
            raise UnreadableError("encrypted", "it needs a password") from None
        raise UnreadableError("broken", f"it is not a valid PDF: {error}") from None
    pages: list[Page] = []
    num_chars = num_images = 0
    for index in range(len(document)):
        page, num_on_page = _read_page(document, index)
        num_images += num_on_page
        num_chars += sum(len(line.text) for line in page.lines)
        if num_chars > max_chars:
            raise UnreadableError("too_large", f"it holds more than {max_chars:,} characters")
        pages.append(page)
    title = field_text(document.get_metadata_value("Title"))
    num_blank = sum(not page.lines for page in pages)
    if num_blank == len(pages):
        raise UnreadableError(
            "no_text", f"none of its {len(pages)} pages holds text; is it scanned? OCR it first"
        )
    kept, dropped = drop_edges(pages)
    text = clean(join_pages(kept))
    num_unmapped = len(_UNMAPPED.findall(text))
    if num_unmapped > _MAX_UNMAPPED_SHARE * len(text):
        raise UnreadableError(
            "garbled", f"its fonts do not map {num_unmapped} of {len(text)} characters to letters"
        )
    return FileText(
        text=text,
        title="" if _NO_TITLE.match(title) else title,
        license=_find_license(data),
        num_pages=len(pages),
        num_blank_pages=num_blank,
        dropped=tuple(dropped),
        not_read={"images": num_images} if num_images else {},
    )


def _read_page(document: Any, index: int) -> tuple[Page, int]:
    """The lines of a page, and how many pictures it shows."""
    import pypdfium2

    try:
        page = document[index]
        textpage = page.get_textpage()
    except pypdfium2.PdfiumError as error:
        raise UnreadableError("broken", f"page {index + 1} cannot be read: {error}") from None
    pieces = read_pieces(textpage)
    box = page.get_bbox()
    frames = {}
    for angle in {piece.angle for piece in pieces}:
        _, bottom, _, top = turn(angle, *box)
        frames[angle] = Frame(bottom=bottom, top=top)
    lines = [
        replace(line, text=_COMPATIBLE.sub(_spell, line.text))
        if _COMPATIBLE.search(line.text)
        else line
        for line in make_lines(pieces, frames)
    ]
    num_images = _count_images(page)
    textpage.close()
    page.close()
    return Page(lines=lines), num_images


def _count_images(page: Any) -> int:
    from pypdfium2 import raw

    count = min(max(raw.FPDFPage_CountObjects(page.raw), 0), _MAX_OBJECTS)
    return sum(
        raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page.raw, index)) == raw.FPDF_PAGEOBJ_IMAGE
        for index in range(count)
    )


def _spell(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match.group())


def _find_license(data: bytes) -> str:
    """What the file's metadata packet (XMP, plain XML inside the file) says about its licence."""
    packets = _XMP.findall(data)
    if not packets or b"<!" in packets[-1]:  # a packet has no DOCTYPE, hence no entities
        return ""
    try:
        root = ElementTree.fromstring(packets[-1])
    except (ElementTree.ParseError, ValueError):
        return ""
    for tag in _LICENSE_TAGS:
        for node in root.iter(tag):
            stated = field_text(node.get(f"{_RDF}resource") or " ".join(node.itertext()))
            if stated:
                return stated
        for node in root.iter(f"{_RDF}Description"):
            if field_text(node.get(tag)):
                return field_text(node.get(tag))
    return ""
