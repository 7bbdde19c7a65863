"""A command on many workers: cut its input, run the pieces, join their outputs and stores.

The rule: what is finished is never made again, and nothing is removed before it is elsewhere. A run
that stops leaves its pieces; the same command continues with the others. When all are there, the
folder looks as after a run on one machine: one output, one store.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from annotator.scale.merge_outputs import merge_outputs
from annotator.scale.merge_stores import merge_stores
from annotator.scale.piece_lock import lock_path, only_writer
from annotator.scale.pieces import PieceFolder, is_finished, make_pieces
from annotator.scale.shard_folder import ShardFormat, check_shard_folder, write_shards
from annotator.scale.work import MakeWorker, Piece, PieceReport
from annotator.scale.workers import Common
from schemas.errors import BackendError
from schemas.events import Noted, OnEvent, ignore
from schemas.files.parts import count_rows, cut_rows
from schemas.stage import StageResult

RecordT = TypeVar("RecordT", bound=BaseModel)
Engine = Callable[[Sequence[Piece], MakeWorker], Iterator[PieceReport]]
"""Runs pieces with workers; yields a report as each one ends, and raises the first error."""


@dataclass(frozen=True, kw_only=True)
class Stage(Generic[RecordT]):
    """One run of annotate, sample or questions.

    name, kind, unit     of the command, its rows, and its progress; an input row is `units_per_row`
    source, model, key   the input, what its rows are, and the id that decides the piece of a row
    described            hash and size of all input files (`describe_files`)
    config               the settings as the output's sidecar has them
    make_workers         makes workers that are given `Common`
    """

    name: str
    kind: str
    unit: str
    source: Path
    model: type[RecordT]
    key: Callable[[RecordT], str]
    described: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any]
    output: Path
    store: Path
    make_workers: Callable[[Common], MakeWorker]
    units_per_row: int = 1


def run_in_pieces(
    stage: Stage[RecordT],
    engine: Engine,
    *,
    num_actors: int,
    num_pieces: int | None = None,
    shard_format: ShardFormat | None = None,
    retry_failed: bool = False,
    same_model: bool = False,
    on_event: OnEvent = ignore,
) -> StageResult:
    """Run a stage in pieces by `engine`; the files and the result are those of one machine.

    `num_pieces` is chosen where None (`PieceFolder.choose_count`). With `shard_format` the outputs
    are not joined, but written as shards (annotator/scale/shard_folder.py).

    Raises InputError for faults of the input before anything is spent, BackendError where another
    run writes this output or its stores, and what workers raise: the pieces that are finished stay,
    and the same call continues.
    """
    if shard_format is not None:
        check_shard_folder(stage.output, shard_format, kind=stage.kind)
    # Absolute: workers may begin in another folder.
    folder = PieceFolder(output=stage.output.absolute(), store=stage.store.absolute())
    count = num_pieces or folder.choose_count(count_rows(stage.source), num_actors=num_actors)
    parts = cut_rows(stage.source.absolute(), stage.model, key=stage.key, count=count)
    parts = [replace(part, described=stage.described) for part in parts]
    pieces = make_pieces(parts, folder, units_per_row=stage.units_per_row)
    common = Common(
        source=stage.source.absolute(),
        also=[folder.store],
        retry_failed=retry_failed,
        same_model=same_model,
    )
    with _only_run(folder):
        # Stores of pieces that were cut otherwise: from the run's store all pieces can use them.
        _merge_stores(folder, folder.other_stores(count), on_event)
        reports = _run(pieces, stage, common, engine, on_event)
        _refuse_total_failure(pieces, reports)
        outputs = [piece.output for piece in pieces]
        if shard_format is not None:
            merged = write_shards(
                outputs, output=stage.output, shard_format=shard_format, same_model=same_model
            )
        else:
            merged = merge_outputs(
                outputs,
                source=stage.source,
                output=stage.output,
                same_model=same_model,
                on_event=on_event,
            )
        _merge_stores(folder, folder.all_stores(), on_event)
        _remove(folder)
    notes = dict.fromkeys(note for report in reports for note in report.notes)
    return replace(merged, notes=[*merged.notes, *(n for n in notes if n not in merged.notes)])


@contextmanager
def _only_run(folder: PieceFolder) -> Iterator[None]:
    """No other run writes this output, or keeps the calls of its pieces in the same folder."""
    name = folder.output.name
    with only_writer(folder.outputs / name, wait_s=0), only_writer(folder.stores / name, wait_s=0):
        try:
            yield
        finally:
            _remove_empty(folder)


def _remove_empty(folder: PieceFolder) -> None:
    """Remove folders that hold only the lock of this run: it stopped before its first piece.

    Called by its holder, and no other run waits for it.
    """
    for path in (folder.outputs, folder.stores):
        lock = lock_path(path / folder.output.name)
        if path.is_dir() and list(path.iterdir()) == [lock]:
            lock.unlink()
            path.rmdir()
    with suppress(OSError):
        folder.stores.parent.rmdir()


def _refuse_total_failure(pieces: Sequence[Piece], reports: Sequence[PieceReport]) -> None:
    """Raise BackendError where no call of any piece got a usable reply."""
    asked = [report for report in reports if report.piece.num_rows]
    failed = [report.total_failure for report in asked if report.total_failure]
    if failed and len(failed) == len(asked) and len(reports) == len(pieces):
        raise BackendError(failed[0])


def _remove(folder: PieceFolder) -> None:
    """Remove what is elsewhere now. The outputs come last: until then nothing is made again."""
    shutil.rmtree(folder.stores, ignore_errors=True)
    with suppress(OSError):
        folder.stores.parent.rmdir()  # where no other run has pieces
    shutil.rmtree(folder.outputs, ignore_errors=True)


def _merge_stores(folder: PieceFolder, paths: Sequence[Path], on_event: OnEvent) -> None:
    """Copy the calls of `paths` into the run's store."""
    if paths:
        merge_stores(folder.store, paths, on_event=on_event)


def _run(
    pieces: Sequence[Piece],
    stage: Stage[RecordT],
    common: Common,
    engine: Engine,
    on_event: OnEvent,
) -> list[PieceReport]:
    """Run the pieces that are not finished."""
    owed = [
        piece
        for piece in pieces
        if not is_finished(piece, stage.config, retry_failed=common.retry_failed)
    ]
    if len(owed) < len(pieces):
        text = f"{len(pieces) - len(owed):,} of {len(pieces):,} pieces are finished and are kept"
        on_event(Noted(text=text))
    return list(engine(owed, stage.make_workers(common))) if owed else []
