"""The text under an element of a page: blocks with the marks of Markdown, in reading order.

The rule: nothing of substance is dropped. What goes is what never is: scripts, navigation,
controls, hidden and struck out text, the page's footer. Raised digits stay raised (10⁵ is not
105), a picture gives its replacement text, a formula its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from annotator.text.reading.blocks_out import BlockWriter, collapse
from annotator.text.reading.html_table import is_data_table, read_rows

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

Event = tuple[Literal["open", "text", "close"], "LexborNode", str]

_DROPPED = frozenset(
    "script style noscript template iframe object embed svg canvas audio video head link meta "
    "nav button select textarea input datalist dialog rt rp del s strike".split()
)
_DROPPED_ROLES = frozenset("navigation search menu menubar toolbar".split())
# Links for moving about, which common page makers put inside the text.
_DROPPED_CLASSES = frozenset(
    "headerlink mw-editsection mw-jump-link footnote-backref skip-link".split()
)
_BLOCKS = frozenset(
    "address article aside blockquote body caption center details div dl dd dt fieldset "
    "figcaption figure footer form header hr html li main menu ol p pre section summary "
    "table tbody td tfoot th thead tr ul legend".split()
)
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_RAISED = dict(zip("0123456789+-−()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁽⁾ⁿ", strict=True))


def render(root: LexborNode) -> str:
    """The text under `root`: blocks with the marks of Markdown, no marks inside a line."""
    writer = BlockWriter()
    counters: list[int | None] = []  # of the lists that are open; None: not numbered
    for kind, node, tag in walk(root):
        if kind == "text":
            writer.add(node.text_content or "")
        elif tag in ("ul", "ol", "menu"):
            writer.flush()
            if kind == "open":
                counters.append(_first_number(node) if tag == "ol" else None)
            else:
                counters.pop()
                if not counters:
                    writer.end_list()
        elif tag == "li":
            _turn_item(writer, counters, opens=kind == "open")
        elif tag == "blockquote":
            writer.open("> ", "> ") if kind == "open" else writer.close()
        elif kind == "open":
            _open(writer, node, tag)
        else:
            _close(writer, tag)
    return writer.finish()


def walk(root: LexborNode) -> Iterator[Event]:
    """What is shown under `root`, in order, without recursion: pages nest as deep as they like.

    Subtrees that `render` takes whole (code, formulas, raised text, tables of data) are opened
    and not walked.
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
        if _is_taken_whole(node, tag):
            continue
        stack.append((node, True))
        child = node.last_child
        while child is not None:
            stack.append((child, False))
            child = child.prev


def is_dropped(node: LexborNode, tag: str) -> bool:
    """Whether an element and all under it is nothing of the page's text."""
    if tag in _DROPPED:
        return True
    attributes = node.attributes
    if not attributes:
        return tag == "footer" and _is_page_footer(node)
    classes = (attributes.get("class") or "").split()
    style = (attributes.get("style") or "").replace(" ", "").lower()
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") in _DROPPED_ROLES
        or "display:none" in style
        or not _DROPPED_CLASSES.isdisjoint(classes)
        or (tag == "footer" and _is_page_footer(node))
    )


def inline_text(node: LexborNode) -> str:
    """The text under `node` as one line."""
    pieces: list[str] = []
    for kind, inner, tag in walk(node):
        if kind == "text":
            pieces.append(inner.text_content or "")
        elif kind == "open" or tag == "q":
            pieces.append(_inline_of(inner, tag))
        if tag in _BLOCKS or tag == "br":
            pieces.append(" ")
    return collapse("".join(pieces)).replace("\n", " ")


def count_shown(root: LexborNode) -> int:
    """Characters under `root` that are shown, white space aside."""
    return sum(
        len("".join(node.text(deep=True).split()))
        for kind, node, tag in walk(root)
        if kind == "text" or (kind == "open" and _is_taken_whole(node, tag))
    )


def _open(writer: BlockWriter, node: LexborNode, tag: str) -> None:
    if tag == "br":
        writer.add_break()
    elif tag == "pre":
        writer.write_code(node.text(deep=True))
    elif tag == "table" and is_data_table(node):
        caption = node.css_first("caption")
        if caption is not None:
            writer.flush()
            writer.add(inline_text(caption))
        writer.flush()
        writer.write_table(read_rows(node, inline_text))
    elif tag in _HEADINGS or tag in _BLOCKS:
        writer.flush()
    else:
        writer.add(_inline_of(node, tag))


def _close(writer: BlockWriter, tag: str) -> None:
    if tag in _HEADINGS:
        writer.flush(mark=_HEADINGS[tag])
    elif tag == "dt":
        writer.flush(tight_after=True)  # a term stands right above what is said of it
    elif tag in _BLOCKS:
        writer.flush()
    elif tag == "q":
        writer.add('"')


def _turn_item(writer: BlockWriter, counters: list[int | None], *, opens: bool) -> None:
    if not opens:
        writer.close()
        return
    number = counters[-1] if counters else None
    marker = "- " if number is None else f"{number}. "
    if number is not None:
        counters[-1] = number + 1
    writer.open(marker, " " * len(marker))


def _first_number(node: LexborNode) -> int:
    start = node.attributes.get("start") or "1"
    return int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 1


def _is_taken_whole(node: LexborNode, tag: str) -> bool:
    return tag in ("pre", "math", "sup", "img") or (tag == "table" and is_data_table(node))


def _inline_of(node: LexborNode, tag: str) -> str:
    """The text of an element that is taken whole inside a line; '' for any other."""
    if tag == "sup":
        # "10<sup>5</sup>" must not become 105.
        text = "".join(node.text(deep=True).split())
        raised = [_RAISED.get(character, "") for character in text]
        return "".join(raised) if all(raised) else text
    if tag == "img":
        return node.attributes.get("alt") or ""  # in place of the picture: formulas, often
    if tag == "math":
        source = node.css_first("annotation[encoding='application/x-tex']")
        return (
            node.attributes.get("alttext")
            or (source.text(deep=True) if source is not None else "")
            or node.text(deep=True)
        )
    return '"' if tag == "q" else ""


def _is_page_footer(node: LexborNode) -> bool:
    """A footer of the page, not of one article or quotation in it."""
    parent = node.parent
    while parent is not None:
        if parent.tag in ("article", "section", "main", "blockquote", "figure"):
            return False
        parent = parent.parent
    return True
