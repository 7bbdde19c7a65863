"""The end of a run of several processes: all exit together, and one error is printed.

The rule: when one process fails, every process exits, and the error is printed once. The failing
process writes its exit code to torchrun's store; a watcher thread in each other process polls for
it, so that no process waits in a collective for one that has exited.
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

_POLL_SECONDS = 0.2
_PRINT_SECONDS = 30.0  # to print an error
# Keys of the store: the process whose error is printed, and its exit code.
_FAILED_RANK, _EXIT_CODE = "failed_rank", "exit_code"


@contextmanager
def ending_together(report: Callable[[Exception], int]) -> Iterator[None]:
    """Within the block, an error of one process ends all of them; one process prints it.

    `report` prints an error and returns the exit code, or raises an error for which it has no
    sentence. With a single process this does nothing.
    """
    if count_processes() == 1:
        yield
        return
    watcher = _Watcher(_open_store())
    try:
        yield
    except Exception as error:  # any: an error without a sentence is printed as a traceback
        watcher.end(error, report)
    watcher.stop()
    _leave()


class _Watcher:
    """Polls for the failure of another process. Without a store, each prints its own error."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._done = threading.Event()
        if store is not None:
            threading.Thread(target=self._poll, daemon=True).start()

    def end(self, error: Exception, report: Callable[[Exception], int]) -> None:
        """Print the error, or wait until the first process to fail has printed its own; exit."""
        if self._store is not None:
            mine = str(process_index())
            if self._store.compare_set(_FAILED_RANK, "", mine).decode() != mine:
                time.sleep(_PRINT_SECONDS)  # the watcher thread ends this sooner
                _exit(1)
        self._done.set()
        code = _report(error, report)
        if self._store is not None:
            self._store.set(_EXIT_CODE, str(code))
        _exit(code)

    def stop(self) -> None:
        """Stop the watcher thread."""
        self._done.set()

    def _poll(self) -> None:
        while not self._done.wait(_POLL_SECONDS):
            try:
                code = int(self._store.get(_EXIT_CODE)) if self._store.check([_EXIT_CODE]) else None
            except RuntimeError:  # the launcher has exited, and its store with it
                return
            if code is not None and not self._done.is_set():
                _exit(code)


def _open_store() -> Any:
    """A separate connection to torchrun's store; None when the launcher has no store."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    return PrefixStore(f"maskdpo-{attempt}", store)


def _report(error: Exception, report: Callable[[Exception], int]) -> int:
    try:
        return report(error)
    except Exception:  # no sentence for the user: a defect here or in a library
        traceback.print_exc()
        return 1


def _exit(code: int) -> None:
    """Exit at once: a collective that another process will never join must not block this one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
