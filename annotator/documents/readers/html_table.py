"""Tables of a page: which of them hold data, and their cells in a grid.

The rule: a value is in the column it belongs to. A cell that spans rows is repeated in each,
since a row must be readable alone; one that spans columns is followed by empty cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

# A table with these in its cells is page layout; its cells are read as blocks.
_LAYOUT = "table, ul, ol, dl, pre, blockquote, h1, h2, h3, h4, h5, h6, p + p, form"
_MAX_SPAN = 1000  # as in browsers
_MAX_FILLED = 10_000  # limit of cells that spans may add to one table


def is_data_table(table: LexborNode) -> bool:
    """Whether the table has rows of several plain cells."""
    if any(node.mem_id != table.mem_id for node in table.css(_LAYOUT)):
        return False
    return any(len(list(_cells(row))) > 1 for row in table.css("tr"))


def read_rows(table: LexborNode, text_of: Callable[[LexborNode], str]) -> list[list[str]]:
    """The rows of a table as lists of cell texts; rows without any text are left out."""
    rows: list[list[str]] = []
    pending: dict[int, tuple[int, str]] = {}  # column -> rows still to fill, and with what
    room = _MAX_FILLED
    for row in table.css("tr"):
        texts: list[str] = []
        following: dict[int, tuple[int, str]] = {}
        cells = [
            (text_of(cell), _span(cell, "rowspan"), _span(cell, "colspan")) for cell in _cells(row)
        ]
        for text, num_rows, num_columns in cells:
            _fill(texts, pending, following)
            room -= num_columns - 1 + (num_rows > 1)
            for offset in range(num_columns if room > 0 else 1):
                shown = text if offset == 0 else ""
                if num_rows > 1:
                    following[len(texts)] = (num_rows - 1, shown)
                texts.append(shown)
        _fill(texts, pending, following)
        pending = following
        if any(texts):
            rows.append(texts)
    return rows


def _fill(
    texts: list[str], pending: dict[int, tuple[int, str]], following: dict[int, tuple[int, str]]
) -> None:
    """Repeat the cells of rows above that span down to the column where `texts` ends."""
    while len(texts) in pending:
        num_rows, text = pending.pop(len(texts))
        if num_rows > 1:
            following[len(texts)] = (num_rows - 1, text)
        texts.append(text)


def _cells(row: LexborNode) -> Iterator[LexborNode]:
    child = row.first_child
    while child is not None:
        if child.tag in ("td", "th"):
            yield child
        child = child.next


def _span(cell: LexborNode, name: str) -> int:
    value = cell.attributes.get(name) or "1"
    if not (value.isascii() and value.isdigit() and len(value) <= 6):
        return 1
    return min(max(int(value), 1), _MAX_SPAN)
