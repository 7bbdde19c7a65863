"""Which part of a Word file's markup is shown: one of several alternatives, no deleted text.

The rule: containers of every kind are opened, so that no text is lost in a new kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

# Elements with text, which are walked in whichever alternative they are.
_SHOWN = frozenset("w:r w:t w:p w:tbl w:drawing w:pict w:object m:oMath w:txbxContent".split())
_GONE = frozenset({"w:del", "w:moveFrom"})
_TEXTS = frozenset({"w:t", "w:delText"})


def walk_shown(parent: Element, wanted: Iterable[str], gone: list[Element]) -> Iterator[Element]:
    """The elements of the `wanted` tags that are shown under `parent`, not opened, in order.

    Deleted elements are appended to `gone`.
    """
    tags = frozenset(wanted)
    stack = list(reversed(parent))
    while stack:
        element = stack.pop()
        if element.tag in tags:
            yield element
        elif element.tag in _GONE:
            if element.tag == "w:del":
                gone.append(element)
        else:
            stack.extend(reversed(shown_children(element)))


def shown_children(element: Element) -> list[Element]:
    """The children to read of any container; none of those that only set formatting."""
    if element.tag == "mc:AlternateContent":
        return _alternative(element)
    if element.tag == "w:sdt":
        return _content(element)
    sets_looks = element.tag.startswith(("w:", "m:")) and element.tag.endswith("Pr")
    return [] if sets_looks else list(element)


def is_gone(element: Element) -> bool:
    """Whether the element holds text that was deleted, or moved to another place."""
    return element.tag in _GONE


def holds_text(element: Element) -> bool:
    """Whether there is any text under it, deleted or not."""
    return any(node.tag in _TEXTS and (node.text or "").strip() for node in element.iter())


def _alternative(element: Element) -> list[Element]:
    """The children of the one alternative to read: never two of them.

    Word's newer form comes first; where it has no element that is known here, the older one is
    read.
    """
    for choice in element.findall("mc:Choice") + element.findall("mc:Fallback"):
        if any(inner.tag in _SHOWN for inner in choice.iter()):
            return list(choice)
    return []


def _content(control: Element) -> list[Element]:
    """The content of a control (w:sdt); none while it shows its "click here to enter text"."""
    properties = control.find("w:sdtPr")
    if properties is not None and properties.find("w:showingPlcHdr") is not None:
        return []
    return [child for part in control.findall("w:sdtContent") for child in part]
