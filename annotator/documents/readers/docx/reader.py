"""Word files (.docx): the text that Word shows, converted through HTML.

The rule: two separate steps. `body` writes only what is shown as text, with the numbers of lists;
mammoth converts that to HTML, and the HTML reader makes the text, so that raised marks, headings
and tables of all formats are handled by the same code.

mammoth alone leaves out the numbers of lists, equations, simple fields, ruby text, characters of
symbol fonts, text boxes without an older form, and formatting that a style sets. docx2python keeps
numbers but loses raised text and merged cells; python-docx gives the parts and no text. None of
them reads the file itself here: they would open pictures, and parse without limits.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from xml.etree.ElementTree import Element

from annotator.documents.readers.docx.blocks import Block, write_blocks
from annotator.documents.readers.docx.body import BodyReader
from annotator.documents.readers.docx.notes import NoteMarks
from annotator.documents.readers.docx.numbers import read_lists
from annotator.documents.readers.docx.package import Package
from annotator.documents.readers.docx.styles import Styles
from annotator.documents.readers.docx.visible import holds_text
from annotator.documents.readers.file_text import FileText, UnreadableError, clean, field_text
from annotator.documents.readers.html import render_markup

_NO_TITLE = re.compile(
    r"untitled|title|document ?\d*|microsoft \w+ - .*|.*\.(?:docx?|dotx?|rtf|odt|tex|pdf|txt)"
    r"|(?:power)?point presentation|word document|文档\d*|无标题|标题",
    re.I,
)
_MARKS = re.compile(r"\[(?:equation|image|chart|object|number|symbol)\]")
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
# Headings are paragraphs with styles H1 to H6; every other paragraph is a plain one.
_STYLE_MAP = "\n".join(
    [*(f"p.H{level} => h{level}:fresh" for level in range(1, 7)), "p => p:fresh"]
)
_STYLES = "".join(
    f'<w:style w:type="paragraph" w:styleId="H{level}"><w:name w:val="H{level}"/></w:style>'
    for level in range(1, 7)
)


def read_docx(data: bytes, *, max_chars: int) -> FileText:
    """The text of a Word file, with title and language of its properties.

    Raises UnreadableError: `encrypted`, `broken`, `no_text` (only pictures), `empty`, `too_large`
    (more than `max_chars` characters, or more XML than is parsed).
    """
    package = Package(data)
    counts: Counter[str] = Counter()
    blocks, titles = _read_stories(package, max_chars, counts)
    counts["comments"] += _count_comments(package)
    counts["headers_and_footers"] += sum(
        _holds_words(root) for kind in ("header", "footer") for root in package.parts(kind)
    )
    not_read = {kind: count for kind, count in sorted(counts.items()) if count}
    text, heading = render_markup(_convert(blocks))
    if not _MARKS.sub("", text).strip():
        if not_read:
            found = ", ".join(f"{count} {kind}" for kind, count in not_read.items())
            raise UnreadableError("no_text", f"it holds no text, only: {found}")
        raise UnreadableError("empty", "it holds no text")
    core = package.core_properties()
    title = field_text(titles[0]) if len(titles) == 1 else heading
    return FileText(
        text=clean(text),
        title=title or _find_title(core),
        language=_find_language(core),
        license=_property(core, "dc:rights"),
        not_read=not_read,
    )


def _read_stories(
    package: Package, max_chars: int, counts: Counter[str]
) -> tuple[list[Block], list[str]]:
    """The body, then the notes that it refers to; and the paragraphs with a title style."""
    body = package.document.find("w:body")
    if body is None:
        raise UnreadableError("broken", "its document has no body (w:body)")
    styles = Styles(package.part("styles"))
    notes = NoteMarks(body, package.part("settings"))
    reader = BodyReader(
        styles=styles,
        lists=read_lists(package.part("numbering"), styles),
        notes=notes,
        max_chars=max_chars,
        keeps_space=package.document.get("xml:space") == "preserve",
    )
    blocks = list(reader.read_story(body))
    bodies = {
        (kind, note.get("w:id", "")): note
        for kind in ("footnote", "endnote")
        for root in package.parts(kind + "s")
        for note in root.findall(f"w:{kind}")
    }
    for kind, key, label in list(notes.referred()):
        if (kind, key) in bodies:
            blocks += reader.read_story(bodies[kind, key], label)
    counts.update(reader.counts)
    return blocks, reader.titles


def _convert(blocks: list[Block]) -> str:
    """HTML of the blocks: mammoth gets a file with only these."""
    import mammoth

    document = f'<w:document xmlns:w="{_WORD}"><w:body>{write_blocks(blocks)}</w:body></w:document>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", document)
        archive.writestr("word/styles.xml", f'<w:styles xmlns:w="{_WORD}">{_STYLES}</w:styles>')
    buffer.seek(0)
    result = mammoth.convert_to_html(
        buffer,
        style_map=_STYLE_MAP,
        include_default_style_map=False,
        include_embedded_style_map=False,
    )
    lost = [message.message for message in result.messages]
    if lost:
        raise UnreadableError("broken", f"it cannot be converted without loss: {lost[0]}")
    return str(result.value)


def _count_comments(package: Package) -> int:
    return sum(
        holds_text(comment)
        for root in package.parts("comments")
        for comment in root.iter("w:comment")
    )


def _holds_words(root: Element) -> bool:
    """Whether a header or footer contains more than the page number."""
    text = "".join(node.text or "" for node in root.iter("w:t"))
    return any(character.isalpha() for character in text)


def _find_title(core: Element | None) -> str:
    title = _property(core, "dc:title")
    return "" if _NO_TITLE.fullmatch(title) else title


def _find_language(core: Element | None) -> str:
    """The language without its country: "de" for "de-AT"."""
    match = re.match(r"[A-Za-z]{2,3}(?=[-_]|\Z)", _property(core, "dc:language"))
    return match.group().lower() if match else ""


def _property(core: Element | None, tag: str) -> str:
    found = None if core is None else core.find(tag)
    return "" if found is None else field_text(found.text)
