"""Layouts: the position of every token of a batch, and what it may see. Pure; numpy in and out.

The rule: all layouts score the same tokens of the same sequences, and differ only in what they
compute twice or not at all. A token is scored by the hidden state of the token before it, so a
sequence is needed only up to the token before its last scored one: attention is causal, so later
tokens change nothing, and they are not forwarded.

    padded    one row per sequence, padded on the right. Works with any causal model.
    packed    all sequences in one row, end to end; no padding.
    shared    all pairs in one row; the common prefix of a pair's sides (the prompt, and any first
              words the answers share) is there once (prefix sharing).

For the pair (chosen a b c d, rejected a b e), of which d and e are scored, `shared` makes a row of
one segment. `e` is predicted at `b`, so the rejected side adds no token:

    tokens        a b c          segment 0: tokens 0-2 see themselves, causally
    positions     0 1 2
    d is scored by row 2, e by row 1

and for (a b c d, a b e f), of which d and f are scored:

    tokens        a b c | e      segment 1: token 3 sees itself and the prefix 0-1
    positions     0 1 2   2

Ideas: prefix sharing, arXiv 2410.20305; packing as in torchtitan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from trainer.examples import Example, TokenSequence

Layout = Literal["padded", "packed", "shared"]
# What is scored: the completion up to its last active token, or all of it.
Scored = Literal["active", "completion"]

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """Tokens [start, end) of a row; each sees [prefix_start, prefix_end) and its segment so far.

    Positions continue from the prefix: the first token has position prefix_end - prefix_start.
    """

    start: int
    end: int
    prefix_start: int = 0
    prefix_end: int = 0

    @property
    def first_position(self) -> int:
        """Position of the segment's first token in its sequence."""
        return self.prefix_end - self.prefix_start


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """One sequence in a batch.

    scored    indices of its scored tokens, ascending
    places    for each, the index [R x T] of the hidden state that predicts it
    """

    sequence: TokenSequence
    scored: Ints
    places: Ints


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrangement:
    """A batch laid out.

    rows        token ids of each row, not padded
    segments    of the single row; empty in the padded layout, where every row is a sequence
    width       length T of a row with its padding; `places` are indices into rows of this width
    placed      chosen sequences, then rejected ones
    """

    rows: Sequence[Ints]
    segments: Sequence[Segment]
    width: int
    placed: Sequence[Placed]

    @property
    def num_forwarded(self) -> int:
        """Number of tokens that the model computes, with padding."""
        return self.width * len(self.rows)


def arrange(examples: Sequence[Example], layout: Layout, scored: Scored) -> Arrangement:
    """Lay out a batch of at least one pair.

    `scored="active"` scores each completion up to its last active token, "completion" all of it.
    """
    chosen = [_needed(example.chosen, scored) for example in examples]
    rejected = [_needed(example.rejected, scored) for example in examples]
    if layout == "padded":
        return _pad(chosen + rejected)
    if layout == "packed":
        return _pack(chosen + rejected)
    return _share(chosen, rejected)


def common_prefix(left: Ints, right: Ints) -> int:
    """Number of tokens in the common prefix of two sequences."""
    length = min(len(left), len(right))
    differing = np.flatnonzero(left[:length] != right[:length])
    return int(differing[0]) if len(differing) else length


@dataclass(frozen=True, kw_only=True, slots=True)
class _Needed:
    """A sequence, the indices of its scored tokens, and the tokens to forward."""

    sequence: TokenSequence
    scored: Ints
    ids: Ints


def _needed(sequence: TokenSequence, scored: Scored) -> _Needed:
    end = len(sequence.token_ids)
    if scored == "active":
        active = np.flatnonzero(np.asarray(sequence.weights))
        end = int(active[-1]) + 1 if len(active) else 0
    targets = np.arange(sequence.first, end)
    # A pair that pads a rank's last batch has no scored token; one token keeps its row non-empty.
    length = max(int(targets[-1]), 1) if len(targets) else 1
    ids = np.asarray(sequence.token_ids[:length], dtype=np.int64)
    return _Needed(sequence=sequence, scored=targets, ids=ids)


def _pad(sides: Sequence[_Needed]) -> Arrangement:
    width = max(len(side.ids) for side in sides)
    return Arrangement(
        rows=[side.ids for side in sides],
        segments=(),
        width=width,
        placed=[_place(side, row * width) for row, side in enumerate(sides)],
    )


def _pack(sides: Sequence[_Needed]) -> Arrangement:
    segments: list[Segment] = []
    placed: list[Placed] = []
    end = 0
    for side in sides:
        placed.append(_place(side, end))
        segments.append(Segment(start=end, end=end + len(side.ids)))
        end += len(side.ids)
    return Arrangement(
        rows=[np.concatenate([side.ids for side in sides])],
        segments=segments,
        width=end,
        placed=placed,
    )


def _share(chosen: Sequence[_Needed], rejected: Sequence[_Needed]) -> Arrangement:
    tokens: list[Ints] = []
    segments: list[Segment] = []
    placed_chosen: list[Placed] = []
    placed_rejected: list[Placed] = []
    end = 0
    for left, right in zip(chosen, rejected, strict=True):
        start, middle = end, end + len(left.ids)
        prefix = common_prefix(left.ids, right.ids)
        own = right.ids[prefix:]
        tokens += [left.ids, own]
        segments.append(Segment(start=start, end=middle))
        end = middle + len(own)
        if len(own):
            segments.append(
                Segment(start=middle, end=end, prefix_start=start, prefix_end=start + prefix)
            )
        placed_chosen.append(_place(left, start))
        before = right.scored - 1
        places = np.where(before < prefix, start + before, middle + before - prefix)
        placed_rejected.append(Placed(sequence=right.sequence, scored=right.scored, places=places))
    return Arrangement(
        rows=[np.concatenate(tokens)],
        segments=segments,
        width=end,
        placed=placed_chosen + placed_rejected,
    )


def _place(side: _Needed, offset: int) -> Placed:
    return Placed(sequence=side.sequence, scored=side.scored, places=side.scored - 1 + offset)
