"""Which "<" in a Markdown text begins an HTML tag.

The rule: it must be an element of HTML with attributes of HTML, and an element that begins inside a
line must end there. Everything else is text: `p<q and q>r`, `<dose>`, `a <b and`.
"""

from __future__ import annotations

import re
from functools import lru_cache

_ELEMENTS = frozenset(
    "a abbr acronym address area article aside audio b base bdi bdo big blockquote body br button "
    "canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div "
    "dl dt em embed fieldset figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header "
    "hgroup hr html i iframe img input ins kbd label legend li link main map mark math menu meta "
    "meter nav noscript object ol optgroup option output p param picture pre progress q rb rp rt "
    "rtc ruby s samp script section select small source span strike strong style sub summary sup "
    "svg table tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr "
    "annotation annotation-xml mfrac mi mn mo mover mpadded mroot mrow ms mspace msqrt mstyle msub "
    "msubsup msup mtable mtd mtext mtr munder munderover semantics".split()
)
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
# Elements whose end tag is often omitted in HTML, or may be in another block.
_LOOSE = frozenset(
    "address article aside blockquote body caption center colgroup dd details dialog dir div dl dt "
    "fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup html legend li "
    "main map menu nav ol optgroup option p picture section summary table tbody td tfoot th thead "
    "tr ul".split()
)
_FLAGS = frozenset(
    "allowfullscreen async autofocus autoplay checked compact controls default defer disabled "
    "download hidden inert ismap itemscope loop multiple muted nomodule novalidate nowrap open "
    "playsinline readonly required reversed selected".split()
)
_VALUED = frozenset(
    "abbr accept action align alt autocomplete axis background bgcolor border cellpadding "
    "cellspacing char charset cite class clear color cols colspan content coords data datetime dir "
    "display encoding enctype face for form frame frameborder headers height href hreflang hspace "
    "id lang language loading longdesc mathvariant max media method min name nohref pattern "
    "placeholder popover poster property rel rev role rows rowspan rules scheme scope scrolling "
    "shape size sizes slot span src srcdoc srclang srcset start step style summary tabindex target "
    "title translate type usemap valign value vspace width wrap xmlns".split()
)
_PREFIXES = ("data-", "aria-", "on", "item", "xml", "epub:")
_COMMENT = re.compile(r"<!--(?:>|->|.*?-->)", re.DOTALL)
_DOCTYPE = re.compile(r"<!doctype\b[^<>]{0,300}>", re.I)
_ATTRIBUTE = r"""\s+[A-Za-z_:][\w.:-]*+(?:\s*=\s*(?:[^\s"'=<>`]++|'[^']*'|"[^"]*"))?"""
_TAG = re.compile(rf"<(/?)([A-Za-z][A-Za-z0-9-]*+)((?:{_ATTRIBUTE})*+)\s*/?>")
_ATTRIBUTE_NAME = re.compile(r"""([A-Za-z_:][\w.:-]*)(\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?""")
_MAX_TAG_CHARS = 4000


def find_tag_end(source: str, start: int) -> int:
    """Where the tag or comment that begins at `start` ends; 0 where there is none."""
    if source.startswith("<!--", start):
        if _last(source, "-->") < start + 2 and not source.startswith(("<!-->", "<!--->"), start):
            return 0
        comment = _COMMENT.match(source, start)
        return comment.end() if comment else 0
    match = _DOCTYPE.match(source, start) or _TAG.match(source, start, start + _MAX_TAG_CHARS)
    if match is None:
        return 0
    if match.re is _TAG and not (match[2].lower() in _ELEMENTS and _are_known(match[3])):
        return 0
    return match.end()


def is_paired(source: str, start: int, end: int, *, block: bool = False) -> bool:
    """Whether the tag in [start, end) is void, or its element's other tag is present too.

    Block elements need none at the start of a line: their ends may be in another block.
    """
    match = _TAG.match(source, start, end)
    if match is None:
        return True
    name = match[2].lower()
    if name in _VOID:
        return True
    before = source[start - 1] if start else " "
    after = source[end] if end < len(source) else " "
    glued = before.isalnum() and after.isalnum()
    if name in _LOOSE and (block or not glued):
        return True
    first_open, last_close = _find_tags(source).get(name, (len(source), -1))
    return first_open < start if match[1] else last_close >= end


def keep_tags(block: str) -> str:
    """A block of HTML in which each "<" that begins no tag is text."""
    pieces: list[str] = []
    position = 0
    while (start := block.find("<", position)) >= 0:
        end = find_tag_end(block, start)
        pieces += (block[position:start], block[start:end] if end else "&lt;")
        position = end or start + 1
    pieces.append(block[position:])
    return "".join(pieces)


def _are_known(attributes: str) -> bool:
    for name, value in _ATTRIBUTE_NAME.findall(attributes.lower()):
        known = name in _VALUED or (len(name) > 2 and name.startswith(_PREFIXES))
        if not (name in _FLAGS or (value and known)):
            return False
    return True


@lru_cache(maxsize=4)
def _find_tags(source: str) -> dict[str, tuple[int, int]]:
    """For each element the place of its first opening and of its last closing tag."""
    found: dict[str, tuple[int, int]] = {}
    for match in re.finditer(r"<(/?)([A-Za-z][A-Za-z0-9-]*+)", source):
        if not find_tag_end(source, match.start()):
            continue
        name = match[2].lower()
        first_open, last_close = found.get(name, (len(source), -1))
        if match[1]:
            last_close = match.start()
        else:
            first_open = min(first_open, match.start())
        found[name] = (first_open, last_close)
    return found


@lru_cache(maxsize=4)
def _last(source: str, text: str) -> int:
    return source.rfind(text)
