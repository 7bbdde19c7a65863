"""Layouts: what they place where, and that packed and shared compute what padded computes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps import (
    AFTER,
    EXAMPLES,
    INSIDE,
    VOCABULARY,
    compute_losses,
    make_example,
    refer,
    sequence,
    use_layout,
)
from tiny_models import tiny_gemma, tiny_gpt2, tiny_llama, tiny_qwen

from trainer.batches import ReferencedExample, collate_pairs, stand_in
from trainer.examples import Example
from trainer.head import Head, score_tokens
from trainer.layouts import Layout, Segment, arrange

TOLERANCE = 1e-5


def test_shared_rows_hold_a_prefix_once_and_no_dead_tail() -> None:
    example = Example(
        id="a",
        chosen=sequence([1, 2, 3, 4, 5], 2, [0, 1, 0]),
        rejected=sequence([1, 2, 7, 8, 9], 2, [1, 0, 1]),
    )
    laid = arrange([example], "shared", "active")
    # Chosen is needed up to 3 (which predicts 4), rejected up to 8 (which predicts 9).
    assert laid.rows[0].tolist() == [1, 2, 3, 7, 8]
    assert list(laid.segments) == [
        Segment(start=0, end=3),
        Segment(start=3, end=5, prefix_start=0, prefix_end=2),
    ]
    chosen, rejected = laid.placed
    assert chosen.scored.tolist() == [2, 3] and chosen.places.tolist() == [1, 2]
    assert rejected.scored.tolist() == [2, 3, 4] and rejected.places.tolist() == [1, 3, 4]


def test_the_docstrings_examples() -> None:
    first = Example(
        id="a",
        chosen=sequence([1, 2, 3, 4], 1, [0, 0, 1]),
        rejected=sequence([1, 2, 5], 1, [0, 1]),
    )
    laid = arrange([first], "shared", "active")
    assert laid.rows[0].tolist() == [1, 2, 3] and len(laid.segments) == 1
    assert [int(placed.places[-1]) for placed in laid.placed] == [2, 1]
    second = Example(id="b", chosen=first.chosen, rejected=sequence([1, 2, 5, 6], 1, [0, 0, 1]))
    laid = arrange([second], "shared", "active")
    assert laid.rows[0].tolist() == [1, 2, 3, 5]
    assert laid.segments[1] == Segment(start=3, end=4, prefix_start=0, prefix_end=2)
    batch = collate_pairs(items_without_reference([second]), "shared", "active")
    assert batch["position_ids"].tolist() == [[0, 1, 2, 2]]


def items_without_reference(examples: list[Example]) -> list[ReferencedExample]:
    return [
        ReferencedExample(example=example, chosen_logps=None, rejected_logps=None)
        for example in examples
    ]


ids = st.lists(st.integers(0, 5), min_size=1, max_size=7)


@given(prompt=ids, chosen=ids, rejected=ids, every=st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_every_layout_lists_the_same_tokens_and_sees_the_same_past(
    prompt: list[int], chosen: list[int], rejected: list[int], every: int
) -> None:
    """Whatever the layout, a listed token's row can see exactly the tokens before it."""
    examples = [
        make_example(prompt, chosen, rejected, every=every),
        make_example(rejected, prompt, chosen, name="b"),
    ]
    expected = [
        (tuple(side.token_ids[:at]), side.token_ids[at])
        for side in (e.chosen for e in examples)
        for at in range(side.first, max(i for i, w in enumerate(side.weights) if w) + 1)
    ] + [
        (tuple(side.token_ids[:at]), side.token_ids[at])
        for side in (e.rejected for e in examples)
        for at in range(side.first, max(i for i, w in enumerate(side.weights) if w) + 1)
    ]
    for layout in ("packed", "shared"):
        laid = arrange(examples, layout, "active")  # type: ignore[arg-type]
        row = laid.rows[0]
        sees = dense_mask(laid.segments, laid.width)
        found = [
            (tuple(row[sees[place]].tolist()), placed.sequence.token_ids[at])
            for placed in laid.placed
            for at, place in zip(placed.scored.tolist(), placed.places.tolist(), strict=True)
        ]
        assert found == expected
    shared, packed = (arrange(examples, name, "active").width for name in ("shared", "packed"))
    assert shared <= packed


@pytest.mark.parametrize("layout", ["packed", "shared"])
@pytest.mark.parametrize("at_once", [False, True])
def test_attention_over_segments_is_attention_under_the_dense_mask(
    layout: Layout, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from torch.nn.attention import varlen
    from torch.nn.functional import scaled_dot_product_attention

    from trainer.attention import attend_at_once, attend_segments, encode_segments

    monkeypatch.setattr(varlen, "varlen_attn", attend_lower_right)  # its kernels want a GPU
    torch.manual_seed(0)
    laid = arrange(EXAMPLES, layout, "active")
    query = torch.randn(1, 4, laid.width, 8, requires_grad=True)
    key, value = (torch.randn(1, 2, laid.width, 8, requires_grad=True) for _ in range(2))
    attend = attend_at_once if at_once else attend_segments
    results = [
        attend(query, key, value, encode_segments(laid.segments), scaling=0.3),
        scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=torch.from_numpy(dense_mask(laid.segments, laid.width)),
            scale=0.3,
            enable_gqa=True,
        ).transpose(1, 2),
    ]
    ours, dense = (
        (output, *torch.autograd.grad(output.square().sum(), (query, key, value)))
        for output in results
    )
    for left, right in zip(ours, dense, strict=True):
        assert torch.allclose(left, right, atol=1e-5)


def dense_mask(segments: Sequence[Segment], width: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The rule of who sees whom, written out: True where a token (row) sees another (column)."""
    sees = np.zeros((width, width), dtype=bool)
    for segment in segments:
        for at in range(segment.start, segment.end):
            sees[at, segment.prefix_start : segment.prefix_end] = True
            sees[at, segment.start : at + 1] = True
    return sees


def attend_lower_right(  # noqa: PLR0917 (the order of PyTorch's function)
    query_THD: Any,
    key_KKD: Any,
    value_KKD: Any,
    query_ends: Any,
    key_ends: Any,
    most_queries: int,
    most_keys: int,
    **how: Any,
) -> Any:
    """What PyTorch documents of `varlen_attn`, a sequence at a time."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    assert how["window_size"] == (-1, 0)
    assert query_ends.dtype == key_ends.dtype == torch.int32
    longest = [int(ends.diff().max()) for ends in (query_ends, key_ends)]
    assert [most_queries, most_keys] == longest
    outputs = []
    bounds = zip(pairwise(query_ends.tolist()), pairwise(key_ends.tolist()), strict=True)
    for (start, end), (first, last) in bounds:
        query, key, value = (
            tensor.transpose(0, 1)
            for tensor in (query_THD[start:end], key_KKD[first:last], value_KKD[first:last])
        )
        sees = torch.ones(end - start, last - first, dtype=torch.bool)
        outputs.append(
            scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=sees.tril((last - first) - (end - start)),
                scale=how["scale"],
                enable_gqa=how["enable_gqa"],
            ).transpose(0, 1)
        )
    return torch.cat(outputs)


MODELS = {
    "llama": lambda: tiny_llama(VOCABULARY),
    "qwen2": lambda: tiny_qwen(VOCABULARY, 2),
    "qwen3": lambda: tiny_qwen(VOCABULARY, 3),
    "gemma": lambda: tiny_gemma(VOCABULARY),
    "gpt2": lambda: tiny_gpt2(VOCABULARY),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("layout", ["packed", "shared"])
def test_loss_and_every_gradient_equal_padded(name: str, layout: Layout) -> None:
    import torch

    torch.manual_seed(1)
    model = MODELS[name]()
    reference = tiny_llama(VOCABULARY, seed=7)
    items = refer(EXAMPLES, reference)
    expected = compute_losses(model, items, head=AFTER).losses_B
    expected.mean().backward()
    gradients = {key: p.grad.clone() for key, p in model.named_parameters()}
    model.zero_grad()

    use_layout(model, layout, EXAMPLES)
    found = compute_losses(model, items, layout=layout, head=INSIDE).losses_B
    found.mean().backward()
    assert torch.allclose(found, expected, atol=TOLERANCE)
    assert float(expected.detach().std()) > 100 * TOLERANCE
    for key, parameter in model.named_parameters():
        left, right = parameter.grad.flatten(), gradients[key].flatten()
        assert float((left - right).abs().max()) < TOLERANCE, key
        if float(right.norm()) > TOLERANCE:
            assert float(torch.cosine_similarity(left, right, dim=0)) > 0.9999, key


@pytest.mark.parametrize("layout", ["padded", "packed", "shared"])
def test_chunks_of_the_output_matrix_change_nothing(layout: Layout) -> None:
    import torch

    model, reference = tiny_llama(VOCABULARY, seed=1), tiny_llama(VOCABULARY, seed=2)
    items = refer(EXAMPLES, reference)
    use_layout(model, layout, EXAMPLES)
    results = []
    for head in (AFTER, INSIDE, Head(inside=True, max_bytes=4 * VOCABULARY * 3)):
        model.zero_grad()
        losses = compute_losses(model, items, layout=layout, head=head).losses_B
        losses.mean().backward()
        results.append([losses, *(p.grad.clone() for p in model.parameters())])
    for other in results[1:]:
        for left, right in zip(results[0], other, strict=True):
            assert torch.allclose(left, right, atol=1e-6)
    seen = []
    handle = model.lm_head.register_forward_hook(lambda *_: seen.append(1))
    model(input_ids=torch.tensor([[1, 2]]))
    assert seen == [1] and "forward" not in vars(model.lm_head)  # it is left as it was
    handle.remove()


def test_watched_tokens_cost_no_gradient() -> None:
    import torch

    model = tiny_llama(VOCABULARY)
    batch = collate_pairs(refer(EXAMPLES, model), "padded", "active")
    graded = batch["num_active"]
    assert 0 < graded < len(batch["targets"])
    for head in (AFTER, INSIDE):
        logps = score_tokens(model, batch, head, num_graded=graded)
        assert torch.allclose(logps, batch["reference"], atol=1e-5)  # both lists, in order
        (gradient,) = torch.autograd.grad(logps[graded:].sum(), model.lm_head.weight)
        assert float(gradient.abs().max()) == 0.0


def test_the_model_computes_no_token_and_no_row_too_many() -> None:
    """Counters against the floor: P + C' + R' tokens per pair, one row per active token."""
    model = tiny_llama(VOCABULARY)
    items = refer(EXAMPLES, model)
    use_layout(model, "shared", EXAMPLES)
    tokens, rows = [], []
    model.model.embed_tokens.register_forward_hook(
        lambda _, inputs, __: tokens.append(inputs[0].numel())
    )
    import torch

    original = torch.nn.functional.linear
    matrix = model.lm_head.weight
    try:
        torch.nn.functional.linear = lambda x, w, b=None: (
            rows.append(x.numel() // x.shape[-1]) if w is matrix else None,
            original(x, w, b),
        )[1]
        compute_losses(model, items, layout="shared", head=INSIDE)
    finally:
        torch.nn.functional.linear = original
    # a: 5 + (last active of 4 is the 3rd: 2) + (last active of 6 is the 5th: 4)
    # b: 2 + 4 + (first two shared, third predicted by the second: 0); c: 20 + 0 + 1
    assert tokens == [(5 + 2 + 4) + (2 + 4) + (20 + 1)]
    active = sum(
        sum(weight != 0 for weight in side.weights)
        for example in EXAMPLES
        for side in (example.chosen, example.rejected)
    )
    masked = 1 + 2  # behind the active ones, up to each side's last: watched, not graded
    assert rows == [active, masked]
    batch = collate_pairs(items, "shared", "active")
    assert (batch["work"].num_tokens, batch["work"].num_rows) == (tokens[0], active)


def test_a_stand_in_adds_nothing() -> None:
    import torch

    model, reference = tiny_llama(VOCABULARY, seed=1), tiny_llama(VOCABULARY, seed=2)
    items = refer(EXAMPLES[:2], reference)
    use_layout(model, "shared", EXAMPLES)
    for layout in ("padded", "packed", "shared"):
        for filled in ([*items, stand_in(items[0])], [stand_in(items[0])]):
            batch = collate_pairs(filled, layout, "active")  # type: ignore[arg-type]
            assert batch["counted"].tolist() == [item.counts for item in filled]
            assert batch["ids"] == ["a", "b"][: len(filled) - 1]
            losses = compute_losses(model, filled, layout=layout, head=INSIDE)  # type: ignore[arg-type]
            alone = compute_losses(model, items, layout=layout, head=INSIDE)  # type: ignore[arg-type]
            assert torch.allclose(
                losses.losses_B[:-1], alone.losses_B[: len(filled) - 1], atol=1e-6
            )
            model.zero_grad()
            losses.losses_B[-1].backward()
            assert all(float(p.grad.abs().max()) == 0.0 for p in model.parameters())
