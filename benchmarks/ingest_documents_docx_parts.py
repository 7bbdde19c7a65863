"""Writes Word documents as the XML parts that Word writes, without a library.

The rule: the same seed gives the same bytes; the parts of the archive have one fixed date.
"""

from __future__ import annotations

import html
import io
import zipfile
from collections.abc import Sequence

from ingest_documents import as_runs

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_SPACES = f'xmlns:w="{_W}" xmlns:r="{_R}" xmlns:m="{_M}"'
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml."
_PARTS = {"styles": "styles", "numbering": "numbering", "footnotes": "footnotes"}
# Kinds of numbering: (format, text) of each level. The first belongs to the heading styles.
HEADINGS, STEPS, ROMAN, BULLETS, CHINESE, CHAPTERS, LETTERS, STARTED = range(1, 9)
_KINDS = {
    HEADINGS: [("decimal", "%1"), ("decimal", "%1.%2")],
    STEPS: [("decimal", "%1."), ("lowerLetter", "%2)"), ("lowerRoman", "%3.")],
    ROMAN: [("upperRoman", "%1.")],
    BULLETS: [("bullet", "•")],
    CHINESE: [("chineseCounting", "%1、"), ("chineseCounting", "（%2）")],
    CHAPTERS: [("chineseCounting", "第%1章")],
    LETTERS: [("lowerLetter", "(%1)")],
    STARTED: [("decimal", "%1.")],
}


def pack(body: Body) -> bytes:
    """The archive about a body."""
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
        'relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{_TYPE}document.main+xml"/>'
        + "".join(
            f'<Override PartName="/word/{part}.xml" ContentType="{_TYPE}{part}+xml"/>'
            for part in _PARTS
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_R}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f"<w:document {_SPACES}><w:body>{body.xml}<w:sectPr/></w:body>"
        "</w:document>",
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="r{part}" Type="{_R}/{kind}" Target="{part}.xml"/>'
            for part, kind in _PARTS.items()
        )
        + "</Relationships>",
        "word/styles.xml": f"<w:styles {_SPACES}>{_heading_style(1)}{_heading_style(2)}</w:styles>",
        "word/numbering.xml": _numbering(body.start),
        "word/footnotes.xml": f"<w:footnotes {_SPACES}>"
        + "".join(
            f'<w:footnote w:id="{number}">{para(text)}</w:footnote>'
            for number, text in enumerate(body.notes, start=2)
        )
        + "</w:footnotes>",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, xml in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), _HEAD + xml)
    return out.getvalue()


class Body:
    """The XML of a document's body, its footnotes and the start of its started list."""

    def __init__(self, *pieces: str, notes: Sequence[str] = (), start: int = 1) -> None:
        self.xml, self.notes, self.start = "".join(pieces), notes, start


def _heading_style(level: int) -> str:
    return (
        f'<w:style w:type="paragraph" w:styleId="Heading{level}"><w:name w:val="heading {level}"/>'
        f'<w:pPr><w:outlineLvl w:val="{level - 1}"/></w:pPr></w:style>'
    )


def _numbering(start: int) -> str:
    kinds = numbers = ""
    for number, levels in _KINDS.items():
        made = "".join(
            f'<w:lvl w:ilvl="{at}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>'
            f'<w:lvlText w:val="{text}"/></w:lvl>'
            for at, (form, text) in enumerate(levels)
        )
        kinds += f'<w:abstractNum w:abstractNumId="{number}">{made}</w:abstractNum>'
        override = (
            f'<w:lvlOverride w:ilvl="0"><w:startOverride w:val="{start}"/></w:lvlOverride>'
            if number == STARTED
            else ""
        )
        numbers += (
            f'<w:num w:numId="{number}"><w:abstractNumId w:val="{number}"/>{override}</w:num>'
        )
    return f"<w:numbering {_SPACES}>{kinds}{numbers}</w:numbering>"


def run(text: str, properties: str = "", tag: str = "t") -> str:
    """A run of text."""
    escaped = html.escape(text, quote=False)
    return (
        f'<w:r><w:rPr>{properties}</w:rPr><w:{tag} xml:space="preserve">{escaped}</w:{tag}></w:r>'
    )


def runs(template: str) -> str:
    """The template as runs, its marks raised or lowered."""
    names = {"^": "superscript", "_": "subscript"}
    return "".join(
        run(text, f'<w:vertAlign w:val="{names[kind]}"/>' if kind else "")
        for kind, text in as_runs(template)
    )


def para(template: str, *, kind: int = 0, level: int = 0, style: str = "") -> str:
    """A paragraph of a template; `kind` numbers it."""
    return raw(runs(template), kind=kind, level=level, style=style)


def raw(content: str, *, kind: int = 0, level: int = 0, style: str = "") -> str:
    """A paragraph about ready runs."""
    number = (
        f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{kind}"/></w:numPr>' if kind else ""
    )
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{number}</w:pPr>{content}</w:p>"


def title(template: str, level: int = 1, *, kind: int = HEADINGS) -> str:
    """A heading, numbered unless `kind` is 0."""
    at = level - 1 if kind == HEADINGS else 0
    return para(template, style=f"Heading{level}", kind=kind, level=at)


def table(*rows: Sequence[str | tuple[str, str]]) -> str:
    """A table; a cell is its template, or its template and its properties."""
    made = ""
    for row in rows:
        cells = [(one, "") if isinstance(one, str) else one for one in row]
        made += "<w:tr>" + "".join(
            f"<w:tc><w:tcPr>{properties}</w:tcPr>"
            + "".join(para(line) for line in text.split("\n"))
            + "</w:tc>"
            for text, properties in cells
        )
        made += "</w:tr>"
    return f"<w:tbl>{made}</w:tbl>"
