"""What is said of a model before anything is computed: positions, routers, rates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import (
    byte_level_tokenizer,
    save_model_folder,
    tiny_gpt2,
    tiny_llama,
    tiny_qwen,
    write_dataset,
)
from train_support import train

from schemas.errors import ConfigError
from trainer.models import check_positions, may_leave_weights_unused


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


def save_gpt2(folder: Path) -> Path:
    tokenizer = byte_level_tokenizer()
    tiny_gpt2(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_opt() -> Any:
    from transformers import OPTConfig, OPTForCausalLM

    return OPTForCausalLM(
        OPTConfig(
            vocab_size=48,
            hidden_size=16,
            ffn_dim=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=64,
            word_embed_proj_dim=16,
        )
    )


def tiny_gptj() -> Any:
    """Its positions are a table in a buffer."""
    from transformers import GPTJConfig, GPTJForCausalLM

    return GPTJForCausalLM(
        GPTJConfig(vocab_size=48, n_positions=64, n_embd=16, n_layer=1, n_head=2, rotary_dim=4)
    )


def tiny_gemma3() -> Any:
    """A decoder with rotary positions next to a tower for images, which has a table of its own."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = {
        "vocab_size": 48,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "max_position_embeddings": 64,
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    return Gemma3ForConditionalGeneration(config)


def test_what_a_step_may_leave_unused_is_searched_for() -> None:
    """Experts, and towers that text does not reach: DDP would wait for their gradients."""
    assert may_leave_weights_unused(tiny_gemma3())
    assert not may_leave_weights_unused(tiny_llama(48))
    assert check_positions(tiny_gemma3(), max_length=128, lengths=[9], where="m") == []


def test_a_table_of_positions_bounds_max_length(dataset: Path, tmp_path: Path) -> None:
    policy = save_gpt2(tmp_path / "policy")
    with pytest.raises(ConfigError, match=r"max_length is 1024, but .*policy has 128 positions"):
        train(policy, dataset, tmp_path / "out")
    assert not list((tmp_path / "reference").glob("*/*.arrow"))  # nothing was computed
    result = train(policy, dataset, tmp_path / "out", max_length=128, max_steps=1)
    assert result.counts["steps"] == 1
    for model, known in ((tiny_gpt2(48), 128), (tiny_opt(), 64), (tiny_gptj(), 64)):
        with pytest.raises(ConfigError, match=f"set train.max_length={known} or less"):
            check_positions(model, max_length=known + 1, lengths=[3], where="m")
        assert check_positions(model, max_length=known, lengths=[3], where="m") == []


def test_rotary_positions_past_their_end_are_a_note(tmp_path: Path, dataset: Path) -> None:
    model = tiny_llama(48)  # 512 positions
    assert check_positions(model, max_length=1024, lengths=[400, 512], where="m") == []
    (note,) = check_positions(model, max_length=1024, lengths=[400, 512, 513, 700], where="m")
    assert "trained for 512 positions, and 2 of 4 sequences are longer" in note
    # Through the command: a model of 32 positions, and pairs of more tokens than that.
    policy = save_model_folder(tmp_path / "policy")
    path = policy / "config.json"
    values = json.loads(path.read_text(encoding="utf-8")) | {"max_position_embeddings": 32}
    path.write_text(json.dumps(values), encoding="utf-8")
    result = train(policy, dataset, tmp_path / "out", max_steps=1)
    assert any("trained for 32 positions" in note for note in result.notes)


def test_a_router_with_a_loss_of_its_own_is_refused(dataset: Path, tmp_path: Path) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    tokenizer = byte_level_tokenizer()
    model = MixtralForCausalLM(
        MixtralConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            num_local_experts=2,
            output_router_logits=True,
        )
    )
    assert may_leave_weights_unused(model) and not may_leave_weights_unused(tiny_qwen(48, 3))
    policy = tmp_path / "policy"
    model.save_pretrained(policy)
    tokenizer.save_pretrained(policy)
    with pytest.raises(ConfigError, match="output_router_logits") as caught:
        train(policy, dataset, tmp_path / "out")
    assert "load-balancing loss" in str(caught.value)
    path = policy / "config.json"
    values = json.loads(path.read_text(encoding="utf-8")) | {"output_router_logits": False}
    path.write_text(json.dumps(values), encoding="utf-8")
    assert train(policy, dataset, tmp_path / "out", max_steps=1).counts["steps"] == 1


def test_an_adapter_at_the_rate_of_all_weights_is_a_note(dataset: Path, tmp_path: Path) -> None:
    policy = save_model_folder(tmp_path / "policy")
    low = train(policy, dataset, tmp_path / "low", lora={}, learning_rate=5e-7, max_steps=1)
    assert any("learning_rate is 5e-07: too low for an adapter" in note for note in low.notes)
    high = train(policy, dataset, tmp_path / "high", lora={}, learning_rate=5e-6, max_steps=1)
    plain = train(policy, dataset, tmp_path / "plain", learning_rate=5e-7, max_steps=1)
    for result in (high, plain):
        assert not any("learning_rate" in note for note in result.notes)
