"""Choosing a layout, and checking the choice on the first pairs.

The rule: a layout that computes less must give the same values. Before training, the first pairs go
through the model in the padded layout and in the candidate, and their log-probabilities are
compared. If a model fails the check (it ignores positions, mixes tokens without attention, caps or
biases its attention scores), the next layout is tried, down to padded. An attention window shorter
than `max_length` is read from the configuration, because the first pairs may be too short to reveal
it.

Two comparisons, because training in 16 bits runs other kernels than float32:

    float32           is it the same function? Each log-probability differs by `TOLERANCE` or less,
                      or by `MARGIN` times the measured rounding, up to `MOST_TOLERANCE`. Rounding
                      is measured by computing the padded layout with other batch sizes (GEMMs of
                      another height sum in another order; 32 layers, 4,096 wide, exceed 1e-4).
                      Frozen 16-bit weights are converted to float32 one module at a time.
    training dtype    do the training kernels compute it? The error relative to the float32
                      values, as a norm over all tokens, is at most `LOW_MARGIN` times that of
                      padded rows; and the gradient of the input embeddings, which runs the backward
                      kernels too, differs from that of padded rows by at most `LOW_GRADIENT` of its
                      norm (a wrong kernel is off by about the whole norm). Skipped when training is
                      in float32.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from trainer.examples import Example, TokenSequence
from trainer.failures import is_out_of_memory
from trainer.layouts import Layout

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from trainer.head import Head

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4
MOST_TOLERANCE = 1e-2
MARGIN = 10
LOW_MARGIN = 2
LOW_GRADIENT = 0.5
PROOF_PAIRS = 4
PROOF_TOKENS = 64  # of each answer: enough to attend to the prompt and to itself

LayoutSetting = Literal["auto", "padded", "packed", "shared"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How to compute: the layout, the way to log-probabilities, why no better layout is used."""

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
    dtype: torch.dtype | None = None,
) -> Choice:
    """The best layout for this model among those that `setting` allows.

    `examples` must not be empty. `dtype` is the precision of training, float32 by default. Sets
    this project's attention on the model where the layout needs it.
    """
    from trainer.head import Head

    was_training = model.training
    model.eval()
    try:
        proof = _Proof(model, [_shorten(example) for example in examples[:PROOF_PAIRS]], dtype)
    except Exception as error:
        model.train(was_training)
        if is_out_of_memory(error) or not has_narrow_weights(model):
            raise
        # Its code reads weights of modules that it does not call, so there is nothing to compare.
        why = f"{type(model).__name__} cannot be checked in float32: {_describe(error)}"
        notes = [] if setting == "padded" else [f"it trains in the padded layout, because {why}"]
        return Choice(layout="padded", head=Head(inside=False, max_bytes=max_bytes), notes=notes)
    try:
        inside = proof.find_fault("padded", Head(inside=True)) is None
        head = Head(inside=inside, max_bytes=max_bytes)
        layout, notes = _choose(proof, head, setting=setting, max_length=max_length)
    finally:
        model.train(was_training)
    for note in notes:
        logger.warning("%s", note)
    return Choice(layout=layout, head=head, notes=notes)


def _choose(
    proof: _Proof, head: Head, *, setting: LayoutSetting, max_length: int
) -> tuple[Layout, list[str]]:
    if setting == "padded":
        return "padded", []
    model = proof.model
    obstacle = find_obstacle(model, max_length)
    reasons = [] if obstacle is None else [obstacle]
    if not reasons:
        from trainer.attention import NAME, register

        register()
        before = model.config._attn_implementation
        model.set_attn_implementation(NAME)
        candidates: tuple[Layout, ...] = ("shared", "packed") if setting == "auto" else (setting,)
        for layout in candidates:
            fault = proof.find_fault(layout, head)
            if fault is None:
                return layout, _describe_choice(model, layout, reasons)
            reasons.append(f"in the layout {layout} {fault}")
        model.set_attn_implementation(before)
    return "padded", _describe_choice(model, "padded", reasons)


def _describe_choice(model: Any, layout: Layout, reasons: Sequence[str]) -> list[str]:
    """A note that says why no better layout is used; empty for the best layout."""
    if not reasons:
        return []
    name, why = type(model).__name__, "; ".join(reasons)
    return [f"{name} trains in the {layout} layout, which computes prompts twice: {why}"]


def find_obstacle(model: Any, max_length: int) -> str | None:
    """Why a model can use only the padded layout; None when only the check can decide."""
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


class _Proof:
    """The first pairs, and the values that the padded layout gives for them."""

    def __init__(self, model: Any, examples: Sequence[Example], dtype: torch.dtype | None) -> None:
        import torch

        from trainer.head import Head

        self.model = model
        self._examples = examples
        self._low = None if dtype in {None, torch.float32} else dtype
        self._plain = Head(inside=False)
        self._exact = self._score("padded", self._plain)
        self._low_error = 0.0
        if self._low is not None:
            padded = self._score("padded", self._plain, self._low)
            self._low_error = float((padded - self._exact).norm())
            self._low_gradient = self._differentiate("padded", self._plain, self._low)

    def find_fault(self, layout: Layout, head: Head) -> str | None:
        """What is wrong with a candidate; None when it gives the values of the padded layout."""
        try:
            return (
                self._differs(self._score(layout, head))
                or self._errs_in_low(layout, head)
                or self._differs_in_gradient(layout, head)
            )
        # A model's own code may fail in any way on an unknown kind of mask.
        except Exception as error:
            return _describe(error)

    def _differs(self, found: Tensor) -> str | None:
        if found.shape != self._exact.shape:
            shapes = tuple(found.shape), tuple(self._exact.shape)
            return f"its scores have the shape {shapes[0]}, not {shapes[1]}"
        largest = float((found - self._exact).abs().max())
        if largest <= TOLERANCE:
            return None
        tolerance = TOLERANCE
        if not math.isnan(largest):
            tolerance = min(max(TOLERANCE, MARGIN * self._measure_rounding()), MOST_TOLERANCE)
        if largest <= tolerance:
            return None
        return f"log-probabilities differ by {largest:.2g}, more than {tolerance:.2g}"

    def _errs_in_low(self, layout: Layout, head: Head) -> str | None:
        if self._low is None:
            return None
        error = float((self._score(layout, head, self._low) - self._exact).norm())
        # A model so small that 16 bits hardly round it still needs some tolerance.
        allowed = max(LOW_MARGIN * self._low_error, TOLERANCE * len(self._exact) ** 0.5)
        if error <= allowed:
            return None
        name = str(self._low).removeprefix("torch.")
        return (
            f"log-probabilities in {name} are {error:.2g} from float32's (as a norm), "
            f"those of padded rows {self._low_error:.2g}"
        )

    def _differs_in_gradient(self, layout: Layout, head: Head) -> str | None:
        if self._low is None:
            return None
        found = self._differentiate(layout, head, self._low)
        share = float((found - self._low_gradient).norm() / self._low_gradient.norm())
        if share <= LOW_GRADIENT:
            return None
        name = str(self._low).removeprefix("torch.")
        return f"gradients in {name} differ from those of padded rows by {share:.2g} of their norm"

    def _differentiate(self, layout: Layout, head: Head, dtype: torch.dtype) -> Tensor:
        from trainer.scoring import embedding_gradients

        return embedding_gradients(
            self.model, self._examples, layout=layout, head=head, dtype=dtype
        )

    def _measure_rounding(self) -> float:
        """How much padded log-probabilities change with the number of rows computed at a time.

        0 when there is not enough memory to measure it.
        """
        import torch

        examples = self._examples
        batches = [[one] for one in examples] if len(examples) > 1 else [[*examples, *examples]]
        try:
            scored = [self._score_sides(batch, "padded", self._plain) for batch in batches]
        except Exception as error:
            if is_out_of_memory(error):
                return 0.0
            raise
        again = [sides[0] for sides in scored] + [sides[len(sides) // 2] for sides in scored]
        return float((torch.cat(again) - self._exact).abs().max())

    def _score(self, layout: Layout, head: Head, dtype: torch.dtype | None = None) -> Tensor:
        """Log-probabilities of all completion tokens, in the order of the sides."""
        import torch

        return torch.cat(self._score_sides(self._examples, layout, head, dtype))

    def _score_sides(
        self,
        examples: Sequence[Example],
        layout: Layout,
        head: Head,
        dtype: torch.dtype | None = None,
    ) -> list[Tensor]:
        import torch

        from trainer.scoring import score_completions

        if dtype is not None:
            parts = score_completions(self.model, examples, layout=layout, head=head, dtype=dtype)
        else:
            with widened(self.model):
                parts = score_completions(
                    self.model, examples, layout=layout, head=head, dtype=torch.float32
                )
        return [torch.from_numpy(part) for part in parts]


def has_narrow_weights(model: Any) -> bool:
    """Whether weights are held in 16 bits."""
    narrow = _narrow()
    return any(parameter.dtype in narrow for parameter in model.parameters())


def _narrow() -> set[torch.dtype]:
    import torch

    return {torch.bfloat16, torch.float16}


@contextmanager
def widened(model: Any) -> Iterator[None]:
    """Within the block, 16-bit weights compute in float32, one module's copy at a time."""
    narrow = _narrow()
    kept: dict[Any, Tensor] = {}

    def widen(module: Any, _: Any) -> None:
        for parameter in module.parameters(recurse=False):
            if parameter.dtype in narrow:
                kept[parameter] = parameter.data
                parameter.data = parameter.data.float()

    def restore(module: Any, *_: Any) -> None:
        for parameter in module.parameters(recurse=False):
            if parameter in kept:
                parameter.data = kept.pop(parameter)

    handles = []
    for module in model.modules():
        if any(parameter.dtype in narrow for parameter in module.parameters(recurse=False)):
            handles.append(module.register_forward_pre_hook(widen))
            handles.append(module.register_forward_hook(restore, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for parameter, data in kept.items():
            parameter.data = data


def _describe(error: Exception) -> str:
    if is_out_of_memory(error):
        raise error  # a lack of memory shows nothing about the layout
    lines = str(error).strip().splitlines()
    return f"it fails ({lines[0] if lines else type(error).__name__})"


def _shorten(example: Example) -> Example:
    def cut(sequence: TokenSequence) -> TokenSequence:
        end = sequence.first + PROOF_TOKENS
        return TokenSequence(
            token_ids=sequence.token_ids[:end],
            weights=sequence.weights[:end],
            first=sequence.first,
        )

    return Example(id=example.id, chosen=cut(example.chosen), rejected=cut(example.rejected))
