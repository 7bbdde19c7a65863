"""Where a run keeps its finished calls: one store per run directory, for all outputs.

The rule: a call that was paid once is reused by every command of the run. `--store FILE` is used as
given. Otherwise the store is RUN/store.sqlite, where RUN is `run.dir` of the config (or of
`--set`). Without that, the folder of the output is the run directory; if it has no store yet and
the default folder `runs/default` has one, that one is used.

A part of a run (`--shard I/N`) keeps its own store, and reads the replies of the others: those of
the run's store, of all parts, and of parts that were cut otherwise. Every command reads those of an
unfinished run on Ray.

A store that an earlier version kept next to an output is copied into the run's store once, and not
changed.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from maskdpo.config import RunConfig
from schemas.files.shard import Shard, part_path, stores_of_pieces, whole_path

STORE_NAME = "store.sqlite"

store_option = click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of finished calls [RUN/store.sqlite; store.sqlite next to the output if run.dir "
    "is not set]. With --shard, the name gets the part's number.",
)
same_model_option = click.option(
    "--same-model",
    is_flag=True,
    help="Use stored replies even if the server reports another model than in the last run, "
    "because it is the same model. [off: the run stops before a call]",
)


@dataclass(frozen=True, kw_only=True)
class RunStore:
    """The store of a run, and the stores of earlier versions whose calls belong to it.

    also   other stores of the run, which are only read
    """

    path: Path
    formers: Sequence[Path] = ()
    also: Sequence[Path] = ()

    def of_part(self, shard: Shard | None) -> RunStore:
        """The store of a part of the run; its own path for the whole run."""
        pieces = stores_of_pieces(self.path)
        if shard is None:
            return replace(self, also=[*pieces, *self.parts()])
        numbers = range(1, shard.count + 1)
        parts = [part_path(self.path, Shard(index=n, count=shard.count)) for n in numbers]
        own = part_path(self.path, shard)
        others = [self.path, *self.formers, *parts, *self.parts(), *pieces]
        return RunStore(path=own, also=[path for path in dict.fromkeys(others) if path != own])

    def parts(self) -> list[Path]:
        """The stores that parts of the run have made, however it was cut."""
        pattern = f"{glob.escape(self.path.stem)}-*-of-*{self.path.suffix}"
        found = sorted(self.path.parent.glob(pattern))
        return [path for path in found if whole_path(path) == self.path]

    def take_over(self) -> Path:
        """Copy the calls of the former stores, print a line for each, and return the path."""
        from annotator.calls.store_takeover import take_over

        for former in self.formers:
            count = take_over(self.path, former)
            if count:
                click.echo(
                    f"note: {count:,} stored calls of {former} were copied to {self.path}; "
                    "the former file is not changed",
                    err=True,
                )
        return self.path

    @contextmanager
    def to_read(self) -> Iterator[Path]:
        """A store for estimates: nothing is written; a copy if calls would have to be copied."""
        from annotator.calls.store_takeover import is_taken_over, take_over

        owed = [former for former in self.formers if not is_taken_over(self.path, former)]
        if not owed:
            yield self.path
            return
        with TemporaryDirectory() as folder:
            copy = Path(folder) / STORE_NAME
            for former in (self.path, *owed):
                if former.exists():
                    take_over(copy, former)
            yield copy


def find_run_store(
    config: RunConfig, output: Path, *, given: Path | None, names: Sequence[str] = (STORE_NAME,)
) -> RunStore:
    """The store of a command that writes `output`.

    `names` are the file names of earlier versions' stores, next to the output or in RUN.
    """
    if given is not None:
        return RunStore(path=given)
    path = _store_path(config, output.parent)
    places = [folder / name for folder in (output.parent, path.parent) for name in names]
    formers = {item.resolve(): item for item in places if item.is_file()}
    formers.pop(path.resolve(), None)
    return RunStore(path=path, formers=list(formers.values()))


def _store_path(config: RunConfig, folder: Path) -> Path:
    of_run = config.run.dir / STORE_NAME
    if config.given("run", "dir") is not None:
        return of_run
    next_to_output = folder / STORE_NAME
    return of_run if of_run.is_file() and not next_to_output.is_file() else next_to_output
