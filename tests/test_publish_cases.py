"""Publishing models that are not a plain Llama: names, dtypes, experts and files that differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import byte_level_tokenizer, tiny_gpt2, tiny_llama, write_dataset
from train_support import train
from transformers import AutoModelForCausalLM

from trainer.weights import stored_weights

LORA: dict[str, Any] = {"lora": {"rank": 4}, "max_length": 128, "max_steps": 2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset", num_test=0)


def save(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return folder


def tiny_experts() -> Any:
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    torch.manual_seed(0)
    return Qwen3MoeForCausalLM(
        Qwen3MoeConfig(
            vocab_size=420,
            hidden_size=16,
            intermediate_size=32,
            moe_intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            num_experts=4,
            num_experts_per_tok=2,
            decoder_sparse_step=1,
            initializer_range=0.3,
        )
    )


def logits_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(input_ids=torch.arange(20)[None]).logits
    return logits


def test_an_adapter_of_fused_experts_is_merged(dataset: Path, tmp_path: Path) -> None:
    """peft wraps them twice; what is published is the policy with the adapter added."""
    from peft import PeftModel

    policy = save(tiny_experts(), tmp_path / "policy")
    changes = LORA | {"learning_rate": 1e-2}
    merged = train(policy, dataset, tmp_path / "merged", **changes).output
    alone = train(
        policy, dataset, tmp_path / "alone", **changes | {"lora": {"rank": 4, "merge": False}}
    ).output
    base = AutoModelForCausalLM.from_pretrained(policy)
    start = logits_of(base)
    expected = logits_of(PeftModel.from_pretrained(base, str(alone)))
    found = logits_of(AutoModelForCausalLM.from_pretrained(merged))
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, start, atol=1e-3)


def test_files_that_name_weights_otherwise_lose_no_digit(dataset: Path, tmp_path: Path) -> None:
    """GPT-2's own files on the Hub have no `transformer.` before their names."""
    policy = save(tiny_gpt2(420), tmp_path / "policy")
    path = policy / "model.safetensors"
    plain = {k.removeprefix("transformer."): v for k, v in load_file(path).items()}
    save_file(plain, path, metadata={"format": "pt"})
    # Trained in bfloat16, where the frozen weights are held in bfloat16 as well.
    output = train(policy, dataset, tmp_path / "out", dtype="bfloat16", **LORA).output
    before = AutoModelForCausalLM.from_pretrained(policy).state_dict()
    after = AutoModelForCausalLM.from_pretrained(output).state_dict()
    adapted = [name for name in after if any(part in name for part in ("c_attn", "c_proj", "c_fc"))]
    for name, value in after.items():
        assert value.dtype == torch.float32
        if name not in adapted or "bias" in name:
            assert torch.equal(value, before[name]), name
    assert any(not torch.equal(after[name], before[name]) for name in adapted)


def test_each_weight_keeps_the_dtype_of_its_file(dataset: Path, tmp_path: Path) -> None:
    """A norm in float32 in a bfloat16 model, without a word of dtype in the configuration."""
    policy = save(tiny_llama(420).to(torch.bfloat16), tmp_path / "policy")
    path = policy / "model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"] = torch.full((16,), 1.00390625001 + 1e-4)
    save_file(weights, path, metadata={"format": "pt"})
    values = json.loads((policy / "config.json").read_text(encoding="utf-8"))
    values.pop("dtype")
    (policy / "config.json").write_text(json.dumps(values), encoding="utf-8")
    for name, changes in (("full", {"max_steps": 2}), ("lora", LORA)):
        output = train(policy, dataset, tmp_path / name, **changes).output
        found = load_file(output / "model.safetensors")
        assert {key: value.dtype for key, value in found.items()} == {
            key: value.dtype for key, value in weights.items()
        }, name
        config = json.loads((output / "config.json").read_text(encoding="utf-8"))
        assert config["dtype"] == "bfloat16", name
        assert config["use_cache"] is True, name


def test_the_files_read_are_those_that_transformers_reads(tmp_path: Path) -> None:
    policy = save(tiny_llama(420), tmp_path / "policy")
    first = load_file(policy / "model.safetensors")
    other = {name: value + 1 for name, value in first.items()}
    save_file(other, policy / "model-00001-of-00001.safetensors", metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": dict.fromkeys(other, "model-00001-of-00001.safetensors")}
    (policy / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        name = "model.norm.weight"
        model = AutoModelForCausalLM.from_pretrained(policy)
        return stored_weights(policy)[name].read(), model.state_dict()[name]

    ours, theirs = both()
    assert torch.equal(ours, theirs) and torch.equal(ours, first["model.norm.weight"])
    (policy / "model.safetensors").unlink()
    ours, theirs = both()
    assert torch.equal(ours, theirs) and torch.equal(ours, other["model.norm.weight"])


def test_several_chat_templates_are_published_and_published_again(
    dataset: Path, tmp_path: Path
) -> None:
    tokenizer = byte_level_tokenizer()
    template = tokenizer.chat_template
    tokenizer.chat_template = {"default": template, "tool_use": template + " "}
    policy = tmp_path / "policy"
    tiny_llama(420).save_pretrained(policy)
    tokenizer.save_pretrained(policy)
    output = train(policy, dataset, tmp_path / "out", max_steps=1).output
    folder = output / "additional_chat_templates"
    assert folder.is_dir() and folder.stat().st_mode & 0o111
    manifest = json.loads((output / "training.json").read_text(encoding="utf-8"))
    (output / "training.json").write_text(json.dumps(manifest | {"finished": False}))
    assert train(policy, dataset, tmp_path / "out", max_steps=1).counts["steps"] == 1
    assert train(policy, dataset, tmp_path / "out", max_steps=1, resume=False).counts["steps"] == 1
