"""Golden numbers for the operations of a step, each worked out by hand in its test."""

from __future__ import annotations

import pytest
from steps import sequence
from tiny_models import tiny_gemma, tiny_gpt2, tiny_llama

from trainer.examples import Example
from trainer.flops import ModelShape, Work, find_peak, measure_shape, measure_work
from trainer.layouts import Layout, arrange

# Both sides begin with 1 2 3. The last token of a side predicts nothing and is not forwarded, so
# 4 tokens are needed of the chosen side and 5 of the rejected one.
PAIR = Example(
    id="a", chosen=sequence([1, 2, 3, 4, 5], 2), rejected=sequence([1, 2, 3, 6, 7, 8], 2)
)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA GeForce RTX 4090", 165e12),
        ("NVIDIA GeForce GTX 1080", None),
        ("", None),
    ],
)
def test_the_peak_of_a_card_is_that_of_its_data_sheet(name: str, peak: float | None) -> None:
    assert find_peak(name) == peak


@pytest.mark.parametrize(
    ("layout", "tokens", "seen"),
    [
        ("padded", 5 + 5, 2 * 15),  # both rows are 5 wide: 1 + 2 + 3 + 4 + 5 pairs each
        ("packed", 4 + 5, 10 + 15),
        ("shared", 4 + 2, 10 + 3 + 2 * 3),  # the last two see 3 shared tokens each, and 3 pairs
    ],
)
def test_the_work_of_a_batch(layout: Layout, tokens: int, seen: int) -> None:
    work = measure_work(arrange([PAIR], layout, "active"), num_rows=7)
    assert work == Work(num_tokens=tokens, num_seen=seen, num_rows=7)


def test_the_operations_of_a_step() -> None:
    shape = ModelShape(body=1000, vocabulary=50, hidden=8, attention_width=6, layers=3)
    work = Work(num_tokens=10, num_seen=40, num_rows=5)
    # 2 x 1000 x 10 through the layers, 2 x 50 x 8 x 5 in the LM head, 4 x 6 x 3 x 40 in attention
    assert shape.forward_flops(work) == 20_000 + 4_000 + 2_880
    assert shape.step_flops(work) == 3 * 26_880
    assert shape.step_flops(work, frozen=True) == 2 * 26_880


def test_the_shape_of_a_model_counts_what_lies_between_embedding_and_head() -> None:
    # A layer: q and o 16 x 16, k and v 16 x 8 (one head of two), three 16 x 32, two norms of 16.
    llama_layer = 2 * 256 + 2 * 128 + 3 * 512 + 2 * 16
    assert measure_shape(tiny_llama(48)) == ModelShape(
        body=2 * llama_layer + 16, vocabulary=48, hidden=16, attention_width=16, layers=2
    )
    assert measure_shape(tiny_gemma(48)) == ModelShape(  # tied: the one matrix is left out once
        body=2 * llama_layer + 16, vocabulary=48, hidden=16, attention_width=16, layers=2
    )
    # Biases everywhere, 4 x 16 inside, two norms of 2 x 16; 128 positions; tied.
    gpt2_layer = 16 * 48 + 48 + 16 * 16 + 16 + 16 * 64 + 64 + 64 * 16 + 16 + 4 * 16
    assert measure_shape(tiny_gpt2(48)) == ModelShape(
        body=2 * gpt2_layer + 2 * 16 + 128 * 16,
        vocabulary=48,
        hidden=16,
        attention_width=16,
        layers=2,
    )
