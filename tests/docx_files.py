"""Word files for tests, made by hand: zip files of XML that is written out."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from xml.sax.saxutils import escape

NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" '
    'xmlns:adec="http://schemas.microsoft.com/office/drawing/2017/decorative" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:o="urn:schemas-microsoft-com:office:office"'
)
_LINKS = "http://schemas.openxmlformats.org/package/2006/relationships"
_KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_ROOTS = {"numbering": "numbering", "styles": "styles", "settings": "settings"}
_ROOTS |= {"footnotes": "footnotes", "endnotes": "endnotes", "comments": "comments"}
_ROOTS |= {"header": "hdr", "footer": "ftr"}


def make_docx(body: str, *, root: str = "", core: str = "", **parts: str) -> bytes:
    """A file with that content of its body, and of the parts that are named."""
    files = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": _links({"officeDocument": "word/document.xml"}),
        "word/document.xml": xml("document", f"<w:body>{body}</w:body>", root),
        "word/_rels/document.xml.rels": _links({kind: f"{kind}.xml" for kind in parts}),
    }
    for kind, content in parts.items():
        files[f"word/{kind}.xml"] = xml(_ROOTS[kind], content)
    if core:
        files["docProps/core.xml"] = (
            '<p:coreProperties xmlns:p="urn:p" xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"{core}</p:coreProperties>"
        )
    return pack(files)


def pack(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def xml(tag: str, content: str, attributes: str = "") -> str:
    return f"<w:{tag} {NAMESPACES} {attributes}>{content}</w:{tag}>"


def _links(targets: Mapping[str, str]) -> str:
    rows = "".join(
        f'<Relationship Id="r{index}" Type="{_KINDS}{kind}" Target="{target}"/>'
        for index, (kind, target) in enumerate(targets.items())
    )
    return f'<Relationships xmlns="{_LINKS}">{rows}</Relationships>'


def run(text: str = "", looks: str = "", content: str = "") -> str:
    """A run; `looks` is the content of its properties."""
    words = f'<w:t xml:space="preserve">{escape(text)}</w:t>' if text else ""
    return f"<w:r><w:rPr>{looks}</w:rPr>{words}{content}</w:r>"


def para(*runs: str, style: str = "", properties: str = "") -> str:
    """A paragraph; what is no markup is the text of a run."""
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    content = "".join(item if item.startswith("<") else run(item) for item in runs)
    return f"<w:p><w:pPr>{named}{properties}</w:pPr>{content}</w:p>"


def item(text: str, num: int = 1, level: int = 0, style: str = "") -> str:
    """A paragraph of a list."""
    ref = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{num}"/></w:numPr>'
    return para(text, style=style, properties=ref)


def level(  # one argument for each setting of a level
    index: int, style: str = "decimal", text: str | None = None, start: int = 1, more: str = ""
) -> str:
    text = f"%{index + 1}." if text is None else text
    return (
        f'<w:lvl w:ilvl="{index}"><w:start w:val="{start}"/><w:numFmt w:val="{style}"/>'
        f'{more}<w:lvlText w:val="{text}"/></w:lvl>'
    )


def definition(*levels: str, key: int = 0, more: str = "") -> str:
    return f'<w:abstractNum w:abstractNumId="{key}">{more}{"".join(levels)}</w:abstractNum>'


def num(key: int = 1, of: int = 0, overrides: str = "") -> str:
    return f'<w:num w:numId="{key}"><w:abstractNumId w:val="{of}"/>{overrides}</w:num>'


def style(  # one argument for each part of a style
    key: str, name: str = "", *, kind: str = "paragraph", base: str = "", p: str = "", r: str = ""
) -> str:
    based = f'<w:basedOn w:val="{base}"/>' if base else ""
    return (
        f'<w:style w:type="{kind}" w:styleId="{key}"><w:name w:val="{name or key}"/>{based}'
        f"<w:pPr>{p}</w:pPr><w:rPr>{r}</w:rPr></w:style>"
    )


def table(*rows: list[str]) -> str:
    """Rows of cells; a cell is a text, or markup: properties and paragraphs."""
    return (
        "<w:tbl>" + "".join(f"<w:tr>{''.join(map(cell, row))}</w:tr>" for row in rows) + "</w:tbl>"
    )


def cell(content: str) -> str:
    return f"<w:tc>{content if content.startswith('<') else para(content)}</w:tc>"


def merged(span: int = 1, merge: str = "") -> str:
    """The properties of a cell that spans columns, or rows ('restart', 'continue')."""
    down = f'<w:vMerge w:val="{merge}"/>' if merge else ""
    return f'<w:tcPr><w:gridSpan w:val="{span}"/>{down}</w:tcPr>'


def field(code: str, result: str | None = None, begin: str = "") -> str:
    """A field of runs, with its stored result or none."""
    middle = "" if result is None else mark("separate") + result
    return (
        f'<w:r><w:fldChar w:fldCharType="begin">{begin}</w:fldChar></w:r>'
        f"<w:r><w:instrText>{escape(code)}</w:instrText></w:r>{middle}{mark('end')}"
    )


def mark(kind: str) -> str:
    return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'


def drawing(content: str = "<pic:pic/>", *, alt: str = "", kind: str = "inline") -> str:
    """A run with a picture or what `content` is, in the line or ('anchor') floating."""
    return (
        f'<w:r><w:drawing><wp:{kind}><wp:docPr id="1" name="Picture 1" descr="{escape(alt)}"/>'
        f"<a:graphic><a:graphicData>{content}</a:graphicData></a:graphic></wp:{kind}></w:drawing></w:r>"
    )


def alternate(new: str, old: str) -> str:
    """Content in a newer and an older form."""
    return (
        f'<mc:AlternateContent><mc:Choice Requires="wps">{new}</mc:Choice>'
        f"<mc:Fallback>{old}</mc:Fallback></mc:AlternateContent>"
    )


def control(content: str, properties: str = "") -> str:
    return f"<w:sdt><w:sdtPr>{properties}</w:sdtPr><w:sdtContent>{content}</w:sdtContent></w:sdt>"


def embedded(program: str) -> str:
    """A run with an object of another program, shown as a picture."""
    shown = '<v:shape><v:imagedata r:id="x"/></v:shape>'
    return run(content=f'<w:object>{shown}<o:OLEObject ProgID="{program}"/></w:object>')


def note(kind: str, key: int, content: str) -> str:
    return f'<w:{kind} w:id="{key}">{content}</w:{kind}>'


def refer(kind: str, key: int, more: str = "") -> str:
    """A run that refers to a note."""
    return run(content=f'<w:{kind}Reference w:id="{key}" {more}/>')
