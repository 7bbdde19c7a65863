"""How many logits the LM head holds at a time: counted, in the forward and the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from steps import sequence
from tiny_models import tiny_llama
from torch.utils._python_dispatch import TorchDispatchMode

from trainer.batches import ReferencedExample, collate_pairs
from trainer.examples import Example
from trainer.head import Head, head_bytes, score_tokens

VOCABULARY, HIDDEN = 56, 16  # no other size of the model is 56
# 4 + 6 scored tokens: 10 rows of logits.
EXAMPLE = Example(
    id="a",
    chosen=sequence([1, 2, 3, 4, 5, 6], 2),
    rejected=sequence([1, 2, 7, 8, 9, 10, 11, 12], 2),
)


def batch_of_ten() -> dict[str, Any]:
    item = ReferencedExample(example=EXAMPLE, chosen_logps=None, rejected_logps=None)
    batch = collate_pairs([item], "padded", "active")
    assert len(batch["targets"]) == 10
    return batch


class WatchLogits(TorchDispatchMode):
    """Notes the rows of every tensor of logits that is made; `products` of matrix products only."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []
        self.products: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.shape[-1:] == (VOCABULARY,):
            num_rows = made.numel() // VOCABULARY
            if num_rows != HIDDEN:  # the matrix itself, turned on its side
                self.rows.append(num_rows)
                if "mm" in str(func):
                    self.products.append(num_rows)
        return made


@pytest.mark.parametrize(("dtype", "bytes_per_logit"), [(torch.float32, 4), (torch.bfloat16, 6)])
@pytest.mark.parametrize("rows", [1, 3, 4, 9, 10, 11])
def test_no_more_logits_than_the_budget_are_held(
    rows: int, dtype: torch.dtype, bytes_per_logit: int
) -> None:
    """A 16-bit logit takes 6 bytes: float32 log-probabilities and a 16-bit gradient."""
    model = tiny_llama(VOCABULARY)
    head = Head(inside=True, max_bytes=rows * VOCABULARY * bytes_per_logit)
    enabled = dtype != torch.float32
    with WatchLogits() as watch, torch.autocast("cpu", dtype=dtype, enabled=enabled):
        logps = score_tokens(model, batch_of_ten(), head)
        assert watch.products and sum(watch.products) == 10
        assert len(watch.products) == -(-10 // min(rows, 10))  # as few chunks as can be
        logps.sum().backward()
    assert max(watch.rows) <= rows


def test_one_byte_less_is_one_row_less() -> None:
    model = tiny_llama(VOCABULARY)
    for num_bytes, most in ((3 * 4 * VOCABULARY, 3), (3 * 4 * VOCABULARY - 1, 2), (1, 1)):
        with WatchLogits() as watch, torch.no_grad():
            score_tokens(model, batch_of_ten(), Head(inside=True, max_bytes=num_bytes))
        assert max(watch.rows) == most


@contextmanager
def saved_logits() -> Iterator[list[int]]:
    """Rows of the logits that are kept for the backward pass."""
    kept: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape[-1:] == (VOCABULARY,) and tensor.numel() != HIDDEN * VOCABULARY:
            kept.append(tensor.numel() // VOCABULARY)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield kept


def test_chunks_are_not_kept_for_the_backward_pass() -> None:
    """Else all of them would be there at its start, whatever the size of one."""
    model = tiny_llama(VOCABULARY)
    budget = 3 * VOCABULARY * 4
    with saved_logits() as kept:
        score_tokens(model, batch_of_ten(), Head(inside=True, max_bytes=budget))
    assert sum(kept) <= 3
    with saved_logits() as kept:  # what fits is kept, since making it again costs time
        score_tokens(model, batch_of_ten(), Head(inside=True))
    assert sum(kept) == 10


@pytest.mark.parametrize(
    ("megabytes", "gigabytes", "expected"),
    [
        (None, None, 512 << 20),
        (7, None, 7 << 20),
        (None, 24, 2 << 30),
        (None, 63, 2 << 30),
        (None, 64, 4 << 30),
        (None, 141, 4 << 30),
        (7, 141, 7 << 20),
    ],
)
def test_the_budget_is_what_is_set_or_what_suits_the_device(
    megabytes: int | None, gigabytes: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU each chunk reads and casts the whole matrix, so the budget there is never small."""
    device = torch.device("cpu" if gigabytes is None else "cuda")
    properties = SimpleNamespace(total_memory=(gigabytes or 0) * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    assert head_bytes(megabytes, device) == expected
