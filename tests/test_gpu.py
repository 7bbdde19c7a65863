"""On a GPU, in 16 bits: FlashAttention over segments computes what padded rows compute.

Skipped where there is none. `tests/test_layouts.py` has the same logic on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from steps import refer, sequence, use_layout
from tiny_models import tiny_llama

from trainer.batches import collate_pairs
from trainer.examples import Example
from trainer.head import autocast, score_tokens
from trainer.layouts import Layout

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
VOCABULARY = 48


def make_examples() -> list[Example]:
    draw = torch.Generator().manual_seed(3)

    def side(prompt: list[int], length: int) -> Any:
        ids = prompt + torch.randint(0, VOCABULARY, (length,), generator=draw).tolist()
        return sequence(ids, len(prompt), [float(at % 3 > 0) for at in range(length)])

    examples = []
    for index in range(4):
        prompt = torch.randint(0, VOCABULARY, (40 + 30 * index,), generator=draw).tolist()
        examples.append(
            Example(id=f"{index}", chosen=side(prompt, 50), rejected=side(prompt, 33 + index))
        )
    return examples


def measure(model: Any, layout: Layout, dtype: torch.dtype = torch.bfloat16) -> Mapping[str, Any]:
    """Log-probabilities, gradients, and how many layers attended with FlashAttention."""
    from trainer import attention

    examples = make_examples()
    choice = use_layout(model, layout, examples)
    batch = collate_pairs(refer(examples, model), layout, "active")
    batch = {k: v.cuda() if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
    model.train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    calls = []
    plain = attention.attend_at_once
    attention.attend_at_once = lambda *a, **k: (calls.append(1), plain(*a, **k))[1]
    try:
        with autocast(torch.device("cuda"), dtype):
            logps_N = score_tokens(model, batch, choice.head)
        model.zero_grad()
        (logps_N * batch["weights"]).sum().backward()
    finally:
        attention.attend_at_once = plain
    order = sorted(
        range(len(logps_N)), key=lambda n: (int(batch["sides"][n]), int(batch["pairs"][n]), n)
    )
    gradients = torch.cat([p.grad.flatten() for p in model.parameters()])
    return {"logps": logps_N[order].detach(), "gradients": gradients, "calls": len(calls)}


@pytest.mark.parametrize("layout", ["packed", "shared"])
def test_sixteen_bits_over_segments_err_no_more_than_padded_rows(layout: Layout) -> None:
    model = tiny_llama(VOCABULARY).cuda()
    exact = measure(model, "padded", torch.float32)
    padded, found = measure(model, "padded"), measure(model, layout)
    # Two layers, forward and again in the backward pass.
    assert [run["calls"] for run in (exact, padded, found)] == [0, 0, 4]
    for name in ("logps", "gradients"):
        ours, theirs = (float((run[name] - exact[name]).norm()) for run in (found, padded))
        assert 0 < ours < 1.5 * theirs, name


def test_float32_goes_segment_by_segment() -> None:
    """FlashAttention has no float32; the proof of a layout and float32 runs need another way."""
    model = tiny_llama(VOCABULARY).cuda()
    expected = measure(model, "padded", torch.float32)
    found = measure(model, "shared", torch.float32)
    assert found["calls"] == 0
    assert torch.allclose(found["logps"], expected["logps"], atol=1e-4)
    assert torch.allclose(found["gradients"], expected["gradients"], atol=1e-3)
