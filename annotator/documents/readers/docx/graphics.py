"""What a picture, shape or embedded object of a Word file holds.

The rule: the words in it are text, the rest is counted. Inside a sentence it is replaced by a mark,
since a formula may be a picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from annotator.documents.readers.docx.visible import shown_children

# How programs mark a generated description, which is not a statement of the document.
_MACHINE_ALT = re.compile(
    r"description automatically generated|ai-generated content may be incorrect"
    r"|说明已自动生成|描述已自动生成",
    re.I,
)
_FILE_NAME = re.compile(r"\S+\.(?:png|jpe?g|gif|[ew]mf|tiff?|bmp|svg|webp)", re.I)
_TAKEN_WHOLE = frozenset({"a:p"})
_EQUATION_OBJECT = re.compile(r"equation|mathtype", re.I)


@dataclass(kw_only=True, slots=True)
class Graphic:
    """`boxes` are its text boxes, `lines` other words in it, `counts` its other content."""

    inline: bool = False
    decorative: bool = False  # its author marked it as decorative
    alt: str = ""
    boxes: list[Element] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str) -> None:
        """Count one of a kind."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    @property
    def mark(self) -> str:
        """What replaces it inside a sentence."""
        kinds = {"equations": "[equation]", "images": "[image]", "charts": "[chart]"}
        return next((kinds.get(kind, "[object]") for kind in self.counts), "")


def read_graphic(root: Element) -> Graphic:
    """The content of a w:drawing, w:pict or w:object."""
    graphic = Graphic(inline=root.tag == "w:object")
    stack = [root]
    while stack:
        element = stack.pop()
        if element.tag == "w:txbxContent":
            graphic.boxes.append(element)
            continue
        _note(element, graphic)
        if element.tag not in _TAKEN_WHOLE:
            stack.extend(reversed(shown_children(element)))
    if graphic.decorative:
        graphic.counts, graphic.alt = {}, ""
    elif "equations" in graphic.counts:
        graphic.counts = {"equations": graphic.counts["equations"]}  # its picture shows the same
    elif "objects" in graphic.counts:
        graphic.counts.pop("images", None)
    return graphic


def _note(element: Element, graphic: Graphic) -> None:
    tag = element.tag
    if tag == "wp:inline":
        graphic.inline = True
    elif tag == "wp:docPr":
        graphic.alt = graphic.alt or _alt(element.get("descr") or element.get("title") or "")
    elif tag in ("v:shape", "v:rect"):
        graphic.alt = graphic.alt or _alt(element.get("alt", ""))
        graphic.inline = graphic.inline or "position:absolute" not in element.get("style", "")
    elif tag == "v:textpath":
        graphic.lines.append(element.get("string", ""))
    elif tag == "a:p":
        graphic.lines.append("".join(node.text or "" for node in element.iter("a:t")))
    elif tag in ("pic:pic", "v:imagedata", "w:contentPart"):
        graphic.add("images")
    elif tag in ("c:chart", "cx:chart"):
        graphic.add("charts")
    elif tag == "dgm:relIds":
        graphic.add("diagrams")
    elif tag == "o:OLEObject":
        is_equation = _EQUATION_OBJECT.match(element.get("ProgID", ""))
        graphic.add("equations" if is_equation else "objects")
    elif tag == "adec:decorative" and element.get("val") in ("1", "true"):
        graphic.decorative = True


def _alt(text: str) -> str:
    text = " ".join(text.split())
    return "" if _MACHINE_ALT.search(text) or _FILE_NAME.fullmatch(text) else text
