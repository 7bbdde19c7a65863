"""A small worker for tests of the engine on Ray: writes a file per piece, and counts its starts."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotator.calls.usage import Meter
from annotator.models.backend import Decoding, Reply, Request
from annotator.scale.work import Piece, PieceReport, WorkerContext
from schemas.errors import LimitReachedError
from schemas.events import Advanced, Ended, Event, OnEvent, Started
from schemas.files.shard import Shard
from schemas.files.writing import atomic_writer
from schemas.records import Message

STAGE = "toy"


def make_pieces(folder: Path, count: int, *, num_rows: int = 10) -> list[Piece]:
    """Pieces whose outputs are in `folder`."""
    return [
        Piece(
            shard=Shard(index=index, count=count),
            output=folder / f"part-{index:03}.txt",
            num_rows=num_rows,
        )
        for index in range(1, count + 1)
    ]


def text_of(piece: Piece) -> str:
    """What the worker writes for a piece."""
    return "".join(f"{piece.shard} row {row}\n" for row in range(piece.num_rows))


@dataclass(frozen=True)
class MakeToy:
    """Makes toy workers; plain data.

    log        each attempt appends "PID NUMBER" to this file when it begins
    row_s      seconds per row
    calls      calls per row, which cost one prompt token and one completion token each
    fail       the error that each of these pieces raises
    fault      the error that making a worker raises
    deadly     a piece that kills its process
    """

    log: Path
    row_s: float = 0.0
    calls: int = 0
    fail: Mapping[int, Exception] = field(default_factory=dict)
    fault: Exception | None = None
    deadly: int = 0

    def __call__(self, context: WorkerContext) -> Toy:
        if self.fault is not None:
            raise self.fault
        return Toy(self, context)


class Toy:
    def __init__(self, make: MakeToy, context: WorkerContext) -> None:
        self._make = make
        self._context = context

    def run(self, piece: Piece, on_event: OnEvent) -> PieceReport:
        append(self._make.log, f"{os.getpid()} {piece.shard.index}")
        if piece.shard.index in self._make.fail:
            raise self._make.fail[piece.shard.index]
        if piece.shard.index == self._make.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        meter = Meter(limits=self._context.budget, on_event=on_event)
        on_event(Started(stage=STAGE, total=piece.num_rows, unit="row"))
        for row in range(piece.num_rows):
            time.sleep(self._make.row_s)
            self._call(meter, f"{piece.shard.index}-{row}")
            on_event(Advanced(stage=STAGE, count=1, usage=meter.snapshot()))
        on_event(Ended(stage=STAGE))
        with atomic_writer(piece.output) as file:
            file.write(text_of(piece))
        return PieceReport(piece=piece, num_rows=piece.num_rows, counts={"rows": piece.num_rows})

    def _call(self, meter: Meter, name: str) -> None:
        for number in range(self._make.calls):
            request = request_of(f"{name}-{number}")
            while not meter.start([request]):
                if not meter.budget.num_under_way:
                    raise LimitReachedError(meter.refusing.describe_stop())
            append(self._make.log.with_suffix(".calls"), request.id)
            meter.finish(
                request, Reply(text="x", finish_reason="stop", prompt_tokens=1, completion_tokens=1)
            )

    def close(self) -> None:
        pass


class Tallied:
    """Counts rows that are done."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Advanced):
            self._count += event.count

    def snapshot(self) -> int:
        return self._count


def request_of(name: str, *, max_tokens: int = 1) -> Request:
    message = Message(role="user", content="x")
    return Request(id=name, messages=[message], seed=0, decoding=Decoding(max_tokens=max_tokens))


def append(path: Path, line: str) -> None:
    """Append a line in one write, so that lines of several processes do not mix."""
    with path.open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())


def lines_of(path: Path) -> Sequence[str]:
    return path.read_text().splitlines() if path.exists() else []
