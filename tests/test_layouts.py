"""Layouts: what they place where, and that packed and shared compute what padded computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps import AFTER, INSIDE, compute_losses, refer, sequence, use_layout
from tiny_models import tiny_llama

from trainer.batches import ReferencedExample, collate_pairs, stand_in
from trainer.choice import TOLERANCE as TOLERANCE_OF_CHOICE
from trainer.choice import choose_layout, find_obstacle
from trainer.examples import Example
from trainer.head import Head, score_tokens
from trainer.layouts import Layout, Segment, arrange
from trainer.scoring import score_completions

VOCABULARY = 48
TOLERANCE = 1e-5


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


def gemma() -> Any:
    from transformers import GemmaConfig, GemmaForCausalLM

    return GemmaForCausalLM(
        GemmaConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            initializer_range=0.3,
        )
    )


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=128,
            initializer_range=0.3,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    )


def qwen(version: int, **changes: Any) -> Any:
    import transformers

    config = getattr(transformers, f"Qwen{version}Config")(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.3,
        tie_word_embeddings=version == 2,
        **changes,
    )
    return getattr(transformers, f"Qwen{version}ForCausalLM")(config)


MODELS = {
    "llama": lambda: tiny_llama(VOCABULARY),
    "qwen2": lambda: qwen(2),
    "qwen3": lambda: qwen(3),
    "gemma": gemma,
    "gpt2": gpt2,
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


def test_a_sliding_window_falls_back_and_says_so() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    def mistral(window: int) -> Any:
        return MistralForCausalLM(
            MistralConfig(
                vocab_size=VOCABULARY,
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=1,
                sliding_window=window,
            )
        )

    short = qwen(2, use_sliding_window=True, sliding_window=8, max_window_layers=0)
    for model in (mistral(8), short):
        choice = choose(model, max_length=64)
        assert choice.layout == "padded"
        assert "sliding window of 8 tokens, shorter than train.max_length (64)" in choice.notes[0]
        assert model.config._attn_implementation == "sdpa"
    assert choose(mistral(64), max_length=64).layout == "shared"
    assert find_obstacle(qwen(2, sliding_window=8), 64) is None  # named, but not used


def choose(model: Any, *, max_length: int = 64, setting: Any = "auto") -> Any:
    return choose_layout(model, EXAMPLES, setting=setting, max_length=max_length, max_bytes=1 << 20)


def test_an_architecture_that_cannot_falls_back_and_says_why() -> None:
    import torch
    from transformers import BloomConfig, BloomForCausalLM, MambaConfig, MambaForCausalLM

    mamba = MambaForCausalLM(
        MambaConfig(vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, state_size=4)
    )
    bloom = BloomForCausalLM(
        BloomConfig(vocab_size=VOCABULARY, hidden_size=16, n_layer=1, n_head=2)
    )
    for model in (mamba, bloom):
        choice = choose(model)
        assert choice.layout == "padded" and len(choice.notes) == 1
    # One that takes positions, and ignores them: only the proof can tell.
    deaf = gpt2()
    torch.nn.init.normal_(deaf.transformer.wpe.weight)
    whole = deaf.transformer.wpe.forward
    deaf.transformer.wpe.forward = lambda ids: whole(torch.arange(ids.shape[-1]).expand(ids.shape))
    choice = choose(deaf)
    assert choice.layout == "padded"
    assert "log-probabilities differ by" in choice.notes[0]


def score_all(model: Any, layout: Layout = "padded", examples: Sequence[Example] = EXAMPLES) -> Any:
    """Log-probabilities of the examples' completions, in float32."""
    import torch

    parts = score_completions(model, examples, layout=layout, head=AFTER, dtype=torch.float32)
    return torch.cat([torch.from_numpy(part) for part in parts])


def disturb(model: Any, factor: Callable[[Any], float]) -> Any:
    """`model`, in which the first layer's MLP meets what comes in times a factor."""
    model.model.layers[0].mlp.register_forward_pre_hook(
        lambda _, inputs: (inputs[0] * factor(inputs[0]),)
    )
    return model


def test_rounding_does_not_cost_a_layout() -> None:
    """Wide, deep models differ by more than the tolerance when rows are computed in other sizes."""
    noisy = disturb(tiny_llama(VOCABULARY), lambda states: 1 + 0.02 * math.sin(states.numel()))
    expected = score_all(noisy, "padded")
    choice = choose(noisy)
    assert (choice.layout, list(choice.notes)) == ("shared", [])
    difference = float((score_all(noisy, "shared") - expected).abs().max())
    assert difference > TOLERANCE_OF_CHOICE
    # What rounding cannot explain is refused: one long row is not what many rows are.
    odd = disturb(tiny_llama(VOCABULARY), lambda states: 1.02 if len(states) == 1 else 1.0)
    refused = choose(odd)
    assert refused.layout == "padded" and "more than 0.0001" in refused.notes[0]


def test_rounding_that_nobody_has_memory_to_measure_is_none() -> None:
    import torch

    from trainer.choice import _measure_rounding

    model = tiny_llama(VOCABULARY)
    expected = score_all(model, "padded")
    assert 0 <= _measure_rounding(model, EXAMPLES, expected) < 1e-5
    assert (
        0 <= _measure_rounding(model, EXAMPLES[:1], score_all(model, examples=EXAMPLES[:1])) < 1e-5
    )

    def run_out(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model.model.register_forward_pre_hook(run_out)
    assert _measure_rounding(model, EXAMPLES, expected) == 0.0


def test_the_second_best_layout_says_why_it_is_not_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from trainer import attention

    plain = attention.attend_segments

    def refuse_prefixes(query: Any, key: Any, value: Any, segments: Any, **how: Any) -> Any:
        if segments[0, 0, :, 3].any():
            raise RuntimeError("no room for prefixes")
        return plain(query, key, value, segments, **how)

    monkeypatch.setattr(attention, "attend_segments", refuse_prefixes)
    choice = choose(tiny_llama(VOCABULARY))
    assert choice.layout == "packed"
    assert "packed layout" in choice.notes[0] and "no room for prefixes" in choice.notes[0]


def test_soft_capped_logits_are_met_after_the_model_bent_them() -> None:
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    model = Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            final_logit_softcapping=0.5,
            initializer_range=1.0,
        )
    ).eval()
    choice = choose(model)
    assert not choice.head.inside and choice.layout == "padded"


def test_the_model_computes_no_token_and_no_row_too_many() -> None:
    """Counters against the floor: P + C' + R' tokens a pair, a row an active token."""
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
