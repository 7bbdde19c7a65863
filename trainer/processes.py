"""Several processes in one run: which one writes, which ones wait.

The rule: the main process writes what all share (the run folder, the list of rejects, the log, the
model); the others read it afterwards. With one process, which is the usual case, nothing here
imports or starts anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from schemas.errors import ConfigError

T = TypeVar("T")

# Others wait while the main process hashes or writes a model. That is not a fault, so these waits
# have their own process group; the group for computing has transformers' timeout.
_PATIENCE, _COMPUTING = timedelta(hours=12), timedelta(minutes=30)
_groups: dict[str, Any] = {}


def count_processes() -> int:
    """How many processes torchrun or accelerate started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """The rank of this process; 0 is the main one."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this process writes what all share."""
    return process_index() == 0


def join_processes(*, cpu: bool, has_adapter: bool) -> None:
    """Join the process group (gloo on CPUs, nccl on GPUs); does nothing for a single process.

    Raises ConfigError when the launcher gave no address, started more processes than GPUs, or would
    shard the weights of an adapter's model.
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
            "not set, so they cannot connect; start them with torchrun or accelerate launch, or "
            "unset WORLD_SIZE"
        )
    gpus = torch.cuda.device_count()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if not cpu and 0 < gpus < here:
        raise ConfigError(
            f"{here} processes were started on a machine that shows {gpus} GPUs; lower "
            "--nproc-per-node (--num_processes), or set train.device=cpu"
        )
    PartialState(cpu=cpu or not gpus, timeout=_COMPUTING)
    if not torch.distributed.is_initialized():
        raise ConfigError(
            f"{count_processes()} processes were started (WORLD_SIZE) without a LOCAL_RANK each, "
            "so they cannot connect; start them with torchrun or accelerate launch"
        )
    if "waiting" not in _groups:
        _groups["waiting"] = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)


def wait_for_all() -> None:
    """Return when every process is here."""
    import sys

    # A single process has no group, and needs no torch for this.
    if count_processes() > 1 and "torch" in sys.modules:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.barrier(group=_groups.get("waiting"))


def as_main_says(value: T) -> T:
    """The main process's value, in all processes. Every process must call this."""
    if count_processes() == 1:
        return value
    import torch.distributed as dist

    values = [value]
    dist.broadcast_object_list(values, src=0, group=_groups.get("waiting"))
    return values[0]


@contextmanager
def main_first() -> Iterator[None]:
    """The main process runs the block first, then the others, which find its results."""
    if not is_main():
        wait_for_all()
    yield
    if is_main():
        wait_for_all()


def keep_full_precision(accelerator: Any) -> None:
    """Make FSDP keep weights and outputs in float32, so that only autocast decides what to round.

    Accelerate's own mixed-precision policy for bfloat16 rounds the inputs and outputs of every
    sharded module, including log-probabilities and the residual stream. Then the policy model would
    differ from the reference before the first step, because the reference was computed by autocast
    on whole float32 weights.
    """
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is not None:
        plugin.mixed_precision_policy = full_precision() if plugin.fsdp_version == 2 else None


def reshard(model: Any) -> None:
    """Free what FSDP2 gathered for a forward pass without a backward pass (an evaluation).

    accelerate keeps the last norm and the LM head gathered between the two; weights cannot be
    loaded into a model that is partly gathered and partly sharded.
    """
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def full_precision() -> Any:
    """FSDP2's policy that rounds nothing."""
    from torch.distributed.fsdp import MixedPrecisionPolicy

    return MixedPrecisionPolicy(cast_forward_inputs=False)


def _refuse_sharded_adapter() -> None:
    """Raise ConfigError when accelerate is configured to shard the weights of an adapter's model.

    FSDP2 shards groups of one dtype, and an adapter's group has two: frozen weights in the
    precision of training, and its own in float32. A checkpoint of only the adapter, and its merge,
    would also need the whole model.
    """
    for name in ("FSDP", "DeepSpeed"):
        if os.environ.get(f"ACCELERATE_USE_{name.upper()}", "false").lower() == "true":
            raise ConfigError(
                f"train.lora does not work with {name}: it shards weights of one dtype together, "
                "and frozen weights and adapter have two; start it with torchrun, which keeps a "
                "copy of the model on each GPU, or leave train.lora out"
            )
