"""The counts behind the step's speed, at every point of the benchmark's grid.

The floor of a pair: P + C' + R' tokens through the layers, C' and R' ending at the last active
token, and one row of the output matrix an active token. Time is the benchmark's business; these
counts do not depend on the machine.
"""

from __future__ import annotations

import pytest

pytest.importorskip("trl", reason="the benchmark's peer; installed with the extra 'dev'")

from train_step import (
    LENGTHS,
    SHAPES,
    SHARES,
    Point,
    make_examples,
    make_model,
    our_work,
    stock_work,
)

from trainer.batches import ReferencedExample, collate_pairs
from trainer.examples import TokenSequence
from trainer.flops import ModelShape, measure_shape


def needed(side: TokenSequence) -> int:
    """Tokens of the answer up to its last active one."""
    return max(at for at, weight in enumerate(side.weights) if weight) + 1 - side.first


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_a_batch_costs_no_more_than_the_floor(lengths: str, share: float) -> None:
    examples = make_examples(Point(shape="head32k", lengths=lengths, share=share, batch=2))
    prompt, chosen, rejected = (int(number) for number in lengths.split("/"))
    active = sum(s.num_active for e in examples for s in (e.chosen, e.rejected))
    assert active == pytest.approx(2 * share * (chosen + rejected), rel=0.15)
    floor = sum(prompt + needed(e.chosen) + needed(e.rejected) for e in examples)

    items = [
        ReferencedExample(example=example, chosen_logps=None, rejected_logps=None)
        for example in examples
    ]
    batch = collate_pairs(items, "shared", "active")
    assert batch["input_ids"].numel() <= floor
    assert batch["num_active"] == batch["work"].num_rows == active
    assert batch["work"] == our_work(examples)
    assert stock_work(examples).num_tokens == 2 * (2 * prompt + chosen + rejected)

    shape = ModelShape(body=3_000_000, vocabulary=32_000, hidden=256, attention_width=256, layers=4)
    seen = shape.step_flops(our_work(examples))
    attention = 12 * shape.attention_width * shape.layers * our_work(examples).num_seen
    assert seen - attention <= 6 * shape.body * floor + 6 * 32_000 * 256 * active


def test_the_shape_is_that_of_the_model() -> None:
    model = make_model("head32k")
    hidden, layers, vocabulary = SHAPES["head32k"]
    shape = measure_shape(model)
    assert (shape.hidden, shape.layers, shape.vocabulary) == (hidden, layers, vocabulary)
    assert shape.body == model.num_parameters() - vocabulary * hidden  # tied: counted once
    assert shape.attention_width == hidden
