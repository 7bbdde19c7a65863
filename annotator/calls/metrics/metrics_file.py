"""The file of a run's metrics, written again and again while the run works.

The rule: the file is always complete (a rename puts it in place), and its last version has the end
of the run, however it ended. Faults of the disk while the run works do not end it: a run
that is paid for continues without its counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from annotator.calls.metrics.families import RUN_STATES, STATE
from annotator.calls.metrics.rendering import END, to_openmetrics
from annotator.calls.metrics.snapshot import Key, MetricsSnapshot
from schemas.errors import InputError, LimitReachedError
from schemas.files.own_files import refuse_to_replace_unless
from schemas.files.writing import atomic_writer

WRITE_EVERY_S = 5.0
STOPS: tuple[type[BaseException], ...] = (LimitReachedError, KeyboardInterrupt)
"""Errors that stop a run on purpose; every other one is a fault."""


class MetricsFile:
    """Writes what `read` returns to `path`, from entering the block until its end.

    every_s  seconds between two writes
    stops    errors after which the run has stopped, not failed
    warn     is called once with a sentence where the file cannot be written while the run works

    Entering raises InputError where the file cannot be written, and ConfigError where it holds
    something else than metrics.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[], MetricsSnapshot],
        *,
        every_s: float = WRITE_EVERY_S,
        stops: tuple[type[BaseException], ...] = STOPS,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.path = path
        self._read = read
        self._every_s = every_s
        self._stops = stops
        self._warn = warn
        self._is_warned = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_writing, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        refuse_to_replace_unless(self.path, is_metrics, by="maskdpo", option="--metrics")
        try:
            self._write("running")
        except OSError as error:
            raise InputError.of(
                self.path, f"cannot be written ({error.strerror}); choose another file"
            ) from None
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        try:
            self._thread.join()
        finally:  # after a second Ctrl-C, too: "running" would be wrong
            self._try_to_write(self._state_after(error))

    def _state_after(self, error: BaseException | None) -> str:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            return "done"
        return "stopped" if isinstance(error, self._stops) else "failed"

    def _keep_writing(self) -> None:
        while not self._ended.wait(self._every_s):
            self._try_to_write("running")

    def _try_to_write(self, state: str) -> None:
        try:
            self._write(state)
        except (OSError, InputError) as error:
            if not self._is_warned:
                self._is_warned = True
                self._warn(f"metrics cannot be written to {self.path} ({error}); the run continues")

    def _write(self, state: str) -> None:
        states: dict[Key, float] = {(STATE.name, name): float(name == state) for name in RUN_STATES}
        text = to_openmetrics(self._read() + MetricsSnapshot(values=states))
        with atomic_writer(self.path) as handle:
            handle.write(text.decode())


def is_metrics(path: Path) -> bool:
    """Whether a file is OpenMetrics text of this program."""
    try:
        text = path.read_bytes()
    except OSError:
        return False
    return text.startswith(b"# HELP maskdpo_") and text.endswith(END)
