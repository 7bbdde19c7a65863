"""The invariants of spans over a text: sorted, disjoint, in bounds, covering.

Plain functions over (start, end) code-point pairs, used by the records, by the sentence splitters'
tests and by data set validation. Errors are ValueErrors with one sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Offsets = tuple[int, int]


def check_order(text: str, spans: Sequence[Offsets]) -> None:
    """Raise ValueError unless spans are non-empty, sorted, disjoint and inside `text`."""
    check_bounds(len(text), spans)


def check_bounds(length: int, spans: Sequence[Offsets]) -> None:
    """`check_order` for a text of this length, without the text itself."""
    previous_end = 0
    for index, (start, end) in enumerate(spans):
        if start >= end:
            raise ValueError(f"span {index} [{start}, {end}) is empty; 'end' must exceed 'start'")
        if end > length:
            raise ValueError(
                f"span {index} [{start}, {end}) ends past the text, which has {length} characters"
            )
        if start < previous_end:
            raise ValueError(
                f"span {index} [{start}, {end}) starts before the end of the span before it "
                f"({previous_end}); spans must be sorted and disjoint"
            )
        previous_end = end


def check_cover(text: str, spans: Sequence[Offsets]) -> None:
    """`check_order`, and every non-space character of `text` is in a span."""
    check_order(text, spans)
    for start, end in gaps(len(text), spans):
        piece = text[start:end]
        if piece.strip():
            at = start + len(piece) - len(piece.lstrip())
            raise ValueError(f"character {at} ({text[at]!r}) is in no span; spans must cover all")


def gaps(length: int, spans: Sequence[Offsets]) -> Iterator[Offsets]:
    """The intervals of [0, length) that no span covers; spans sorted and disjoint."""
    position = 0
    for start, end in spans:
        if start > position:
            yield position, start
        position = end
    if position < length:
        yield position, length


def trim(text: str, start: int, end: int) -> Offsets | None:
    """`[start, end)` without its outer white space; None when nothing is left.

    >>> trim("  a b ", 0, 6)
    (2, 5)
    """
    piece = text[start:end]
    if not piece.strip():
        return None
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
