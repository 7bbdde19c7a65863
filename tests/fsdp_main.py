"""`maskdpo` under FSDP2 on CPU processes, as `accelerate launch` starts it on GPUs.

    torchrun --nproc-per-node 2 tests/fsdp_main.py train ... --set train.device=cpu

accelerate offers FSDP on GPUs only. Its own plugin, wrapping and checkpoints are used here; the one
thing changed is its notion that a CPU process is not to be sharded. DIE_BEFORE_STEP=N ends every
process before step N of training, as SIGKILL would.
"""

from __future__ import annotations

import os
from typing import Any

os.environ |= {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}
os.environ.setdefault("FSDP_STATE_DICT_TYPE", "SHARDED_STATE_DICT")

from accelerate import state
from accelerate.utils import DistributedType

plain_init = state.AcceleratorState.__init__


def shard_cpus(self: Any, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
    """`AcceleratorState.__init__`, which then takes CPU processes for sharded ones."""
    shared = state.AcceleratorState._shared_state
    is_first = "distributed_type" not in shared
    plain_init(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
    if fsdp_plugin is not None and is_first:
        shared |= {"distributed_type": DistributedType.FSDP, "fsdp_plugin": fsdp_plugin}
        state.PartialState._shared_state["distributed_type"] = DistributedType.FSDP


def main() -> None:
    """Run the command line."""
    state.AcceleratorState.__init__ = shard_cpus
    if "DIE_BEFORE_STEP" in os.environ:
        from trainer.callbacks import LogFile

        def die(_: Any, args: Any, trainer_state: Any, control: Any, **__: Any) -> None:
            if trainer_state.global_step + 1 == int(os.environ["DIE_BEFORE_STEP"]):
                os._exit(9)

        LogFile.on_step_begin = die
    from maskdpo.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
