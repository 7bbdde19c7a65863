"""The Markdown parser: CommonMark with tables, strikethrough, footnotes and formulas, and with
rules that keep what was typed.

The rule: a number, comparison, product or placeholder is never read as markup. Only elements and
attributes of HTML are HTML; emphasis never begins or ends inside a product; items keep their typed
marks; and a definition is dropped only if it is a link.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.html_block import html_block
from markdown_it.rules_block.reference import reference
from markdown_it.rules_block.table import escapedSplit
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.html_inline import html_inline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin

from annotator.documents.readers.file_text import is_wide
from annotator.documents.readers.list_numbers import TYPED_MARK
from annotator.documents.readers.markup_tags import find_tag_end, is_paired, keep_tags

_DUNDER = re.compile(r"__[a-z][a-z0-9]*(?:_[a-z0-9]+)*__(?!\w)")
_LINK_TARGET = re.compile(r"<|\S*[/:#.@]\S")  # of a definition; "[Dose]: 5" defines nothing
_DEFINITION = re.compile(r"\[(?:[^\[\]\\]|\\.)*\]:[ \t]*\n?[ \t]*(\S*)")
_ROW_PREFIX = re.compile(r"[\s>]*(?:(?:[-*+]|\d{1,9}[.)])\s+)?")
_OPEN_BEFORE = frozenset(")]}%°′″!")
_OPEN_AFTER = frozenset("([{-+.√$\\")


class _Parser(MarkdownIt):
    def normalizeLinkText(self, link: str) -> str:
        """An address is shown as typed, including percent escapes."""
        return link


@lru_cache(maxsize=1)
def make_parser() -> MarkdownIt:
    """The parser, which keeps no state between texts."""
    parser = _Parser("commonmark", {"html": True}).enable(["table", "strikethrough"])
    # Without these a footnote of one word is a link's target, and emphasis changes formulas. Inline
    # notes are off: 10^[6] is not a note.
    parser.use(footnote_plugin, inline=False)
    parser.use(dollarmath_plugin, allow_space=False, allow_digits=False)
    parser.inline.ruler.at("html_inline", _read_html_inline)
    parser.inline.ruler.at("emphasis", _read_emphasis)
    parser.inline.ruler.before("emphasis", "dunder", _read_dunder)
    parser.block.ruler.at(
        "html_block", _read_html_block, {"alt": ["paragraph", "reference", "blockquote"]}
    )
    parser.block.ruler.at("reference", _read_definition)
    parser.core.ruler.after("block", "long_rows", _keep_long_rows)
    parser.core.ruler.before("footnote_tail", "unused_notes", _keep_unused_notes)
    for kind in ("math_inline", "math_inline_double", "math_block", "math_block_label"):
        parser.add_render_rule(kind, _write_formula)
    parser.add_render_rule("list_item_open", _write_item)
    parser.add_render_rule("footnote_caption", _write_note_number)
    parser.add_render_rule("html_block", _write_html_block)
    return parser


def _read_html_inline(state: StateInline, silent: bool) -> bool:
    """HTML in a line. A tag that is not of HTML, or has no end, is text."""
    source, start = state.src, state.pos
    if source[start] != "<":
        return False
    end = find_tag_end(source, start)
    if not end or not is_paired(source, start, end):
        return False
    return html_inline(state, silent)


def _read_html_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    start = state.bMarks[start_line] + state.tShift[start_line]
    if start >= len(state.src) or state.src[start] != "<":
        return False
    end = find_tag_end(state.src, start)
    if not end or not is_paired(state.src, start, end, block=True):
        return False
    return html_block(state, start_line, end_line, silent)


def _read_definition(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A link's address. "[Dose]: 5" has the same form but is a line of text."""
    start = state.bMarks[start_line] + state.tShift[start_line]
    match = _DEFINITION.match(state.src, start, start + 2000)
    if match is None or not _LINK_TARGET.match(match[1]):
        return False
    return reference(state, start_line, end_line, silent)


def _read_emphasis(state: StateInline, silent: bool) -> bool:
    """As in CommonMark, but for stars inside a word or a product: 2*3*4."""
    marker = state.src[state.pos]
    if silent or marker not in "_*":
        return False
    scanned = state.scanDelims(state.pos, marker == "*")
    before = state.src[state.pos - 1] if state.pos else " "
    end = state.pos + scanned.length
    after = state.src[end] if end < state.posMax else " "
    glued = _is_narrow(before) and _is_narrow(after)
    product = (before.isalnum() or before in _OPEN_BEFORE) and after in _OPEN_AFTER
    product = product or (before in _OPEN_BEFORE and after.isalnum())
    digits = before.isdigit() and after.isdigit()
    opens = scanned.can_open and not (marker == "*" and (glued or product))
    closes = scanned.can_close and not (
        marker == "*"
        and (digits or (glued and scanned.length == 1) or (product and after in "(-+"))
    )
    for _ in range(scanned.length):
        token = state.push("text", "", 0)
        token.content = marker
        state.delimiters.append(
            Delimiter(
                marker=ord(marker),
                length=scanned.length,
                token=len(state.tokens) - 1,
                end=-1,
                open=opens,
                close=closes,
            )
        )
    state.pos = end
    return True


def _is_narrow(character: str) -> bool:
    """A letter or figure of a script with spaces between words."""
    return character.isalnum() and not is_wide(character)


def _read_dunder(state: StateInline, silent: bool) -> bool:
    """A name such as __init__ is not emphasis."""
    before = state.src[state.pos - 1] if state.pos else " "
    match = _DUNDER.match(state.src, state.pos) if not before.isalnum() else None
    if match is None:
        return False
    if not silent:
        state.push("text", "", 0).content = match.group()
    state.pos = match.end()
    return True


def _keep_long_rows(state: StateCore) -> None:
    """Keep cells beyond the columns of a table's header, which CommonMark's tables drop."""
    lines: list[str] | None = None
    kept: list[Token] = []
    num_cells = 0
    for token in state.tokens:
        if token.type == "tr_open":
            num_cells = 0
        num_cells += token.type in ("td_open", "th_open")
        if token.type == "tr_close" and num_cells:
            lines = state.src.split("\n") if lines is None else lines
            row = _row_of(kept)
            for text in _cells(lines[row])[num_cells:] if row is not None else ():
                inline = Token("inline", "", 0, content=text, children=[], map=[row or 0, row or 0])
                kept += [Token("td_open", "td", 1), inline, Token("td_close", "td", -1)]
        kept.append(token)
    state.tokens = kept


def _row_of(tokens: Sequence[Token]) -> int | None:
    """The line of the row that is open."""
    token = next(token for token in reversed(tokens) if token.type == "tr_open")
    return token.map[0] if token.map else None


def _cells(line: str) -> list[str]:
    prefix = _ROW_PREFIX.match(line)
    cells = escapedSplit(line[prefix.end() :].strip() if prefix else line.strip())
    cells = cells[1:] if cells and not cells[0] else cells
    cells = cells[:-1] if cells and not cells[-1] else cells
    return [cell.strip() for cell in cells]


def _keep_unused_notes(state: StateCore) -> None:
    """Notes without a reference stay in place."""
    used = state.env.get("footnotes", {}).get("refs", {})
    kept: list[Token] = []
    unused = False
    for token in state.tokens:
        if token.type == "footnote_reference_open":
            label = token.meta["label"]
            unused = used.get(f":{label}", -1) < 0
            name = Token("html_block", "", 0, content=f"<p>[{escapeHtml(label)}]</p>")
            kept.append(name if unused else token)
        elif token.type != "footnote_reference_close" or not unused:
            kept.append(token)
    state.tokens = kept


def _write_formula(_: Any, tokens: Sequence[Token], index: int, *__: Any) -> str:
    token = tokens[index]
    mark = "$" if token.type == "math_inline" else "$$"
    formula = f"{mark}{escapeHtml(token.content)}{mark}"
    label = f" ({escapeHtml(token.info)})" if token.type == "math_block_label" else ""
    return formula if token.type.startswith("math_inline") else f"<p>{formula}{label}</p>"


def _write_item(_: Any, tokens: Sequence[Token], index: int, *__: Any) -> str:
    """An item with the mark that was typed: "7.", "1)" or "*"."""
    token = tokens[index]
    return f'<li {TYPED_MARK}="{escapeHtml(token.info + token.markup)}">'


def _write_note_number(_: Any, tokens: Sequence[Token], index: int, *__: Any) -> str:
    """The number of a note, the same for each reference."""
    return f"[{tokens[index].meta['id'] + 1}]"


def _write_html_block(_: Any, tokens: Sequence[Token], index: int, *__: Any) -> str:
    return keep_tags(tokens[index].content)
