"""Which parts of a page are its text: elements that are left out, and controls that are content.

The rule: a control is left out only when it is not content as well. A question that opens its
answer, a heading that can be clicked and a word in a sentence are text, in any element.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_DROPPED = frozenset(
    "script style noscript template iframe object embed svg canvas audio video head link meta "
    "nav select textarea input datalist rt rp del s strike".split()
)
_DROPPED_ROLES = frozenset("navigation search menu menubar toolbar".split())
# Navigation links that common site generators put inside the text.
_DROPPED_CLASSES = frozenset(
    "headerlink mw-editsection mw-jump-link footnote-backref skip-link".split()
)
# Panels that a reader opens: their text is hidden until then.
_PANEL_ROLES = frozenset({"tabpanel", "region"})
_PANEL_CLASS = re.compile(r"accordion|collaps|faq|tab-?pane", re.I)
# Formulas that are hidden behind a picture of the formula.
_FORMULA_CLASS = "mwe-math-mathml"

_HEADING_PARENTS = frozenset("h1 h2 h3 h4 h5 h6 dt summary th caption legend".split())
_PANEL_SWITCHES = frozenset({"aria-controls", "aria-expanded"})
_SWITCH_WORDS = frozenset({"collapse", "accordion"})
_MAX_LABEL_WORDS = 3
_MAX_LABEL_CHARS = 12  # of a label in a script without spaces
_SENTENCE_END = tuple("?!.:？！。：…")
_SIDES_SEEN = 8  # neighbours of a button that are checked
_ANCESTORS_SEEN = 12
_MAX_BUTTON_CHARS = 1000


def is_dropped(node: LexborNode, tag: str) -> bool:
    """Whether an element and everything under it does not belong to the page's text."""
    if tag in _DROPPED:
        return not is_tex_script(node, tag)
    if tag == "button" and not _is_content(node):
        return True
    attributes = node.attributes
    if tag == "dialog" and "open" not in attributes:
        return True
    if not attributes:
        return tag == "footer" and _is_page_footer(node)
    classes = (attributes.get("class") or "").split()
    return (
        (_is_hidden(attributes) and not _opens_later(attributes, classes))
        or attributes.get("role") in _DROPPED_ROLES
        or not _DROPPED_CLASSES.isdisjoint(classes)
        or _is_drawn_formula(node, tag, classes)
        or (tag == "footer" and _is_page_footer(node))
    )


def is_tex_script(node: LexborNode, tag: str) -> bool:
    """Whether it is a formula that a script of the page will draw."""
    return tag == "script" and (node.attributes.get("type") or "").lower().startswith("math/tex")


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    style = (attributes.get("style") or "").replace(" ", "").lower()
    # hidden="until-found" is text that a browser can find and then opens.
    hidden = "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found"
    return hidden or attributes.get("aria-hidden") == "true" or "display:none" in style


def _opens_later(attributes: dict[str, str | None], classes: list[str]) -> bool:
    """Whether hidden text is a panel that the reader opens, or a formula behind its picture."""
    return attributes.get("role") in _PANEL_ROLES or any(
        name.startswith(_FORMULA_CLASS) or _PANEL_CLASS.search(name) for name in classes
    )


def _is_drawn_formula(node: LexborNode, tag: str, classes: list[str]) -> bool:
    """A formula as drawn, when the page holds it as text as well."""
    if tag == "img":
        before = node.prev
        return (
            before is not None
            and any(name.startswith("mwe-math-fallback") for name in classes)
            and _FORMULA_CLASS in (_attribute(before, "class"))
        )
    if not any(name.startswith("MathJax") for name in classes):
        return False
    after = node.next
    for _ in range(3):
        if after is None:
            return False
        if is_tex_script(after, after.tag or ""):
            return True
        after = after.next
    return False


def _attribute(node: LexborNode, name: str) -> str:
    return (node.attributes.get(name) or "") if node.is_element_node else ""


def _is_content(button: LexborNode) -> bool:
    """Whether a button's text is text of the page, and not the name of an action."""
    text = " ".join(button.text(deep=True)[:_MAX_BUTTON_CHARS].split())
    return bool(text) and (_is_prose(text) or _is_content_by_place(button, text))


def _is_prose(text: str) -> bool:
    """Whether a button's text is a sentence, or too long for a name."""
    wide = not text.isascii() and " " not in text
    return (
        len(text.split()) > _MAX_LABEL_WORDS
        or (wide and len(text) > _MAX_LABEL_CHARS)
        or text.endswith(_SENTENCE_END)
    )


def _is_content_by_place(button: LexborNode, text: str) -> bool:
    """Whether a button's position makes it a heading, a value or a word of a sentence."""
    parents = _find_parents(button)
    in_cell = not parents.isdisjoint({"td", "dd"})
    return (
        not _HEADING_PARENTS.isdisjoint(parents)
        or (_switches_panel(button) and parents.isdisjoint({"header", "nav"}))
        or (in_cell and any(character.isdigit() for character in text))
        or _is_in_text(button)
    )


def _find_parents(node: LexborNode) -> set[str]:
    """The tags of the elements around it, the nearest ones."""
    found: set[str] = set()
    parent = node.parent
    for _ in range(_ANCESTORS_SEEN):
        if parent is None:
            break
        found.add(parent.tag or "")
        if parent.attributes.get("role") == "heading":
            found.add("h2")
        parent = parent.parent
    return found


def _switches_panel(button: LexborNode) -> bool:
    attributes = button.attributes
    if attributes.get("role") == "tab" or attributes.get("aria-haspopup"):
        return False
    words = {attributes.get("data-toggle"), attributes.get("data-bs-toggle")}
    classes = attributes.get("class") or ""
    return (
        not _PANEL_SWITCHES.isdisjoint(attributes)
        or not _SWITCH_WORDS.isdisjoint(words)
        or _PANEL_CLASS.search(classes) is not None
    )


def _is_in_text(button: LexborNode) -> bool:
    """Whether there are words before or after it in the same line."""
    for forwards in (False, True):
        node = button
        for _ in range(_SIDES_SEEN):
            following = node.next if forwards else node.prev
            if following is None:
                break
            node = following
            if node.is_text_node and (node.text_content or "").strip():
                return True
            if node.is_element_node and node.tag in ("b", "strong", "em", "i", "code", "label"):
                return True
            if node.is_element_node and node.tag != "button":
                break
    return False


def _is_page_footer(node: LexborNode) -> bool:
    """A footer of the page, not of one article or quotation in it."""
    parent = node.parent
    while parent is not None:
        if parent.tag in ("article", "section", "main", "blockquote", "figure"):
            return False
        parent = parent.parent
    return True
