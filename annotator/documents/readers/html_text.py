"""The text under an element of a page: blocks with the marks of Markdown, in reading order.

The rule: no content is dropped (`visible` decides what is not content), and numbers that the page
separates stay separate: raised and lowered marks, formulas, and adjacent boxes without a space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from annotator.documents.readers.blocks_out import BlockWriter, collapse
from annotator.documents.readers.html_table import is_data_table, read_rows
from annotator.documents.readers.list_numbers import OpenList, open_list, read_typed_mark
from annotator.documents.readers.mathml import MATH_TAGS, read_math
from annotator.documents.readers.raised import InlineText
from annotator.documents.readers.visible import is_dropped, is_tex_script

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

Event = tuple[Literal["open", "text", "close"], "LexborNode", str]
_MarkKind = Literal["raised", "lowered", "reference", ""]

_BLOCKS = frozenset(
    "address article aside blockquote body caption center details dialog dir div dl dd dt fieldset "
    "figcaption figure footer form header hgroup hr html li main menu ol p pre search section "
    "summary table tbody td tfoot th thead tr ul legend".split()
)
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_BLOCK_STYLE = re.compile(r"display\s*:\s*(?:block|flex|grid|table(?!-cell)|list-item)", re.I)
_BOX_STYLE = re.compile(r"display\s*:\s*(?:inline-|table-cell)", re.I)
_BOXES = frozenset("label output meter progress data time".split())

_MARKED_TAGS = frozenset("span small font a b i em strong abbr cite".split())
_RAISED_STYLE = re.compile(
    r"vertical-align\s*:\s*(?:super|(sub)|(-)?[\d.]+(?:em|ex|px|pt|%).{0,200}font-size)",
    re.I | re.DOTALL,
)
_RAISED_CLASSES = frozenset({"sup", "superscript"})
_LOWERED_CLASSES = frozenset({"sub", "subscript"})
_REFERENCE_CLASSES = frozenset(
    "reference footnote footnote-ref footnote-reference footnoteref footnote-anchor noteref "
    "note-ref citation cite cite_ref cite-ref fn fnref fn-ref endnote xref xref-bibr bibr".split()
)
_REFERENCE_ROLES = frozenset({"doc-noteref", "doc-biblioref"})


def render(root: LexborNode) -> str:
    """The text under `root`: blocks with the marks of Markdown, no marks inside a line."""
    writer = BlockWriter()
    lists: list[OpenList] = []
    for kind, node, tag in walk(root):
        if tag in ("ul", "ol", "menu"):
            writer.flush()
            if kind == "open":
                lists.append(open_list(node, tag))
            else:
                lists.pop()
                if not lists:
                    writer.end_list()
        elif tag == "li":
            _turn_item(writer, lists, node, opens=kind == "open")
        elif tag == "blockquote":
            writer.open("> ", "> ") if kind == "open" else writer.close()
        elif tag == "table" and kind == "open" and is_data_table(node):
            _write_table(writer, node)
        elif tag == "pre" and kind == "open":
            writer.write_code(_code_text(node))
        elif tag in _HEADINGS:
            writer.flush(mark="" if kind == "open" else _HEADINGS[tag])
        elif is_block(node, tag):
            # A term is directly above its description.
            writer.flush(tight_after=tag == "dt" and kind == "close")
        else:
            _add_inline(writer.inline, kind, node, tag)
    return writer.finish()


def walk(root: LexborNode) -> Iterator[Event]:
    """What is shown under `root`, in order, without recursion: pages may be nested to any depth.

    Subtrees that `render` handles as a whole (code, formulas, pictures, data tables) are opened and
    not walked, unless one is the root.
    """
    stack: list[tuple[LexborNode, bool]] = [(root, False)]
    while stack:
        node, closes = stack.pop()
        tag = node.tag or ""
        if closes:
            yield "close", node, tag
            continue
        if node.is_text_node:
            yield "text", node, tag
            continue
        if not (node.is_element_node or node.is_document_node) or (
            node is not root and is_dropped(node, tag)
        ):
            continue
        yield "open", node, tag
        if _is_taken_whole(node, tag) and not (node is root and tag == "pre"):
            continue
        stack.append((node, True))
        child = node.last_child
        while child is not None:
            stack.append((child, False))
            child = child.prev


def inline_text(node: LexborNode) -> str:
    """The text under `node` as one line."""
    line = InlineText()
    for kind, inner, tag in walk(node):
        if tag == "pre" and kind == "open" and inner is not node:
            line.add(f" {_code_text(inner)} ")
        elif tag in _HEADINGS or is_block(inner, tag):
            line.add(" ")
        else:
            _add_inline(line, kind, inner, tag)
    return collapse(line.take()).replace("\n", " ")


def count_shown(root: LexborNode) -> int:
    """Characters under `root` that are shown, white space aside."""
    return sum(
        len("".join(node.text(deep=True).split()))
        for kind, node, tag in walk(root)
        if kind == "text" or (kind == "open" and _is_taken_whole(node, tag))
    )


def is_block(node: LexborNode, tag: str) -> bool:
    """Whether an element begins and ends with a line break."""
    if tag in _BLOCKS:
        return True
    return "display" in _style(node) and _BLOCK_STYLE.search(_style(node)) is not None


def _add_inline(line: InlineText, kind: str, node: LexborNode, tag: str) -> None:
    """One event of what is inside a line."""
    if kind == "text":
        line.add(node.text_content or "")
        return
    if tag == "br":
        line.add("\v" if kind == "open" else "")
    elif tag == "button":
        line.add_seam(words=True)
    elif _is_box(node, tag):
        line.add_seam()
    if kind == "open":
        if _is_taken_whole(node, tag):
            line.add_seam()
            line.add(_whole_text(node, tag))
            line.add_seam()
        elif mark := _find_mark(node, tag):
            line.open_mark(raised=mark != "lowered", reference=mark == "reference")
    elif _find_mark(node, tag):
        line.close_mark()
    if tag == "q":
        line.add('"')
    elif tag == "a" and line.in_mark:
        line.add_seam()  # 1 and 2 in one mark are not 12
        if _points_to_note(node):
            line.point_to_note()


def _find_mark(node: LexborNode, tag: str) -> _MarkKind:
    """How an element is raised or lowered; '' for most."""
    if tag in ("sup", "sub"):
        if _is_reference(node) or (tag == "sup" and _is_in_reference(node)):
            return "reference"
        return "raised" if tag == "sup" else "lowered"
    return _find_styled_mark(node, tag) if tag in _MARKED_TAGS and node.attributes else ""


def _find_styled_mark(node: LexborNode, tag: str) -> _MarkKind:
    """How a `span` or the like is raised or lowered, by its role, class or style."""
    attributes = node.attributes
    classes = set((attributes.get("class") or "").lower().split())
    roles = set((attributes.get("role") or "").split())
    style = _RAISED_STYLE.search(attributes.get("style") or "")
    mark: _MarkKind = ""
    if tag == "a" and _REFERENCE_ROLES & roles:
        mark = "reference"
    elif classes & _RAISED_CLASSES:
        mark = "reference" if _is_reference(node) else "raised"
    elif classes & _LOWERED_CLASSES:
        mark = "lowered"
    elif style:
        mark = "lowered" if style[1] or style[2] else "raised"
    return mark


def _is_reference(node: LexborNode) -> bool:
    attributes = node.attributes
    named = (attributes.get("class") or "").lower().split()
    roles = (attributes.get("role") or attributes.get("epub:type") or "").lower().split()
    name = (attributes.get("id") or "").lower()
    return (
        not _REFERENCE_CLASSES.isdisjoint(named)
        or not _REFERENCE_ROLES.isdisjoint(roles)
        or "noteref" in roles
        or name.startswith(("fnref", "cite_ref", "footnote-ref", "noteref"))
    )


def _is_in_reference(node: LexborNode) -> bool:
    """Whether the link around a mark points to a note."""
    parent = node.parent
    return parent is not None and parent.tag == "a" and _points_to_note(parent)


def _points_to_note(link: LexborNode) -> bool:
    address = (link.attributes.get("href") or "").strip()
    return (address.startswith("#") and len(address) > 1) or _is_reference(link)


def _is_box(node: LexborNode, tag: str) -> bool:
    """Whether a page separates an element from its neighbours inside a line."""
    if tag in _BOXES or "-" in tag:
        return True
    return "display" in _style(node) and _BOX_STYLE.search(_style(node)) is not None


def _style(node: LexborNode) -> str:
    return (node.attributes.get("style") or "") if node.is_element_node else ""


def _write_table(writer: BlockWriter, table: LexborNode) -> None:
    caption = table.css_first("caption")
    writer.flush()
    if caption is not None:
        writer.add(inline_text(caption))
        writer.flush()
    writer.write_table(read_rows(table, inline_text))


def _code_text(node: LexborNode) -> str:
    """The text of a `pre` element with its white space."""
    line = InlineText()
    for kind, inner, tag in walk(node):
        if inner is node:
            continue
        if (kind, tag) == ("open", "br") or (kind == "close" and is_block(inner, tag)):
            line.add("\n")
        else:
            _add_inline(line, kind, inner, tag)
    return line.take()


def _turn_item(
    writer: BlockWriter, lists: list[OpenList], node: LexborNode, *, opens: bool
) -> None:
    if not opens:
        writer.close()
        return
    marker = lists[-1].mark(node) if lists else "- "
    # An empty item of a Markdown file may be a line with only a number: "1999."
    keep = read_typed_mark(node)[:1].isdigit()
    writer.open(marker, " " * len(marker), keep=keep)


def _is_taken_whole(node: LexborNode, tag: str) -> bool:
    if tag in ("pre", "img") or tag in MATH_TAGS or is_tex_script(node, tag):
        return True
    return tag == "table" and is_data_table(node)


def _whole_text(node: LexborNode, tag: str) -> str:
    """The text of an element that is handled as a whole inside a line."""
    if tag == "img":
        return node.attributes.get("alt") or ""  # in place of the picture: often formulas
    if tag in MATH_TAGS:
        return read_math(node)
    return " ".join(node.text(deep=True).split())
