"""The end of a run of several processes: together, and with one sentence.

The rule: no process outlives another's error, and the error is told once. A process that fails
leaves word in the launcher's store, where a thread of every other one looks, so that nobody waits
in a collective for one that is gone.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from trainer.processes import count_processes, process_index

_LOOK_SECONDS = 0.2
_TELL_SECONDS = 30.0  # to print a sentence
_SPEAKER, _SAID = "speaker", "said"  # keys of the store: whose error is told, its exit code


@contextmanager
def ending_together(tell: Callable[[Exception], int]) -> Iterator[None]:
    """Within the block, an error of one process ends all of them; one of them tells it.

    `tell` prints an error and returns the exit code, or raises what it has no sentence for. With
    one process, which is the usual case, this does nothing.
    """
    if count_processes() == 1:
        yield
        return
    line = _Line(_open_store())
    try:
        yield
    except Exception as error:  # any: what has no sentence is printed as the traceback it is
        line.end(error, tell)
    line.hang_up()
    _leave()


class _Line:
    """What a failing process leaves for the others. Without a store everybody speaks."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._done = threading.Event()
        if store is not None:
            threading.Thread(target=self._listen, daemon=True).start()

    def end(self, error: Exception, tell: Callable[[Exception], int]) -> None:
        """Tell the error, or wait until the process that was first has; then exit."""
        if self._store is not None:
            mine = str(process_index())
            if self._store.compare_set(_SPEAKER, "", mine).decode() != mine:
                time.sleep(_TELL_SECONDS)  # the listening thread ends this sooner
                _exit(1)
        self._done.set()
        code = _tell(error, tell)
        if self._store is not None:
            self._store.set(_SAID, str(code))
        _exit(code)

    def hang_up(self) -> None:
        """Listen no more."""
        self._done.set()

    def _listen(self) -> None:
        while not self._done.wait(_LOOK_SECONDS):
            try:
                code = int(self._store.get(_SAID)) if self._store.check([_SAID]) else None
            except RuntimeError:  # the launcher is gone, and with it what there is to hear
                return
            if code is not None and not self._done.is_set():
                _exit(code)


def _open_store() -> Any:
    """A connection of our own to torchrun's store; None where the launcher keeps none."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    return PrefixStore(f"maskdpo-{attempt}", store)


def _tell(error: Exception, tell: Callable[[Exception], int]) -> int:
    try:
        return tell(error)
    except Exception:  # no sentence for the user: a fault of ours or of a library
        traceback.print_exc()
        return 1


def _exit(code: int) -> None:
    """At once: a collective that another process will never join must not hold this one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
