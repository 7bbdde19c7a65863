"""Sentences of a text as code-point offsets into the untouched text.

The rule: `text[start:end]` is the sentence, always. Sentences are sorted, disjoint, trimmed of
outer white space and cover every other character, for any text and any splitter. Blocks
(paragraphs, list items, headings, table rows, code) are found first, a library proposes sentence
ends inside the prose of each, and a few rules shared by all libraries correct them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from annotator.text.blocks import Block, find_blocks
from annotator.text.boundaries import (
    find_embedded,
    find_missed_ends,
    find_own_ends,
    is_sentence_end,
    settle,
)
from annotator.text.rules.languages import Rules, find_rules
from annotator.text.splitters import FindEnds, find_splitter, in_windows
from schemas.spans import Offsets, trim


def split_sentences(text: str, *, language: str, splitter: str = "sentencex") -> list[Offsets]:
    """The sentences of `text` as (start, end) offsets in code points; [] for blank text.

    They are sorted and disjoint, have no outer white space, and cover every other character.

    `language` is an ISO code; with an unknown one, or '', the English rules and a library's
    defaults apply.
    `splitter` is one of `annotator.text.splitters.SPLITTERS`; any other raises ConfigError.
    A part without a letter or digit (a table's rule, `---`, a lone emoji) is not a separate
    sentence: it belongs to the one before it, or to the first.
    """
    find_ends = find_splitter(splitter, language)
    rules = find_rules(language)
    blocks, view = find_blocks(text)
    pieces = (
        piece for block in blocks for piece in _split_block(text, view, block, find_ends, rules)
    )
    return _join_wordless(text, pieces)


def _split_block(
    text: str, view: str, block: Block, find_ends: FindEnds, rules: Rules
) -> Iterator[Offsets]:
    start = block.start
    ends = [] if block.whole else _ends_in_prose(text, view, block, find_ends, rules)
    for end in (*ends, block.end):
        span = trim(text, start, end)
        if span is not None:
            yield span
        start = end


def _ends_in_prose(
    text: str, view: str, block: Block, find_ends: FindEnds, rules: Rules
) -> list[int]:
    """Where sentences end inside a block of prose, ascending."""
    start, limit = block.start, block.end
    proposed = {start + end for end in in_windows(find_ends, view[start:limit])}
    proposed.update(find_own_ends(view, start=start, limit=limit))
    proposed.update(find_missed_ends(view, start=start, limit=limit, rules=rules))
    settled = {settle(text, view, end, start=start, limit=limit) for end in proposed}
    embedded = find_embedded(view, start=start, limit=limit)
    return [
        end
        for end in sorted(settled)
        if is_sentence_end(view, end, start=start, limit=limit, rules=rules)
        and not _lies_in(end, embedded)
    ]


def _lies_in(end: int, stretches: list[Offsets]) -> bool:
    """Whether `end` is in (first, last] of one of the ranges, which are sorted and disjoint."""
    index = bisect_left(stretches, end, key=lambda stretch: stretch[0]) - 1
    return index >= 0 and end <= stretches[index][1]


def _join_wordless(text: str, spans: Iterable[Offsets]) -> list[Offsets]:
    joined: list[Offsets] = []
    open_start: int | None = None  # start of the text without words before the first sentence
    last_end = 0
    for start, end in spans:
        last_end = end
        if any(character.isalnum() for character in text[start:end]):
            joined.append((start if open_start is None else open_start, end))
            open_start = None
        elif joined:
            joined[-1] = (joined[-1][0], end)
        elif open_start is None:
            open_start = start
    if open_start is not None:
        joined.append((open_start, last_end))
    return joined
