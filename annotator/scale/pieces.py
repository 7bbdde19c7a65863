"""The pieces of an input: how many, where their files are, and which of them are finished.

The rule: a piece is finished where its output has a sidecar that names this part, these inputs and
these settings. So a run that was killed, on whatever machine, continues with the other pieces; and
a change of the input or of a setting makes them all again, with the calls that are stored.

    annotations.jsonl         the joined output
    annotations.parts/        outputs of pieces until they are joined
    store.sqlite              the run's calls
    store.parts/annotations/  calls of pieces until they are merged; other outputs have other
                              folders, since their runs may use the store at the same time
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.calls.store_others import is_on_network
from annotator.scale.config import MOST_PIECES
from annotator.scale.part_files import deciding
from annotator.scale.work import Piece
from schemas.files.own_files import WRITTEN
from schemas.files.parts import InputPart
from schemas.files.shard import Shard, part_path, pieces_folder, stores_of_pieces
from schemas.files.sidecar import (
    FORMAT_PREFIX,
    FORMAT_VERSIONS,
    make_sidecar,
    read_sidecar_values,
)
from schemas.stage import failures_path

ROWS_PER_PIECE = 500
_COUNT = re.compile(r"-\d{5,}-of-(\d{5,})(?:\.|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class PieceFolder:
    """Where the pieces of `output` and of `store` are."""

    output: Path
    store: Path

    @property
    def outputs(self) -> Path:
        """The folder of the pieces' outputs."""
        return pieces_folder(self.output)

    @property
    def stores(self) -> Path:
        """The folder of the pieces' stores."""
        return pieces_folder(self.store) / self.output.stem

    def output_of(self, shard: Shard) -> Path:
        """The output of a piece."""
        return self.outputs / part_path(self.output.name, shard).name

    def store_of(self, shard: Shard) -> Path:
        """The store of a piece."""
        return self.stores / part_path(self.store.name, shard).name

    def choose_count(self, num_rows: int, *, num_actors: int) -> int:
        """The number of pieces: as many as an unfinished run left, so that they are used.

        Otherwise ROWS_PER_PIECE rows each, at least four per actor (the last ones then end at
        nearly the same time), at most MOST_PIECES and at most one per row.
        """
        counts = [_count_of(path) for path in sorted(self.outputs.glob("*.meta.json"))]
        if counts:
            return max(counts, key=counts.count)
        wanted = max(math.ceil(num_rows / ROWS_PER_PIECE), 4 * num_actors)
        return max(1, min(wanted, MOST_PIECES, num_rows))

    def all_stores(self) -> list[Path]:
        """The stores of pieces."""
        return sorted(self.stores.glob(f"*{self.store.suffix}"))

    def other_stores(self, count: int) -> list[Path]:
        """The stores of pieces that were not cut into `count`, and of other outputs' pieces."""
        return [
            path
            for path in stores_of_pieces(self.store)
            if (_count_of(path) != count if path.parent == self.stores else not _is_locked(path))
        ]


def make_pieces(
    parts: Sequence[InputPart], folder: PieceFolder, *, units_per_row: int = 1
) -> list[Piece]:
    """The pieces of an input that was cut into `parts`; those without rows, too."""
    return [
        Piece(
            shard=part.shard,
            output=folder.output_of(part.shard),
            num_rows=len(part) * units_per_row,
            rows=part,
            store=folder.store_of(part.shard),
        )
        for part in parts
    ]


def is_finished(piece: Piece, config: Mapping[str, Any], *, retry_failed: bool) -> bool:
    """Whether the piece's output is what a run with the settings `config` would write here.

    One of other versions of packages is not: it cannot be joined with pieces that are made now. Nor
    is a file of another size than was written, and with `retry_failed` a piece with failed rows.
    """
    assert piece.rows is not None
    if not piece.output.is_file():
        return False
    sidecar = read_sidecar_values(piece.output)
    if retry_failed and (failures_path(piece.output).exists() or _has_lost_calls(sidecar)):
        return False
    return (
        sidecar.get("shard") == str(piece.shard)
        and sidecar.get("inputs") == piece.rows.described
        and deciding(sidecar.get("config")) == deciding(config)
        and _is_of_these_versions(sidecar)
        and _has_its_size(piece.output, sidecar)
    )


def _is_of_these_versions(sidecar: Mapping[str, Any]) -> bool:
    """Whether a run now writes the same format, with the packages that are installed here."""
    packages = sidecar.get("packages", {})
    kind = str(sidecar.get("format", "")).removeprefix(FORMAT_PREFIX)
    if kind not in FORMAT_VERSIONS:
        return False
    now = make_sidecar(kind, config={}, inputs={}, packages=packages)
    return sidecar.get("version") == now.version and now.packages.items() <= packages.items()


def _has_its_size(output: Path, sidecar: Mapping[str, Any]) -> bool:
    """Whether a file was not shortened, as by a power cut."""
    written = sidecar.get(WRITTEN, {}).get(output.name, {})
    return bool(written) and output.stat().st_size == written.get("bytes")


def _has_lost_calls(sidecar: Mapping[str, Any]) -> bool:
    """Whether sentences are undetermined, possibly because calls failed."""
    return bool(sidecar.get("counts", {}).get("label_undetermined"))


def _is_locked(path: Path) -> bool:
    """Whether a store of another output's run cannot be read now: on a network file system."""
    return path.with_name(f"{path.name}-wal").exists() and is_on_network(path)


def _count_of(path: Path) -> int:
    """The number of parts in the name of a part's file; 1 where it names none."""
    found = _COUNT.search(path.name)
    return int(found[1]) if found else 1
