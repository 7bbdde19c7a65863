"""Several processes on one run: who writes, who waits.

The rule: one process, the main one, writes what all share (the run folder, the list of rejects, the
log, the model); the others read it afterwards. With one process, which is the usual case, nothing
here imports or starts anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def count_processes() -> int:
    """How many processes torchrun or accelerate started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """Which of them this is; 0 is the main one."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this process writes what all share."""
    return process_index() == 0


def join_processes(*, cpu: bool) -> None:
    """Meet the others (gloo on CPUs, nccl on GPUs); nothing to do for a single process."""
    if count_processes() > 1:
        from accelerate import PartialState

        PartialState(cpu=cpu)


def wait_for_all() -> None:
    """Return when every process is here."""
    import sys

    # A process alone has met nobody, and needs no torch for it.
    if count_processes() > 1 and "torch" in sys.modules:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.barrier()


@contextmanager
def main_first() -> Iterator[None]:
    """The main process runs the block, then the others do: they find what it left."""
    if not is_main():
        wait_for_all()
    yield
    if is_main():
        wait_for_all()
