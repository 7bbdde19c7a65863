"""The loss against arithmetic in plain Python, and the step against the mean over pairs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps import AFTER, INSIDE, compute_losses, refer, sequence
from tiny_models import byte_level_tokenizer, make_pair_values, tiny_llama

from schemas.errors import ConfigError
from trainer.choice import Choice
from trainer.config import TrainConfig
from trainer.data import parse_pair
from trainer.examples import Example, TokenSequence, prepare_examples
from trainer.loss import LossSettings, PairSums, preference_losses, sum_pairs
from trainer.scoring import score_completions

BETA = 0.3


def make_examples(count: int, **settings: Any) -> tuple[list[Example], Any]:
    tokenizer = byte_level_tokenizer()
    pairs = [parse_pair(make_pair_values(index), f"pair-{index}") for index in range(count)]
    config = TrainConfig.parse({"model": "m"} | settings, where="test")
    return list(prepare_examples(pairs, tokenizer, config).examples), tokenizer


def plain_logp(logits: list[float], target: int) -> float:
    largest = max(logits)
    total = sum(math.exp(logit - largest) for logit in logits)
    return math.log(math.exp(logits[target] - largest) / total)


def plain_ratio(policy: Any, reference: Any, sequence: TokenSequence) -> float:
    """Weighted log-ratio of one sequence, alone in its batch, in Python floats."""
    import torch

    ids = torch.tensor([sequence.token_ids])
    with torch.no_grad():
        ours = policy(input_ids=ids).logits[0].tolist()
        theirs = reference(input_ids=ids).logits[0].tolist()
    ratio = 0.0
    for at in range(1, len(sequence.token_ids)):
        token = sequence.token_ids[at]
        gain = plain_logp(ours[at - 1], token) - plain_logp(theirs[at - 1], token)
        ratio += sequence.weights[at] * gain
    return ratio


def plain_losses(policy: Any, reference: Any, examples: list[Example]) -> list[float]:
    losses = []
    for example in examples:
        margin = plain_ratio(policy, reference, example.chosen)
        margin -= plain_ratio(policy, reference, example.rejected)
        losses.append(math.log(1.0 + math.exp(-BETA * margin)))
    return losses


@pytest.mark.parametrize("eos", ["neither", "chosen", "both"])
@pytest.mark.parametrize("use_spans", [True, False])
def test_equals_plain_python(eos: str, use_spans: bool) -> None:
    examples, tokenizer = make_examples(3, eos=eos, use_spans=use_spans)
    policy, reference = tiny_llama(len(tokenizer), seed=1), tiny_llama(len(tokenizer), seed=2)
    losses = compute_losses(policy, refer(examples, reference), settings=LossSettings(beta=BETA))
    expected = plain_losses(policy, reference, examples)
    assert losses.losses_B.tolist() == pytest.approx(expected, rel=1e-5)


def test_token_id_zero_and_a_repeated_padding_id_train() -> None:
    chosen = sequence([5, 0, 0, 7], 1, [1.0, 0.5, 1.0])
    rejected = sequence([5, 1, 2, 3, 0, 0], 1, [0, 0, 0, 1, 1])
    policy, reference = tiny_llama(32, seed=1), tiny_llama(32, seed=2)
    examples = [Example(id="a", chosen=chosen, rejected=rejected)]
    items = refer(examples, reference)
    assert [len(items[0].chosen_logps), len(items[0].rejected_logps)] == [3, 5]
    losses = compute_losses(policy, items, settings=LossSettings(beta=BETA))
    expected = plain_losses(policy, reference, examples)
    assert losses.losses_B.tolist() == pytest.approx(expected, rel=1e-5)


def test_logps_are_float32_whatever_the_model_is() -> None:
    import torch

    examples, tokenizer = make_examples(2)
    model = tiny_llama(len(tokenizer)).to(torch.bfloat16)
    for head in (AFTER, INSIDE):
        parts = score_completions(model, examples, layout="padded", head=head, dtype=torch.float32)
        assert all(part.dtype == "float32" and bool((part < 0).all()) for part in parts)
        assert [len(part) for part in parts] == [
            side.num_completion
            for side in [e.chosen for e in examples] + [e.rejected for e in examples]
        ]


def test_soft_capped_logits_stay_capped() -> None:
    """Gemma 2 bends its logits after the output matrix: what trains is what it samples from."""
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    model = Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=48,
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
    example = Example(id="a", chosen=sequence([5, 9, 0, 7], 1), rejected=sequence([5, 1], 1))
    logps, _ = score_completions(model, [example], layout="padded", head=AFTER, dtype=torch.float32)
    with torch.no_grad():
        exact = model(input_ids=torch.tensor([[5, 9, 0, 7]])).logits[0].log_softmax(-1)
    expected = [exact[at - 1, token].item() for at, token in ((1, 9), (2, 0), (3, 7))]
    assert logps.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 2**-8), ("float64", 1e-6)]
)
def test_gradients_of_selected_logps_are_exact_in_every_block(
    dtype: str, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the rounding of the logits' own gradient, whatever they are."""
    import torch

    import trainer.logps

    monkeypatch.setattr(trainer.logps, "BLOCK_FLOATS", {"cpu": 20})
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 8, generator=generator).to(getattr(torch, dtype)).requires_grad_()
    targets = torch.tensor([0, 7, 3, 3, 0, 1, 2])
    pull = torch.randn(7, generator=generator)
    exact = logits.double().log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    (expected,) = torch.autograd.grad((exact * pull).sum(), logits)
    for overwrite in (False, True):
        made = logits * 1.0  # as a layer makes them: used up, and nobody looks at them again
        found = trainer.logps.select_logps(made, targets, overwrite=overwrite)
        assert found.dtype == torch.float32
        assert torch.allclose(found.double(), exact, atol=1e-6)
        (gradient,) = torch.autograd.grad((found * pull).sum(), logits)
        assert gradient.dtype == logits.dtype
        assert torch.allclose(gradient, expected, atol=tolerance)


@given(
    logits=st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=8),
    pick=st.integers(0, 7),
)
@settings(max_examples=60, deadline=None)
def test_select_logps_is_the_log_of_the_softmax(logits: list[float], pick: int) -> None:
    import torch

    from trainer.logps import select_logps

    target = pick % len(logits)
    got = select_logps(torch.tensor([logits]), torch.tensor([target])).item()
    largest = max(logits)
    exact = logits[target] - largest - math.log(sum(math.exp(x - largest) for x in logits))
    assert got == pytest.approx(exact, abs=2e-5)


def sums_of(logps: Any, weights: Any) -> PairSums:
    """One pair of three tokens per side, reference 0."""
    import torch

    sides = torch.tensor([0, 0, 0, 1, 1, 1])
    return sum_pairs(
        logps, torch.zeros(6), weights, torch.zeros(6, dtype=torch.int64), sides, num_pairs=1
    )


def test_masked_tokens_have_no_gradient_of_their_own() -> None:
    """Only active tokens are pulled at, by their weight."""
    import torch

    weights = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 2.0])
    logps = torch.randn(6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    losses = preference_losses(sums_of(logps, weights), LossSettings(beta=BETA))
    losses.losses_B.mean().backward()
    assert logps.grad is not None
    assert (logps.grad != 0).tolist() == (weights != 0).tolist()
    pull = torch.sigmoid(-BETA * (logps[1] - 2 * logps[5])).item()
    assert logps.grad[1].item() == pytest.approx(-BETA * pull, rel=1e-5)
    assert logps.grad[5].item() == pytest.approx(2 * BETA * pull, rel=1e-5)


def test_every_loss_is_its_formula() -> None:
    """Against the papers' equations in plain Python, on one pair with weights."""
    import torch

    weights = torch.tensor([1.0, 0.5, 0.0, 1.0, 1.0, 0.0])
    logps = torch.tensor([-0.5, -1.0, -9.0, -2.0, -0.1, -9.0])
    chosen, rejected = -0.5 - 0.5, -2.0 - 0.1
    sums = sums_of(logps, weights)

    def loss(**values: Any) -> float:
        settings = LossSettings(beta=BETA, **values)
        return float(preference_losses(sums, settings).losses_B)

    def minus_log_sigmoid(x: float) -> float:
        return math.log1p(math.exp(-x))

    margin = BETA * (chosen - rejected)
    kept, flipped = minus_log_sigmoid(margin), minus_log_sigmoid(-margin)
    assert loss() == pytest.approx(kept)
    assert loss(label_smoothing=0.1) == pytest.approx(0.9 * kept + 0.1 * flipped)
    assert loss(kind="robust", label_smoothing=0.1) == pytest.approx(
        (0.9 * kept - 0.1 * flipped) / 0.8
    )
    mean_gap = chosen / 1.5 - rejected / 2
    assert loss(kind="ipo") == pytest.approx((mean_gap - 1 / (2 * BETA)) ** 2)
    assert loss(length_normalize=True) == pytest.approx(minus_log_sigmoid(BETA * mean_gap))
    assert loss(nll_weight=0.7) == pytest.approx(kept + 0.7 * (-chosen / 1.5))


def test_rewards_are_beta_times_the_ratios_that_the_loss_compares() -> None:
    import torch

    weights = torch.tensor([1.0, 0.5, 0.0, 1.0, 1.0, 0.0])
    logps = torch.tensor([-0.5, -1.0, -9.0, -2.0, -0.1, -9.0])
    for values, chosen, rejected in (
        ({}, -1.0, -2.1),
        ({"length_normalize": True}, -1.0 / 1.5, -2.1 / 2),
        ({"kind": "ipo"}, -1.0 / 1.5, -2.1 / 2),
        ({"nll_weight": 0.7}, -1.0, -2.1),
    ):
        losses = preference_losses(sums_of(logps, weights), LossSettings(beta=BETA, **values))
        assert losses.chosen_rewards_B.tolist() == pytest.approx([BETA * chosen])
        assert losses.rejected_rewards_B.tolist() == pytest.approx([BETA * rejected])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": "robust"}, "robust needs a label_smoothing"),
        ({"loss": "ipo", "label_smoothing": 0.1}, "ipo does not use label_smoothing"),
        ({"label_smoothing": 0.5}, "label_smoothing"),
        ({"loss": "hinge"}, "hinge"),
    ],
)
def test_losses_that_make_no_sense_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TrainConfig.parse({"model": "m"} | changes, where="test")


@pytest.mark.parametrize(("batch_size", "accumulation"), [(6, 1), (2, 3), (4, 2), (1, 6)])
def test_a_step_is_the_mean_over_its_pairs_however_it_is_cut(
    batch_size: int, accumulation: int, tmp_path: Path
) -> None:
    """(4, 2) makes batches of 4 and 2 pairs: a mean of their means would weigh pairs unequally."""
    import torch
    from transformers import PrinterCallback, TrainingArguments

    from trainer.mask_dpo import MaskDpoTrainer, Method

    examples, tokenizer = make_examples(6)
    model, reference = tiny_llama(len(tokenizer), seed=1), tiny_llama(len(tokenizer), seed=2)
    items = refer(examples, reference)
    whole = compute_losses(model, items, settings=LossSettings(beta=BETA))
    whole.losses_B.mean().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    start = [parameter.detach().clone() for parameter in model.parameters()]
    model.zero_grad()

    rate = 0.5
    trainer = MaskDpoTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=accumulation,
            num_train_epochs=1,
            optim="sgd",
            learning_rate=rate,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            remove_unused_columns=False,
        ),
        method=Method(
            loss=LossSettings(beta=BETA), choice=Choice(layout="padded", head=INSIDE, notes=[])
        ),
        train_items=items,
        eval_items=[],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    assert trainer.state.global_step == 1
    logged = trainer.state.log_history[0]["loss"]
    assert logged == pytest.approx(whole.losses_B.mean().item(), rel=1e-5)
    for parameter, before, gradient in zip(model.parameters(), start, expected, strict=True):
        moved = (before - parameter.detach()) / rate
        assert torch.allclose(moved, gradient, rtol=1e-3, atol=2e-6)
