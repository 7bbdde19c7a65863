"""What ends a run early: a signal, a loss that is not finite, a full disk, no memory.

The rule: whatever ends a run, the folder holds a state from which the same command continues, and
the error names it. Signals are deferred: training stops between two steps, after the same step in
every process. Before the first step a signal ends the run at once.
"""

from __future__ import annotations

import errno
import re
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Self

from schemas.errors import BackendError, MaskDpoError

_STOPPING = (signal.SIGTERM, signal.SIGINT)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# How torch, safetensors and pyarrow report those error numbers.
_FULL_TEXT = re.compile(
    r"No space left|File too large|quota exceeded|\(os error (28|27|122)\)"
    r"|PytorchStreamWriter failed|file write failed|unexpected pos",
    re.IGNORECASE,
)
SHOWN_IDS = 4


class StoppedError(BackendError):
    """The run was stopped by a signal; the same command continues."""


class NonFiniteLossError(BackendError):
    """A loss, a gradient or an update is infinite or not a number; `ids` are its pairs."""

    def __init__(self, ids: Sequence[str], *, what: str = "loss", kept: str = "") -> None:
        self.ids, self.what = list(ids), what
        super().__init__(
            f"the {what} of {_listed(self.ids)} is not finite, so training stopped{kept}; a lower "
            "train.learning_rate is the usual remedy"
        )


class _Interrupt(BaseException):
    """A signal before the first step; a BaseException, so that no `except Exception` catches it."""


class StopSignals:
    """Handles SIGTERM and SIGINT while entered.

    Outside of `deferred` they end the block at once, which raises StoppedError; inside they only
    store their name in `asked`. A second SIGINT there raises KeyboardInterrupt. In a thread other
    than the main one nothing is handled, because Python allows only the main thread to handle
    signals.
    """

    def __init__(self) -> None:
        self.asked: str | None = None
        self._deferred = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {name: signal.signal(name, self._take) for name in _STOPPING}
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._deferred = True  # a signal from here on is too late
        for name, handler in self._before.items():
            signal.signal(name, handler)
        if isinstance(error, _Interrupt):
            raise StoppedError(
                f"stopped by {error} before the first step; rerun to continue"
            ) from None

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block a signal does not interrupt; it is stored in `asked`."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if not self._deferred:
            raise _Interrupt(name)
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = name


def any_process(flag: bool, device: Any) -> bool:
    """Whether `flag` is true in any process of the run; the same value in all of them.

    Every process must call this at the same place. With one process it costs nothing.
    """
    return bool(max_of_processes(int(flag), device))


def max_of_processes(value: int, device: Any) -> int:
    """The largest `value` of all processes of the run; every process must call this too."""
    import torch
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return value
    values = torch.tensor(value, device=device)
    dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return int(values.item())


def gather_lists(mine: list[str]) -> list[str]:
    """The lists of all processes, one after the other. Every process must call this."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return mine
    lists: list[list[str]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(lists, mine)
    return [name for part in lists for name in part]


@contextmanager
def explain_full_disk(folder: Path, *, doing: str, needed: int | None = None) -> Iterator[None]:
    """Turn errors of libraries for a full disk into a BackendError about `folder`.

    `needed` is the size in bytes of the files to be written, if it is known.
    """
    try:
        yield
    except Exception as error:  # RuntimeError of torch, SafetensorError, ArrowException, OSError
        if not is_full_disk(error):
            raise
        room = f" (about {_size(needed)} are needed)" if needed else ""
        free = _size(_free_bytes(folder))
        raise BackendError(
            f"{folder}: the disk is full, or a limit on file size or your quota is reached, while "
            f"{doing}{room}; {free} are free there. What was complete before is kept: make room, "
            "and the same command continues"
        ) from None


@contextmanager
def explain_out_of_memory(device: Any, *, doing: str, remedy: str) -> Iterator[None]:
    """Turn torch's out-of-memory errors into a BackendError."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise BackendError(f"{device} ran out of memory while {doing}; {remedy}") from None


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory was exhausted: CUDA has an error class, the CPU's allocator only a message."""
    text = str(error)
    return "out of memory" in text or "can't allocate memory" in text


def is_full_disk(error: Exception) -> bool:
    """Whether the error says that a file could not grow."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    if isinstance(error, MaskDpoError):  # already reported
        return False
    return bool(_FULL_TEXT.search(str(error)))


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _size(count: int) -> str:
    for unit, power in (("GB", 9), ("MB", 6)):
        if count >= 10**power:
            return f"{count / 10**power:.1f} {unit}"
    return f"{count / 1000:.0f} kB"


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    return ", ".join(repr(name) for name in ids[:SHOWN_IDS]) + more
