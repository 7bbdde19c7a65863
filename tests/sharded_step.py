"""A step under FSDP2 on CPUs, for `test_processes.py`: started by torchrun, writes what it found.

Every process computes its half of a batch with sharded weights; losses and gradients are gathered.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from steps import compute_losses, refer, use_layout
from test_layouts import EXAMPLES, VOCABULARY
from tiny_models import tiny_llama
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from trainer.batches import ReferencedExample
from trainer.head import Head
from trainer.processes import full_precision

PAIRS = [EXAMPLES[0], EXAMPLES[2], EXAMPLES[1], EXAMPLES[0]]  # uneven: 11, 21, 6, 11 tokens


def accelerates_policy() -> MixedPrecisionPolicy:
    """What accelerate gives fully_shard for bfloat16, unless told otherwise."""
    rounded = torch.bfloat16
    return MixedPrecisionPolicy(param_dtype=rounded, reduce_dtype=rounded, output_dtype=rounded)


def measure_rounding(items: Sequence[ReferencedExample], policy: MixedPrecisionPolicy) -> float:
    """Largest distance between the rewards of sharded and of whole weights, under autocast."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    rewards = []
    for is_sharded in (False, True):
        model = tiny_llama(VOCABULARY, seed=1)
        use_layout(model, "shared", PAIRS)
        if is_sharded:
            for module in (*model.model.layers, model.lm_head, model):
                fully_shard(module, mesh=mesh, mp_policy=policy)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = compute_losses(model, items, layout="shared", head=Head(inside=True))
        rewards.append(torch.cat([losses.chosen_rewards_B, losses.rejected_rewards_B]))
    return float((rewards[0] - rewards[1]).abs().max())


def main(output: Path) -> None:
    dist.init_process_group("gloo")
    rank, count = dist.get_rank(), dist.get_world_size()
    reference = tiny_llama(VOCABULARY, seed=7)
    found = {}
    for name, max_bytes in (("whole", 1 << 30), ("chunks", 4 * VOCABULARY * 3)):
        model = tiny_llama(VOCABULARY, seed=1)
        use_layout(model, "shared", PAIRS)
        mesh = init_device_mesh("cpu", (count,))
        for layer in model.model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        assert all(isinstance(p, DTensor) for p in model.parameters())
        items = refer(PAIRS, reference)[rank::count]
        head = Head(inside=True, max_bytes=max_bytes)
        losses = compute_losses(model, items, layout="shared", head=head)
        losses.losses_B.mean().backward()
        gradients = {key: p.grad.full_tensor() for key, p in model.named_parameters()}
        loss = losses.losses_B.detach().mean()
        dist.all_reduce(loss)
        found[name] = {
            "loss": float(loss) / count,
            "gradients": {key: value.flatten().tolist() for key, value in gradients.items()},
        }
    items = refer(PAIRS, reference)[rank::count]
    found["rounding"] = {
        "ours": measure_rounding(items, full_precision()),
        "accelerate's": measure_rounding(items, accelerates_policy()),
    }
    if rank == 0:
        output.write_text(json.dumps(found), encoding="utf-8")
    dist.barrier()  # a process that leaves earlier can abort in its threads
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
