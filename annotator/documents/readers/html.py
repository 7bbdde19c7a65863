"""HTML: the main text of a page, and its metadata.

The rule: a part of the page (`main`, or a single `article`) is used for the whole page only when it
holds most of the text, so that a guess cannot lose content. The page is parsed as in a browser;
nothing in it is run, and nothing is fetched.

Measured against a content extractor (trafilatura 2.3): on short pages the extractor keeps
navigation, breaks sentences at every bold word and drops figure captions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from annotator.documents.readers.decode import decode_page
from annotator.documents.readers.file_text import FileText, clean, field_text
from annotator.documents.readers.html_text import count_shown, inline_text, render
from schemas.text.language_codes import AUTO

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_MAIN_SHARE = 0.5  # of the page's text; with less, `main` is only a part of the page
_STRIKES = re.compile(r"<(?:del|s|strike)\b", re.I)
_LICENSE_METAS = ("license", "dcterms.license", "dc.license", "dcterms.rights", "dc.rights")


def read_html(data: bytes, *, encoding: str = AUTO, language: str = AUTO) -> FileText:
    """The main text of a page, with its title, canonical address and licence.

    Raises UnreadableError.
    """
    markup, name = decode_page(data, encoding=encoding, language=language)
    tree = _parse(markup)
    root = _main_part(tree)
    return FileText(
        text=clean(render(root)),
        title=_find_title(tree, root),
        source=_find_address(tree),
        license=_find_license(tree),
        encoding=name,
        not_read=_count_struck(root),
    )


def render_markup(markup: str) -> tuple[str, str]:
    """The text of an HTML fragment, and its only first-level heading ('' for none or several)."""
    root = _parse(markup).body
    return ("", "") if root is None else (render(root), _only_heading(root))


def count_struck(markup: str) -> dict[str, int]:
    """Text of an HTML fragment that is struck out, for `FileText.not_read`."""
    root = _parse(markup).body if _STRIKES.search(markup) else None
    return {} if root is None else _count_struck(root)


def _count_struck(root: LexborNode) -> dict[str, int]:
    num_struck = sum(bool(node.text(deep=True).strip()) for node in root.css("del, s, strike"))
    return {"struck_out": num_struck} if num_struck else {}


def _parse(markup: str) -> LexborHTMLParser:
    from selectolax.lexbor import LexborHTMLParser

    # A zero byte ends a text in some C code. `clean` turns the control in its place into a space.
    return LexborHTMLParser(markup.replace("\0", "\1"))


def _main_part(tree: LexborHTMLParser) -> LexborNode:
    body = tree.body or tree.root
    assert body is not None  # the parser makes a body for any text
    for selector in ("main, [role=main]", "article"):
        found = tree.css(selector)
        if len(found) == 1 and count_shown(found[0]) >= _MAIN_SHARE * count_shown(body):
            return found[0]
    return body


def _find_title(tree: LexborHTMLParser, root: LexborNode) -> str:
    """The only first heading, which names the text.

    The page's title often contains the site's name too.
    """
    title = tree.css_first("head > title")
    return _only_heading(root) or field_text(title.text(deep=True) if title is not None else "")


def _only_heading(root: LexborNode) -> str:
    headings = root.css("h1")
    return field_text(inline_text(headings[0])) if len(headings) == 1 else ""


def _find_address(tree: LexborHTMLParser) -> str:
    for node in tree.css("link[rel~=canonical][href]"):
        address = field_text(node.attributes.get("href"))
        if _is_web_address(address):
            return address
    return ""


def _find_license(tree: LexborHTMLParser) -> str:
    for node in tree.css("link[rel~=license][href], a[rel~=license]"):
        href = field_text(node.attributes.get("href"))
        stated = href if _is_web_address(href) else field_text(inline_text(node))
        if stated:
            return stated
    metas = {
        (node.attributes.get("name") or "").lower(): field_text(node.attributes.get("content"))
        for node in reversed(tree.css("meta[name][content]"))
    }
    return next((metas[name] for name in _LICENSE_METAS if metas.get(name)), "")


def _is_web_address(address: str) -> bool:
    """Whether it is an http(s) address: sources are shown as links, and a script must not be
    one."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
