"""Where a run keeps its finished calls: one store per run directory, wherever outputs go.

The rule: what was paid for once serves every verb of the run. `--store FILE` is taken as it is.
Otherwise it is RUN/store.sqlite, where RUN is `run.dir` of the config (or of `--set`). Without one,
the folder of the output is the run directory; where it has no store yet and the default folder
`runs/default` has one, that one is used.

A store that an earlier version kept next to an output is copied into the run's store once, and not
changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from maskdpo.config import RunConfig

STORE_NAME = "store.sqlite"


@dataclass(frozen=True, kw_only=True)
class RunStore:
    """The store of a run, and the stores of earlier versions whose calls belong to it."""

    path: Path
    formers: Sequence[Path] = ()

    def take_over(self) -> Path:
        """Copy what the former stores hold, with a line for each, and return the path."""
        from annotator.store_takeover import take_over

        for former in self.formers:
            count = take_over(self.path, former)
            if count:
                click.echo(
                    f"note: {count:,} stored calls of {former} were copied to {self.path}; "
                    "the former file is not changed",
                    err=True,
                )
        return self.path

    def to_read(self) -> Path:
        """The store that an estimate looks into, which writes nothing: a former one where the run
        has none yet."""
        if self.path.exists() or not self.formers:
            return self.path
        return self.formers[0]


def find_run_store(
    config: RunConfig, output: Path, *, given: Path | None, names: Sequence[str] = (STORE_NAME,)
) -> RunStore:
    """The store of a verb that writes `output`; `names` are those of former stores next to it."""
    if given is not None:
        return RunStore(path=given)
    folder = output.parent
    path = _store_path(config, folder)
    formers = [folder / name for name in names if (folder / name).is_file()]
    others = [former for former in formers if former.resolve() != path.resolve()]
    return RunStore(path=path, formers=others)


def _store_path(config: RunConfig, folder: Path) -> Path:
    of_run = config.run.dir / STORE_NAME
    if config.given("run", "dir") is not None:
        return of_run
    beside = folder / STORE_NAME
    return of_run if of_run.is_file() and not beside.is_file() else beside
