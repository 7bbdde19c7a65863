"""Token weights and the loss for other trainers: TRL with our weights learns as `maskdpo train`."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from steps import compute_losses, refer
from tiny_models import (
    byte_level_tokenizer,
    make_pair_values,
    save_model_folder,
    tiny_llama,
    unigram_tokenizer,
    write_dataset,
)
from train_support import log_of, train

import maskdpo
from trainer.config import TrainConfig
from trainer.data import parse_pair
from trainer.examples import Example, prepare_examples

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
TOLERANCE = 1e-5
NUM_PAIRS = 4


def is_close(found: Any, expected: Any) -> bool:
    """Whether gradients differ by rounding alone, which grows with the largest of them."""
    largest = max(1.0, expected.abs().max().item())
    return bool((found - expected).abs().max().item() < TOLERANCE * largest)


def pairs_of(*, weight: float = 1.0) -> list[maskdpo.Pair]:
    """Pairs with one trained sentence per side, of that weight."""
    rows = [make_pair_values(index) for index in range(NUM_PAIRS)]
    rows[1]["chosen"][0]["content"] += " 😀 And,  later,\n\n- 你好。"
    for row in rows:
        for span in (*row["chosen_spans"], *row["rejected_spans"]):
            span["weight"] *= weight
    return [parse_pair(row, row["id"]) for row in rows]


def examples_of(tokenizer: Any, pairs: Any, **changes: Any) -> list[Example]:
    config = TrainConfig.parse({"model": "m"} | changes, where="test")
    return list(prepare_examples(pairs, tokenizer, config).examples)


# Token weights


@pytest.mark.parametrize("make_tokenizer", [byte_level_tokenizer, unigram_tokenizer])
@pytest.mark.parametrize("changes", [{}, {"eos": "both"}, {"use_spans": False}, {"max_length": 40}])
def test_tokens_and_weights_are_those_of_train(make_tokenizer: Any, changes: Any) -> None:
    tokenizer = make_tokenizer()
    pairs = pairs_of(weight=0.5)
    weigh = maskdpo.TokenWeigher(tokenizer, **changes)
    for pair in pairs:
        try:
            found = maskdpo.token_weights(pair, tokenizer, **changes)
        except maskdpo.InputError as error:
            assert not examples_of(tokenizer, [pair], **changes)
            assert str(error).startswith(f"pair {pair.id!r}: cannot train: ")
            continue
        (example,) = examples_of(tokenizer, [pair], **changes)
        assert found == weigh(pair) == weigh(pair.model_dump(mode="json"))
        for side, expected in ((found.chosen, example.chosen), (found.rejected, example.rejected)):
            assert side.input_ids == expected.token_ids
            assert side.weights == expected.weights
            assert sum(side.completion_mask) == expected.num_completion
            assert side.completion_mask == sorted(side.completion_mask)


def test_what_cannot_be_weighed_is_one_sentence() -> None:
    tokenizer = byte_level_tokenizer()
    (pair, *_) = pairs_of()
    for arguments, error, said in [
        ((pair, "gpt2"), maskdpo.ConfigError, "tokenizer is 'gpt2', but it must be a tokenizer of"),
        ((pair, byte_level_tokenizer(template=None)), maskdpo.ConfigError, "no chat template"),
        (({"id": "p", "chosen": 5}, tokenizer), maskdpo.InputError, "pair 'p': 'chosen' must be"),
        ((5, tokenizer), maskdpo.InputError, "pair '1': a row must be an object"),
        (
            ({**pair.model_dump(mode="json"), "topic": {1}}, tokenizer),
            maskdpo.InputError,
            "pair 'pair-0': .* is not JSON serializable",
        ),
    ]:
        with pytest.raises(error, match=said):
            maskdpo.token_weights(*arguments)  # type: ignore[arg-type]
    with pytest.raises(maskdpo.ConfigError, match=r"maskdpo\.token_weights: 'max_length' is 1"):
        maskdpo.token_weights(pair, tokenizer, max_length=1)
    with pytest.raises(maskdpo.InputError, match=r"pair 'pair-0': cannot train: .*prompt_too_long"):
        maskdpo.token_weights(pair, tokenizer, max_length=5)


# The loss


def padded_logps(model: Any, sides: list[maskdpo.SideTokens], filler: float) -> Any:
    """Log-probabilities [2B, T] by plain torch; places without a token hold `filler`."""
    import torch

    width = max(len(side.input_ids) for side in sides)
    table = torch.full((len(sides), width), filler)
    for row, side in enumerate(sides):
        ids = torch.tensor([side.input_ids])
        logps = model(ids).logits[0, :-1].log_softmax(-1)
        table[row, 1 : ids.shape[1]] = logps.gather(1, ids[0, 1:, None])[:, 0]
    return table


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"beta": 0.3, "label_smoothing": 0.1},
        {"loss": "ipo"},
        {"loss": "robust", "label_smoothing": 0.2},
        {"length_normalize": True, "nll_weight": 0.5},
    ],
    ids=str,
)
def test_the_loss_and_its_gradients_are_those_of_train(settings: Any) -> None:
    """Places without weight hold infinities, as a padded batch may."""
    import torch

    tokenizer = byte_level_tokenizer()
    model, reference = tiny_llama(len(tokenizer), seed=1), tiny_llama(len(tokenizer), seed=2)
    pairs = pairs_of(weight=0.5)
    items = refer(examples_of(tokenizer, pairs), reference)
    config = TrainConfig.parse({"model": "m"} | settings, where="test")
    expected = compute_losses(model, items, settings=config.loss_settings).losses_B
    expected.mean().backward()
    gradients = {name: value.grad.clone() for name, value in model.named_parameters()}
    model.zero_grad()

    weighed = [maskdpo.token_weights(pair, tokenizer) for pair in pairs]
    sides = [item.chosen for item in weighed] + [item.rejected for item in weighed]
    logps = padded_logps(model, sides, float("-inf"))
    with torch.no_grad():
        reference_logps = padded_logps(reference, sides, float("-inf"))
    weights = torch.zeros_like(reference_logps)
    for row, side in enumerate(sides):
        weights[row, : len(side.weights)] = torch.tensor(side.weights)
    each = maskdpo.mask_dpo_loss(logps, reference_logps, weights, reduction="none", **settings)
    assert each.tolist() == pytest.approx(expected.tolist(), abs=TOLERANCE)
    loss = maskdpo.mask_dpo_loss(logps, reference_logps, weights, **settings)
    assert loss.item() == pytest.approx(expected.mean().item(), abs=TOLERANCE)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert is_close(parameter.grad, gradients[name]), name


def test_wrong_shapes_and_settings_are_one_sentence() -> None:
    import torch

    good = torch.zeros(4, 3)
    for tensors in ((good, good, torch.zeros(4, 2)), [torch.zeros(3, 3)] * 3, [torch.zeros(4)] * 3):
        with pytest.raises(maskdpo.ConfigError, match="but all must be one shape"):
            maskdpo.mask_dpo_loss(*tensors)
    for settings, said in [
        ({"beta": 0.0}, r"maskdpo\.mask_dpo_loss: 'beta' is 0.0"),
        ({"loss": "dpo"}, "'loss' is 'dpo'"),
        ({"reduction": "sum"}, "reduction is 'sum', but it must be 'mean' or 'none'"),
    ]:
        with pytest.raises(maskdpo.ConfigError, match=said):
            maskdpo.mask_dpo_loss(good, good, good, **settings)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import maskdpo
from tiny_models import byte_level_tokenizer, make_pair_values

tokenizer, row = byte_level_tokenizer(), make_pair_values()
print(sum(maskdpo.token_weights(row, tokenizer).chosen.weights) > 0)
for call in (
    lambda: maskdpo.mask_dpo_loss(None, None, None),
    lambda: maskdpo.TrlCollator(tokenizer)([row]),
):
    try:
        call()
    except maskdpo.MaskDpoError as error:
        print(error)
"""


def test_without_torch_there_are_weights_and_a_sentence_for_the_rest() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    weighed, loss, collator = result.stdout.splitlines()
    assert weighed == "True"
    assert loss.startswith("maskdpo.mask_dpo_loss needs the package 'torch'")
    assert collator.startswith("maskdpo.TrlCollator needs the package 'torch'")


# TRL


def ten_lines() -> str:
    """The code of the section on TRL in docs/python.md."""
    section = PAGE.split("\n## TRL in ten lines\n")[1].split("\n## ")[0]
    (code, *_) = re.findall(r"```python\n(.*?)```", section, re.S)
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) == 10
    return code


def run_page(code: str, names: dict[str, Any], **changes: Any) -> Any:
    """The trainer that the page makes and trains; `changes` are settings for a small test."""
    pytest.importorskip("trl", reason="the peer of this test; installed with the extra 'dev'")
    settings = "".join(f", {name}={value!r}" for name, value in changes.items())
    changed = code.replace("remove_unused_columns=False", f"remove_unused_columns=False{settings}")
    assert changed != code
    exec(changed, names)
    return names["trainer"]


SMALL = {
    "learning_rate": 1e-2,
    "lr_scheduler_type": "constant",
    "per_device_train_batch_size": NUM_PAIRS,
    "num_train_epochs": 5,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "disable_tqdm": True,
}


def test_ten_lines_with_trl_give_the_losses_of_maskdpo_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first step to the fifth: equal losses after four updates mean equal gradients."""
    monkeypatch.chdir(tmp_path)
    save_model_folder(Path("my-model"), seed=1)
    write_dataset(Path("dataset"), num_train=NUM_PAIRS, num_test=0)
    train(
        Path("my-model"), Path("dataset"), Path("model"),
        batch_size=NUM_PAIRS, epochs=5, learning_rate=1e-2, lr_scheduler="constant",
        warmup_ratio=0.0, save="no", evaluate="no",
    )  # fmt: skip
    ours = [line["loss"] for line in log_of(Path("model")) if "loss" in line]

    pairs = [parse_pair(make_pair_values(n), f"pair-{n}") for n in range(NUM_PAIRS)]
    trainer = run_page(ten_lines(), {"maskdpo": maskdpo, "pairs": pairs}, **SMALL)
    theirs = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert len(ours) == 5
    assert theirs == pytest.approx(ours, abs=TOLERANCE)
    assert ours[0] > ours[1] + 0.1 > ours[4] + 0.1  # it learns, so the test can fail


def batch_of_trl(trainer: Any) -> dict[str, Any]:
    (batch,) = list(trainer.get_train_dataloader())
    return dict(batch)


@pytest.mark.parametrize("make_tokenizer", [byte_level_tokenizer, unigram_tokenizer])
def test_loss_and_every_gradient_of_trl_equal_ours(make_tokenizer: Any, tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="the peer of this test; installed with the extra 'dev'")
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    tokenizer = make_tokenizer()
    pairs = pairs_of()
    model, reference = tiny_llama(len(tokenizer), seed=1), tiny_llama(len(tokenizer), seed=2)
    trainer = DPOTrainer(
        model=copy.deepcopy(model),
        ref_model=copy.deepcopy(reference),
        args=DPOConfig(str(tmp_path), remove_unused_columns=False, **SMALL),
        train_dataset=Dataset.from_list([pair.model_dump(mode="json") for pair in pairs]),
        data_collator=maskdpo.TrlCollator(tokenizer),
        processing_class=tokenizer,
    )
    peer = trainer.compute_loss(trainer.model, batch_of_trl(trainer))
    peer.backward()
    loss = compute_losses(model, refer(examples_of(tokenizer, pairs), reference)).losses_B.mean()
    loss.backward()
    assert peer.item() == pytest.approx(loss.item(), abs=TOLERANCE)
    assert abs(loss.item() - 0.693147) > 100 * TOLERANCE
    gradients = {name: value.grad for name, value in trainer.model.named_parameters()}
    for name, parameter in model.named_parameters():
        assert is_close(parameter.grad, gradients[name]), name


def test_fractional_weights_need_the_loss_of_the_page(tmp_path: Path) -> None:
    """The second snippet of the page, with weights of 0.5."""
    pytest.importorskip("trl", reason="the peer of this test; installed with the extra 'dev'")
    from datasets import Dataset
    from trl import DPOConfig

    section = PAGE.split("\n## TRL in ten lines\n")[1].split("\n## ")[0]
    names: dict[str, Any] = {"maskdpo": maskdpo}
    exec(re.findall(r"```python\n(.*?)```", section, re.S)[1], names)
    tokenizer = byte_level_tokenizer()
    pairs = pairs_of(weight=0.5)
    rows = [pair.model_dump(mode="json") for pair in pairs]
    with pytest.raises(maskdpo.ConfigError, match=r"has the weight 0\.5, but TRL's own loss"):
        maskdpo.TrlCollator(tokenizer)(rows)
    model, reference = tiny_llama(len(tokenizer), seed=1), tiny_llama(len(tokenizer), seed=2)
    trainer = names["MaskDpoTrainer"](
        model=copy.deepcopy(model),
        ref_model=copy.deepcopy(reference),
        args=DPOConfig(str(tmp_path), remove_unused_columns=False, **SMALL),
        train_dataset=Dataset.from_list(rows),
        data_collator=maskdpo.TrlCollator(tokenizer, with_weights=True),
        processing_class=tokenizer,
    )
    peer = trainer.compute_loss(trainer.model, batch_of_trl(trainer))
    peer.backward()
    loss = compute_losses(model, refer(examples_of(tokenizer, pairs), reference)).losses_B.mean()
    loss.backward()
    assert peer.item() == pytest.approx(loss.item(), abs=TOLERANCE)
    gradients = {name: value.grad for name, value in trainer.model.named_parameters()}
    for name, parameter in model.named_parameters():
        assert is_close(parameter.grad, gradients[name]), name


def test_a_reference_computed_in_advance_by_trl_is_refused() -> None:
    row = pairs_of()[0].model_dump(mode="json") | {"ref_chosen_logps": 0.0}
    with pytest.raises(maskdpo.ConfigError, match="precompute_ref_log_probs=False"):
        maskdpo.TrlCollator(byte_level_tokenizer())([row])


# What nobody means


def test_the_loss_refuses_what_is_no_batch() -> None:
    import torch

    logps, ones = -torch.rand(4, 3), torch.ones(4, 3)
    for wrong in (None, logps.tolist(), logps.numpy()):
        with pytest.raises(maskdpo.ConfigError, match=r"^logps is .*must be a torch\.Tensor$"):
            maskdpo.mask_dpo_loss(wrong, logps, ones)  # type: ignore[arg-type]
        with pytest.raises(maskdpo.ConfigError, match=r"^weights is .*must be a torch\.Tensor$"):
            maskdpo.mask_dpo_loss(logps, logps, wrong)  # type: ignore[arg-type]
    with pytest.raises(maskdpo.ConfigError, match=r"^the devices are logps meta, reference_logps"):
        maskdpo.mask_dpo_loss(logps.to("meta"), logps, ones)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_the_loss_refuses_weights_that_no_span_can_have(weight: float) -> None:
    import torch

    logps, weights = -torch.rand(4, 3), torch.ones(4, 3)
    weights[3, 1] = weight
    with pytest.raises(maskdpo.ConfigError, match=rf"^weights has {weight:g}, but a weight must"):
        maskdpo.mask_dpo_loss(logps, logps, weights)


def test_the_collator_refuses_what_is_no_batch() -> None:
    collate = maskdpo.TrlCollator(byte_level_tokenizer())
    with pytest.raises(maskdpo.InputError, match=r"^rows: is empty, but a batch needs at least"):
        collate([])
    with pytest.raises(maskdpo.InputError, match=r"a row must be an object with 'chosen'"):
        collate([5])  # type: ignore[list-item]
    for wrong in (None, "gpt2", object()):
        with pytest.raises(maskdpo.ConfigError, match=r"^tokenizer is .*a tokenizer of transforme"):
            maskdpo.TrlCollator(wrong)
    with pytest.raises(maskdpo.ConfigError, match=r"'chat_template_kwargs' is 5"):
        maskdpo.TrlCollator(byte_level_tokenizer(), chat_template_kwargs=5)  # type: ignore[arg-type]
