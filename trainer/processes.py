"""Several processes on one run: who writes, who waits.

The rule: one process, the main one, writes what all share (the run folder, the list of rejects, the
log, the model); the others read it afterwards. With one process, which is the usual case, nothing
here imports or starts anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from schemas.errors import ConfigError

# Others wait while the main one hashes or writes a model; errors are told (`trainer.ending`), so
# that waiting long is no risk.
_PATIENCE = timedelta(hours=12)


def count_processes() -> int:
    """How many processes torchrun or accelerate started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """Which of them this is; 0 is the main one."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this process writes what all share."""
    return process_index() == 0


def join_processes(*, cpu: bool, has_adapter: bool) -> None:
    """Meet the others (gloo on CPUs, nccl on GPUs); nothing to do for a single process.

    Raises ConfigError when the launcher left no address, started more processes than GPUs, or
    would spread the weights of an adapter.
    """
    if has_adapter:
        _refuse_sharded_adapter()
    if count_processes() == 1:
        return
    import torch
    from accelerate import PartialState

    if "MASTER_ADDR" not in os.environ:
        raise ConfigError(
            f"WORLD_SIZE says that {count_processes()} processes were started, but MASTER_ADDR is "
            "not set, so they cannot meet; start them with torchrun or accelerate launch, or unset "
            "WORLD_SIZE"
        )
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if not cpu and 0 < gpus < here:
        raise ConfigError(
            f"{here} processes were started on a machine that shows {gpus} GPUs; lower "
            "--nproc-per-node (--num_processes), or set train.device=cpu"
        )
    PartialState(cpu=cpu, timeout=_PATIENCE)


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


def _refuse_sharded_adapter() -> None:
    """Raise ConfigError where accelerate was told to spread weights: an adapter's would be lost.

    Under FSDP and ZeRO-3 a checkpoint of an adapter, and its merge, would need the whole model.
    """
    for name in ("FSDP", "DeepSpeed"):
        if os.environ.get(f"ACCELERATE_USE_{name.upper()}", "false").lower() == "true":
            raise ConfigError(
                f"train.lora does not work with {name}, which spreads the model over processes; "
                "start it with torchrun, which keeps a copy on each GPU, or leave train.lora out"
            )
