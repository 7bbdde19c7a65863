"""A step under FSDP2 on CPUs, for `test_processes.py`: started by torchrun, writes what it found.

Every process computes its half of a batch with sharded weights; losses and gradients are gathered.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch.distributed as dist
from steps import compute_losses, refer, use_layout
from test_layouts import EXAMPLES, VOCABULARY
from tiny_models import tiny_llama
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from trainer.head import Head

PAIRS = [EXAMPLES[0], EXAMPLES[2], EXAMPLES[1], EXAMPLES[0]]  # uneven: 11, 21, 6, 11 tokens


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
    if rank == 0:
        output.write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
