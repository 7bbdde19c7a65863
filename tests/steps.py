"""Steps of training for tests: examples from token ids, items with a reference, losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainer.batches import ReferencedExample, collate_pairs
from trainer.choice import Choice, choose_layout
from trainer.examples import Example, TokenSequence
from trainer.head import Head, score_tokens
from trainer.layouts import Layout
from trainer.loss import LossSettings, PairLosses, preference_losses, sum_pairs
from trainer.scoring import score_completions

VOCABULARY = 48  # of the examples
AFTER = Head(inside=False)
INSIDE = Head(inside=True)


def sequence(
    ids: Sequence[int], first: int, weights: Sequence[float] | None = None
) -> TokenSequence:
    """`weights` of the completion; 1 each where none are given."""
    given = list(weights) if weights is not None else [1.0] * (len(ids) - first)
    return TokenSequence(token_ids=list(ids), weights=[0.0] * first + given, first=first)


def refer(examples: Sequence[Example], reference: Any) -> list[ReferencedExample]:
    """Items with the log-probabilities of `reference`, each side computed by itself."""
    import torch

    items = []
    for example in examples:
        chosen, rejected = score_completions(
            reference, [example], layout="padded", head=AFTER, dtype=torch.float32
        )
        items.append(
            ReferencedExample(example=example, chosen_logps=chosen, rejected_logps=rejected)
        )
    return items


def use_layout(model: Any, layout: Layout, examples: Sequence[Example]) -> Choice:
    """`model` made ready for `layout`, which it must be able to do."""
    choice = choose_layout(model, examples, setting=layout, max_length=1024, max_bytes=1 << 30)
    assert choice.layout == layout, choice.notes
    return choice


def compute_losses(
    model: Any,
    items: Sequence[ReferencedExample],
    *,
    layout: Layout = "padded",
    head: Head = AFTER,
    settings: LossSettings | None = None,
) -> PairLosses:
    """The losses of a batch, differentiable."""
    batch = collate_pairs(items, layout, "active")
    graded = batch["num_active"]
    logps = score_tokens(model, batch, head, num_graded=graded)
    sums = sum_pairs(
        *(
            values[:graded]
            for values in (
                logps,
                batch["reference"],
                batch["weights"],
                batch["pairs"],
                batch["sides"],
            )
        ),
        num_pairs=batch["num_pairs"],
    )
    return preference_losses(sums, settings or LossSettings())


def make_example(
    prompt: list[int], chosen: list[int], rejected: list[int], *, name: str = "a", every: int = 1
) -> Example:
    """Every `every`-th token of an answer has weight, which grows along it."""

    def side(answer: list[int]) -> Any:
        weights = [(1 + at / 10) if at % every == 0 else 0.0 for at in range(len(answer))]
        return sequence(prompt + answer, len(prompt), weights)

    return Example(id=name, chosen=side(chosen), rejected=side(rejected))


EXAMPLES = [
    make_example([1, 2, 3, 4, 5], [6, 7, 8, 9], [10, 11, 12, 13, 14, 15], every=2),
    make_example([9, 8], [7, 6, 5, 0, 0], [7, 6, 4], name="b"),
    make_example(list(range(20, 40)), [3], [3, 4], name="c"),
]
