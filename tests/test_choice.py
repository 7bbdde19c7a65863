"""Choosing a layout: which models cannot do which, what is said of it, what rounding may do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from steps import AFTER, EXAMPLES, VOCABULARY
from tiny_models import tiny_gpt2, tiny_llama, tiny_qwen

from trainer.choice import TOLERANCE, choose_layout, find_obstacle
from trainer.examples import Example
from trainer.layouts import Layout
from trainer.scoring import score_completions


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

    short = tiny_qwen(VOCABULARY, 2, use_sliding_window=True, sliding_window=8, max_window_layers=0)
    for model in (mistral(8), short):
        choice = choose(model, max_length=64)
        assert choice.layout == "padded"
        assert "sliding window of 8 tokens, shorter than train.max_length (64)" in choice.notes[0]
        assert model.config._attn_implementation == "sdpa"
    assert choose(mistral(64), max_length=64).layout == "shared"
    assert (
        find_obstacle(tiny_qwen(VOCABULARY, 2, sliding_window=8), 64) is None
    )  # named, but not used


def choose(model: Any, *, max_length: int = 64, setting: Any = "auto", dtype: Any = None) -> Any:
    return choose_layout(
        model,
        EXAMPLES,
        setting=setting,
        max_length=max_length,
        max_bytes=1 << 20,
        dtype=dtype,
    )


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
    deaf = tiny_gpt2(VOCABULARY)
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
    assert difference > TOLERANCE
    # What rounding cannot explain is refused: one long row is not what many rows are.
    odd = disturb(tiny_llama(VOCABULARY), lambda states: 1.02 if len(states) == 1 else 1.0)
    refused = choose(odd)
    assert refused.layout == "padded" and "more than 0.0001" in refused.notes[0]


def test_no_rounding_excuses_a_large_difference() -> None:
    """A model that differs from itself by more than 0.01 proves nothing."""
    wild = disturb(tiny_llama(VOCABULARY), lambda states: 1 + math.sin(states.numel()))
    choice = choose(wild)
    assert choice.layout == "padded" and "more than 0.01" in choice.notes[0]


def test_a_model_that_is_refused_a_layout_keeps_its_own_attention() -> None:
    odd = disturb(tiny_llama(VOCABULARY), lambda states: 1.02 if len(states) == 1 else 1.0)
    expected = score_all(odd, "padded")
    assert choose(odd).layout == "padded"
    assert odd.config._attn_implementation == "sdpa"
    assert score_all(odd, "padded").equal(expected)


def test_no_memory_to_measure_rounding_leaves_the_fixed_tolerance() -> None:
    import torch

    noisy = disturb(tiny_llama(VOCABULARY), lambda states: 1 + 0.02 * math.sin(states.numel()))
    passes = 0

    def run_out(*_: Any) -> None:
        # padded, padded through the LM head, then shared: what comes after measures rounding
        nonlocal passes
        passes += 1
        if passes == 4:
            raise torch.OutOfMemoryError("CUDA out of memory")

    noisy.model.register_forward_pre_hook(run_out)
    choice = choose(noisy, setting="shared")
    assert choice.layout == "padded" and "more than 0.0001" in choice.notes[0]
    assert passes == 4


def test_a_layout_is_proved_in_the_precision_that_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that is wrong in 16 bits only, or that does not take them, is found beforehand."""
    import torch

    from trainer import attention

    bfloat16 = torch.bfloat16
    assert choose(tiny_llama(VOCABULARY), dtype=bfloat16).layout == "shared"
    plain = attention.attend_segments

    def spoil(query: Any, key: Any, value: Any, segments: Any, **how: Any) -> Any:
        if attention.computing_dtype(query) == bfloat16:
            query = query.flip(2)
        return plain(query, key, value, segments, **how)

    def refuse(query: Any, key: Any, value: Any, segments: Any, **how: Any) -> Any:
        if attention.computing_dtype(query) == bfloat16:
            raise RuntimeError("no kernel for heads of 8")
        return plain(query, key, value, segments, **how)

    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, query: Any) -> Any:
            return query.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return 9 * gradient.flip(2)

    def spoil_backward(query: Any, key: Any, value: Any, segments: Any, **how: Any) -> Any:
        if attention.computing_dtype(query) == bfloat16:
            query, key, value = (Backward.apply(part) for part in (query, key, value))
        return plain(query, key, value, segments, **how)

    for broken, said in (
        (spoil, "in bfloat16 are"),
        (refuse, "no kernel for heads of 8"),
        (spoil_backward, "gradients in bfloat16 differ"),
    ):
        monkeypatch.setattr(attention, "attend_segments", broken)
        assert choose(tiny_llama(VOCABULARY)).layout == "shared"  # float32 sees nothing of it
        choice = choose(tiny_llama(VOCABULARY), dtype=bfloat16)
        assert choice.layout == "padded" and said in choice.notes[0]


def test_weights_held_in_sixteen_bits_are_proved_in_float32_and_stay_as_they_are() -> None:
    import torch

    from trainer.choice import widened

    model = tiny_llama(VOCABULARY).to(torch.bfloat16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    exact = tiny_llama(VOCABULARY).to(torch.bfloat16).float()
    with widened(model):
        found = score_all(model)
    assert torch.equal(found, score_all(exact))
    assert choose(model, dtype=torch.bfloat16).layout == "shared"
    # Positions that are ignored show in float32; in 16 bits their rounding could hide them.
    deaf = tiny_gpt2(VOCABULARY).to(torch.bfloat16)
    whole = deaf.transformer.wpe.forward
    deaf.transformer.wpe.forward = lambda ids: whole(torch.arange(ids.shape[-1]).expand(ids.shape))
    assert choose(deaf, dtype=torch.bfloat16).layout == "padded"
    for name, value in model.state_dict().items():
        assert value.dtype == torch.bfloat16 and torch.equal(value, before[name])


def test_one_module_at_a_time_is_widened() -> None:
    """A float32 copy of all weights would take the memory that narrow ones save."""
    import torch

    from trainer.choice import widened

    model = tiny_llama(VOCABULARY).to(torch.bfloat16)
    most = 0

    def count(*_: Any) -> None:
        nonlocal most
        wide = sum(part.dtype == torch.float32 for part in model.parameters())
        most = max(most, wide)

    with widened(model):
        for module in model.modules():
            if not list(module.children()):
                module.register_forward_pre_hook(count)
        score_all(model)
    assert most == 1


def test_a_proof_that_fails_leaves_narrow_weights_and_the_mode_as_they_were() -> None:
    import torch

    model = tiny_llama(VOCABULARY).to(torch.bfloat16).train()

    def refuse(*_: Any) -> None:
        raise RuntimeError("no kernel")

    model.model.layers[1].mlp.down_proj.register_forward_pre_hook(refuse)
    choice = choose(model, dtype=torch.bfloat16)
    assert choice.layout == "padded" and "cannot be checked in float32" in choice.notes[0]
    assert {part.dtype for part in model.parameters()} == {torch.bfloat16}
    assert model.training


@pytest.mark.parametrize("is_training", [False, True])
def test_a_choice_leaves_the_mode_as_it_was(is_training: bool) -> None:
    model = tiny_llama(VOCABULARY).train(is_training)
    assert choose(model).layout == "shared" and model.training is is_training


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
