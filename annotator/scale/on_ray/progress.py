"""The progress of a run, from what its workers report.

The rule: rows count once. Those of a piece count as they are reported while it is being done, are
taken back where its worker ended, and count in full when the driver has the piece's outcome. Calls
and tokens count for every attempt: they were paid for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from annotator.scale.on_ray.hub import AttemptState
from annotator.scale.work import Piece
from schemas.events import Advanced, OnEvent, Usage


class Board(Protocol):
    """Adds up the snapshots of attempts at pieces, each of which counts from 0."""

    def put(self, piece: str, snapshot: Any) -> None:
        """The present attempt at `piece` has counted this."""

    def end(self, piece: str, *, is_lost: bool = False) -> None:
        """The attempt has ended; with `is_lost`, its worker died and the piece is done again."""


class Progress:
    """Turns reports into `Advanced` events of one stage.

    num_done   rows of pieces that are finished
    attempts   how many attempts at each piece were seen
    """

    def __init__(
        self, pieces: Sequence[Piece], *, stage: str, on_event: OnEvent, board: Board | None
    ) -> None:
        self._pieces = pieces
        self._stage = stage
        self._on_event = on_event
        self._board = board
        self._present: dict[int, AttemptState] = {}
        self._past = Usage()
        self._has_usage = False
        self._num_emitted = 0
        self._last: Usage | None = None
        self.num_done = 0
        self.attempts: Counter[int] = Counter()

    def update(self, states: Sequence[AttemptState]) -> list[int]:
        """Take over what changed; returns the pieces that are done again."""
        again = []
        for state in states:
            before = self._present.get(state.piece)
            if before is None or before.attempt != state.attempt:
                self.attempts[state.piece] += 1
                if before is not None:
                    again.append(state.piece)
                    self._drop(state.piece, is_lost=True)
            self._present[state.piece] = state
            if self._board is not None and state.tally is not None:
                self._board.put(self._name(state.piece), state.tally)
        return again

    def finish(self, piece: int) -> None:
        """The driver has the outcome of a piece."""
        self._drop(piece, is_lost=False)
        self.num_done += self._pieces[piece].num_rows

    def emit(self) -> None:
        """Report what is new."""
        rows = self.num_done + sum(item.num_done for item in self._present.values())
        usage = self.usage()
        if rows > self._num_emitted or usage != self._last:
            count = max(0, rows - self._num_emitted)
            self._num_emitted += count
            self._last = usage
            self._on_event(Advanced(stage=self._stage, count=count, usage=usage))

    def usage(self) -> Usage | None:
        """All calls of the run; None where no worker makes calls."""
        total = self._past
        for item in self._present.values():
            if item.usage is not None:
                self._has_usage = True
                total = add_usage(total, item.usage)
        return total if self._has_usage else None

    def _drop(self, piece: int, *, is_lost: bool) -> None:
        state = self._present.pop(piece, None)
        if state is None:
            return
        if state.usage is not None:
            self._has_usage = True
            usage = replace(state.usage, labels={}) if is_lost else state.usage
            self._past = add_usage(self._past, usage)
        if self._board is not None:
            self._board.end(self._name(piece), is_lost=is_lost)

    def _name(self, piece: int) -> str:
        return str(self._pieces[piece].shard)


def add_usage(one: Usage, two: Usage) -> Usage:
    """The calls of two workers together."""
    costs = [item.cost for item in (one, two) if item.cost is not None]
    return Usage(
        asked=one.asked + two.asked,
        served=one.served + two.served,
        prompt=one.prompt + two.prompt,
        cached=one.cached + two.cached,
        completion=one.completion + two.completion,
        is_estimated=one.is_estimated or two.is_estimated,
        cost=sum(costs) if costs else None,
        currency=one.currency or two.currency,
        labels=_add(one.labels, two.labels),
        failures=_add(one.failures, two.failures),
    )


def _add(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(one) + Counter(two))
