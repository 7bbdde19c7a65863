"""Choosing a layout, and proving the choice on the first pairs.

The rule: a layout that computes less must compute the same. Before anything is spent, the first
pairs go through the model in the padded layout and in the candidate, in float32; where a
log-probability differs by more than rounding, the model cannot do the candidate (it ignores
positions, mixes tokens without attention, caps or biases its scores), and the next one is tried,
down to padded. A window of attention shorter than `max_length` is seen from the configuration,
since the first pairs may be too short to show it.

What rounding does is measured, where the difference exceeds `TOLERANCE`: matrix products of
another height add in another order, and 32 layers 4,096 wide make more of it than that. The padded
layout is computed again with other numbers of rows at a time, and a candidate may differ
`MARGIN` times as much as the padded layout does from itself, up to `MOST_TOLERANCE`.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from trainer.examples import Example, TokenSequence
from trainer.failures import is_out_of_memory
from trainer.layouts import Layout

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.head import Head

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4
MOST_TOLERANCE = 1e-2
MARGIN = 10
PROOF_PAIRS = 4
PROOF_TOKENS = 64  # of each answer: enough to see the prompt and itself

LayoutSetting = Literal["auto", "padded", "packed", "shared"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How to compute: the layout, the way to the output matrix, and why not a better one."""

    layout: Layout
    head: Head
    notes: Sequence[str]


def choose_layout(
    model: Any,
    examples: Sequence[Example],
    *,
    setting: LayoutSetting,
    max_length: int,
    max_bytes: int,
) -> Choice:
    """The best layout this model can do, of those `setting` allows; `examples` are not empty.

    Leaves the model with our attention where the layout needs it.
    """
    from trainer.head import Head

    proof = [_shorten(example) for example in examples[:PROOF_PAIRS]]
    was_training = model.training
    model.eval()
    try:
        expected = _score(model, proof, "padded", Head(inside=False))
        inside = _differs(model, proof, "padded", Head(inside=True), expected) is None
        head = Head(inside=inside, max_bytes=max_bytes)
        layout, notes = _choose(
            model, proof, head, expected, setting=setting, max_length=max_length
        )
    finally:
        model.train(was_training)
    for note in notes:
        logger.warning("%s", note)
    return Choice(layout=layout, head=head, notes=notes)


def _choose(
    model: Any,
    proof: Sequence[Example],
    head: Head,
    expected: Tensor,
    *,
    setting: LayoutSetting,
    max_length: int,
) -> tuple[Layout, list[str]]:
    if setting == "padded":
        return "padded", []
    obstacle = find_obstacle(model, max_length)
    reasons = [] if obstacle is None else [obstacle]
    if not reasons:
        from trainer.attention import NAME, register

        register()
        before = model.config._attn_implementation
        model.set_attn_implementation(NAME)
        candidates: tuple[Layout, ...] = ("shared", "packed") if setting == "auto" else (setting,)
        for layout in candidates:
            difference = _differs(model, proof, layout, head, expected)
            if difference is None:
                return layout, _describe_choice(model, layout, reasons)
            reasons.append(f"in the layout {layout} {difference}")
        model.set_attn_implementation(before)
    return "padded", _describe_choice(model, "padded", reasons)


def _describe_choice(model: Any, layout: Layout, reasons: Sequence[str]) -> list[str]:
    """Why it is no better layout, as a note; none where it is the best."""
    if not reasons:
        return []
    name, why = type(model).__name__, "; ".join(reasons)
    return [f"{name} trains in the {layout} layout, which computes prompts twice: {why}"]


def find_obstacle(model: Any, max_length: int) -> str | None:
    """Why a model cannot do another layout than padded; None when only a proof can tell."""
    config = model.config.get_text_config()
    if config._attn_implementation != "sdpa":
        return f"its attention is {config._attn_implementation}, not sdpa"
    if "position_ids" not in inspect.signature(type(model).forward).parameters:
        return "it takes no position_ids"
    kinds = set(getattr(config, "layer_types", None) or ())
    unknown = kinds - {"full_attention", "sliding_attention", "chunked_attention"}
    if unknown:
        return f"it has layers of {', '.join(sorted(unknown))}"
    windows = []
    if kinds - {"full_attention"} or (not kinds and getattr(config, "use_sliding_window", True)):
        names = ("sliding_window", "attention_chunk_size")
        windows = [getattr(config, name, None) for name in names]
    shortest = min((window for window in windows if window), default=max_length)
    if shortest < max_length:
        return (
            f"its attention has a sliding window of {shortest} tokens, shorter than "
            f"train.max_length ({max_length})"
        )
    return None


def _differs(
    model: Any, proof: Sequence[Example], layout: Layout, head: Head, expected: Tensor
) -> str | None:
    """What is wrong with a candidate; None when its log-probabilities are those of padded."""
    try:
        found = _score(model, proof, layout, head)
        if found.shape != expected.shape:
            return f"its scores have the shape {tuple(found.shape)}, not {tuple(expected.shape)}"
        largest = float((found - expected).abs().max())
    except Exception as error:  # a model's own code may fail in any way on a mask it never met
        return _describe(error)
    if largest <= TOLERANCE:
        return None
    tolerance = TOLERANCE
    if not math.isnan(largest):
        rounding = _measure_rounding(model, proof, expected)
        tolerance = min(max(TOLERANCE, MARGIN * rounding), MOST_TOLERANCE)
    if largest <= tolerance:
        return None
    return f"log-probabilities differ by {largest:.2g}, more than {tolerance:.2g}"


def _measure_rounding(model: Any, proof: Sequence[Example], expected: Tensor) -> float:
    """How far padded log-probabilities move when other numbers of rows are computed at a time.

    0 where there is no memory to measure it.
    """
    import torch

    from trainer.head import Head

    batches = [[example] for example in proof] if len(proof) > 1 else [[*proof, *proof]]
    try:
        scored = [_score_sides(model, batch, Head(inside=False)) for batch in batches]
    except Exception as error:
        if is_out_of_memory(error):
            return 0.0
        raise
    again = [sides[0] for sides in scored] + [sides[len(sides) // 2] for sides in scored]
    return float((torch.cat(again) - expected).abs().max())


def _describe(error: Exception) -> str:
    if is_out_of_memory(error):
        raise error  # says nothing of the layout
    lines = str(error).strip().splitlines()
    return f"it fails ({lines[0] if lines else type(error).__name__})"


def _score(model: Any, examples: Sequence[Example], layout: Layout, head: Head) -> Tensor:
    """Log-probabilities of all completion tokens, in the order of the sides."""
    import torch

    return torch.cat(_score_sides(model, examples, head, layout))


def _score_sides(
    model: Any, examples: Sequence[Example], head: Head, layout: Layout = "padded"
) -> list[Tensor]:
    import torch

    from trainer.scoring import score_completions

    parts = score_completions(model, examples, layout=layout, head=head, dtype=torch.float32)
    return [torch.from_numpy(part) for part in parts]


def _shorten(example: Example) -> Example:
    def cut(sequence: TokenSequence) -> TokenSequence:
        end = sequence.first + PROOF_TOKENS
        return TokenSequence(
            token_ids=sequence.token_ids[:end],
            weights=sequence.weights[:end],
            first=sequence.first,
        )

    return Example(id=example.id, chosen=cut(example.chosen), rejected=cut(example.rejected))
