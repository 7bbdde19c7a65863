"""Around the training loop: what is said of saving, and whole weights of a sharded model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_models import (
    byte_level_tokenizer,
    save_model_folder,
    tiny_gpt2,
    tiny_llama,
    tiny_qwen,
    write_dataset,
)
from train_support import train

from trainer.fit import _gather_weights, checkpoint_bytes, saving_notes


@pytest.mark.parametrize(
    ("saving", "seconds", "save_steps", "said"),
    [
        # 100 s may be 5% of 900 s of other work and 100 * 9 / 19 s of saving: 2.11 times as seldom.
        ([30, 30, 40], 1000, 10, ["3 checkpoints took 100 s, 10% of the training time; ", "=22 "]),
        ([60], 120, 100, ["1 checkpoints took 60 s, 50% of the training time; ", "=1900 "]),
        ([100], 1000, None, ["1 checkpoints took 100 s, 10% of the", "; save less often"]),
        ([50, 9.9], 60, 10, []),  # less than a minute
        ([60], 1200, 10, []),  # 5%
        ([60.1], 1200, 1, ["1 checkpoints took 60 s, 5% of the training time; ", "save_steps=2 "]),
        ([], 1000, 10, []),
        ([], 0, 10, []),
    ],
)
def test_saving_that_takes_long_is_a_note_with_what_would_be_right(
    saving: list[float], seconds: float, save_steps: int | None, said: list[str]
) -> None:
    notes = saving_notes(saving, seconds, save_steps=save_steps)
    assert len(notes) == bool(said)
    for text in said:
        assert text in notes[0]


@pytest.mark.parametrize("factor", [0.06, 0.2, 0.7])
def test_the_number_that_is_named_brings_saving_under_its_share(factor: float) -> None:
    saving, other, steps = 1000 * factor, 1000 * (1 - factor), 400
    (note,) = saving_notes([saving], 1000, save_steps=10)
    named = int(note.split("train.save_steps=")[1].split(" ")[0])
    each = saving / (steps / 10)
    shares = [each * steps / every / (each * steps / every + other) for every in (named, named - 1)]
    assert shares[0] <= 0.05 < shares[1]


def sharded(model: Any) -> Any:
    return SimpleNamespace(
        is_deepspeed_enabled=False, is_fsdp_enabled=True, model_wrapped=model, model=model
    )


@pytest.mark.parametrize("tied", [False, True])
def test_gathered_weights_are_whole_and_each_is_there_once(tied: bool) -> None:
    model = tiny_llama(40)
    if tied:
        model.config.tie_word_embeddings = True
        model.tie_weights()
    found = _gather_weights(sharded(model))
    assert found is not None
    expected = set(model.state_dict()) - ({"lm_head.weight"} if tied else set())
    assert found.keys() == expected
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in found.items())


def test_gathered_weights_are_on_the_main_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert _gather_weights(sharded(tiny_llama(40))) == {}


def test_whole_models_are_not_gathered() -> None:
    whole = SimpleNamespace(is_deepspeed_enabled=False, is_fsdp_enabled=False)
    assert _gather_weights(whole) is None


def test_a_checkpoint_has_weights_that_train_and_two_moments_of_each() -> None:
    model = tiny_gpt2(40)
    assert checkpoint_bytes(model) == 12 * model.num_parameters()
    model.transformer.wpe.weight.requires_grad_(False)
    assert checkpoint_bytes(model) == 12 * (model.num_parameters() - 128 * 16)


@pytest.mark.parametrize(
    ("save", "said"), [("steps", "train.save_steps="), ("epoch", "save less often")]
)
def test_a_run_counts_its_checkpoints(
    save: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.fit._LEAST_SAVING_SECONDS", 0.0)
    monkeypatch.setattr("trainer.fit._MOST_SAVING_SHARE", 1e-9)
    policy, dataset = save_model_folder(tmp_path / "policy"), write_dataset(tmp_path / "dataset")
    settings = {"save": save, "save_steps": 2, "max_steps": 6, "epochs": 2}
    result = train(policy, dataset, tmp_path / "model", **settings)
    (note,) = [note for note in result.notes if "of the training time" in note]
    assert note.startswith(f"{3 if save == 'steps' else 2} checkpoints took ")
    assert said in note


class ReadyError(BaseException):
    """Carries a trainer out of the run, past whatever catches exceptions there."""


@pytest.mark.parametrize("has_experts", [False, True])
def test_unused_weights_are_looked_for_where_there_are_experts(
    has_experts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    tokenizer = byte_level_tokenizer()
    model = tiny_qwen(len(tokenizer), 3)
    if has_experts:
        sizes = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 8}
        values = {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 32}
        heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
        config = Qwen3MoeConfig(vocab_size=len(tokenizer), **sizes, **values, **heads)
        model = Qwen3MoeForCausalLM(config)
    model.save_pretrained(tmp_path / "policy")
    tokenizer.save_pretrained(tmp_path / "policy")
    built: list[Any] = []

    def stop(self: Any, *_: Any, **__: Any) -> None:
        built.append(self)
        raise ReadyError

    monkeypatch.setattr("transformers.Trainer.train", stop)
    with pytest.raises(ReadyError):
        train(tmp_path / "policy", write_dataset(tmp_path / "dataset"), tmp_path / "model")
    assert built[0].args.ddp_find_unused_parameters is has_experts
