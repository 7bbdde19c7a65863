"""Weights as files: which of them count, how they are split, and narrowing as transformers does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import tiny_gemma, tiny_gpt2, tiny_llama, tiny_qwen

import trainer.weights
from trainer.models import load_model
from trainer.weights import (
    INDEX,
    SINGLE,
    load_narrowed,
    plan_shards,
    stored_weights,
    write_changed,
)

VOCABULARY = 48
CPU = torch.device("cpu")


def tied_llama() -> Any:
    model = tiny_llama(VOCABULARY)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    return model


def mixtral() -> Any:
    """Its checkpoints name the experts otherwise than the model does."""
    from transformers import MixtralConfig, MixtralForCausalLM

    return MixtralForCausalLM(
        MixtralConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            num_local_experts=2,
        )
    )


MODELS: dict[str, Callable[[], Any]] = {
    "llama": lambda: tiny_llama(VOCABULARY),
    "tied llama": tied_llama,
    "gpt2": lambda: tiny_gpt2(VOCABULARY),
    "gemma": lambda: tiny_gemma(VOCABULARY),
    "qwen2": lambda: tiny_qwen(VOCABULARY, 2),
    "qwen3": lambda: tiny_qwen(VOCABULARY, 3),
    "mixtral": mixtral,
}


def save_weights(path: Path, **weights: Any) -> None:
    save_file({name: torch.tensor(value) for name, value in weights.items()}, path)


# Which files count


def test_one_file_comes_first_then_the_index_and_other_files_are_not_read(tmp_path: Path) -> None:
    """As in transformers: a folder may hold the same weights again, in another layout."""
    save_weights(tmp_path / "a.safetensors", one=[1.0], two=[2.0])
    save_weights(tmp_path / "b.safetensors", one=[10.0], three=[3.0])
    save_weights(tmp_path / SINGLE, one=[100.0], four=[4.0])
    placed = {"three": "b.safetensors", "one": "a.safetensors"}
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": placed}), encoding="utf-8")
    assert stored_weights(tmp_path).keys() == {"one", "four"}
    (tmp_path / SINGLE).unlink()
    found = stored_weights(tmp_path)
    assert {name: weight.read().tolist() for name, weight in found.items()} == {
        "three": [3.0],
        "one": [1.0],
    }
    assert list(found) == ["three", "one"]
    (tmp_path / "config.json").write_text('{"transformers_weights": "b.safetensors"}')
    assert stored_weights(tmp_path).keys() == {"one", "three"}
    (tmp_path / "config.json").unlink()
    (tmp_path / INDEX).unlink()
    assert stored_weights(tmp_path).keys() == {"one", "two", "three"}


def test_a_weight_is_read_whole_in_rows_or_narrowed(tmp_path: Path) -> None:
    path = tmp_path / SINGLE
    exact = torch.linspace(0, 1, 12).reshape(4, 3)
    tensors = {"matrix": exact, "count": torch.tensor(70001), "half": exact.half()}
    save_file(tensors, path)
    plain = stored_weights(tmp_path)
    assert (plain["matrix"].shape, plain["matrix"].dtype_name) == ([4, 3], "F32")
    sizes = {name: weight.num_bytes for name, weight in plain.items()}
    assert sizes == {"matrix": 48, "count": 8, "half": 24}
    assert torch.equal(plain["matrix"].read(), exact)
    assert torch.equal(plain["matrix"].read(2), exact[:2])
    assert torch.equal(plain["matrix"][1:3, 0], exact[1:3, 0])
    assert int(plain["count"].read(5)) == 70001  # it has no rows
    narrow = stored_weights(tmp_path, dtype=torch.bfloat16)
    assert torch.equal(narrow["matrix"].read(2), exact[:2].bfloat16())
    assert narrow["matrix"][...].dtype == torch.bfloat16
    assert int(narrow["count"].read()) == 70001  # a number that bfloat16 cannot hold
    assert narrow["matrix"].dtype_name == "F32" and narrow["matrix"].num_bytes == 48


# How they are split


@pytest.mark.parametrize(
    ("least", "most_files", "expected"),
    [
        (100, 16, [["a", "b"], ["c"], ["d"], ["e"]]),
        (101, 16, [["a", "b", "c"], ["d"], ["e"]]),
        (100, 2, [["a", "b", "c"], ["d"], ["e"]]),  # half of the 350 bytes: 175
        (100, 1, [["a", "b", "c", "d", "e"]]),
    ],
)
def test_files_are_as_large_as_the_limit_allows(
    least: int, most_files: int, expected: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer.weights, "_LEAST_SHARD_BYTES", least)
    monkeypatch.setattr(trainer.weights, "_MOST_SHARDS", most_files)
    assert plan_shards({"a": 60, "b": 40, "c": 1, "d": 150, "e": 99}) == expected


def test_the_limit_is_200_megabytes_or_a_16th_of_the_model() -> None:
    assert plan_shards({"a": 150_000_000, "b": 50_000_000, "c": 1}) == [["a", "b"], ["c"]]
    assert plan_shards({"a": 300_000_000, "b": 1}) == [["a"], ["b"]]  # one may be larger
    sizes = dict.fromkeys(map(str, range(64)), 10**9)  # 64 GB in files of 4
    assert [len(names) for names in plan_shards(sizes)] == [4] * 16


@pytest.mark.parametrize("name", ["llama", "tied llama"])
def test_what_is_written_in_several_files_loads_as_one_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(trainer.weights, "_LEAST_SHARD_BYTES", 4_000)
    model = MODELS[name]()
    source, folder = tmp_path / "source", tmp_path / "written"
    model.save_pretrained(source)
    folder.mkdir()
    shutil.copy(source / "config.json", folder)
    changed: list[str] = []

    def double_norms(name: str, weight: Any) -> Any:
        changed.append(name)
        return weight * 2 if "norm" in name else weight

    stored = stored_weights(source)
    write_changed(stored, folder, double_norms)
    assert changed == list(stored)  # each once, in their order
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    count = len(files)
    assert count > 3
    assert files == [f"model-{n:05}-of-{count:05}.safetensors" for n in range(1, count + 1)]
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    held = {key: file for file in files for key in load_file(folder / file)}
    assert index["weight_map"] == held and held.keys() == stored.keys()
    assert index["metadata"]["total_size"] == sum(weight.num_bytes for weight in stored.values())
    again = AutoModelForCausalLM.from_pretrained(folder)
    for key, value in model.state_dict().items():
        factor = 2 if "norm" in key else 1
        assert torch.equal(again.state_dict()[key], value * factor), key


def test_what_fits_is_one_file_without_an_index(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "written"
    tiny_llama(VOCABULARY).save_pretrained(source)
    folder.mkdir()
    write_changed(stored_weights(source), folder, lambda _, weight: weight)
    assert [path.name for path in folder.iterdir()] == [SINGLE]
    expected, found = load_file(source / SINGLE), load_file(folder / SINGLE)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


# Narrowing


def assert_same_model(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    for kind in ("named_parameters", "named_buffers"):
        left, right = (dict(getattr(model, kind)()) for model in (found, expected))
        assert left.keys() == right.keys()
        for name, value in right.items():
            assert left[name].dtype == value.dtype and torch.equal(left[name], value), name
    assert found.generation_config.to_dict() == expected.generation_config.to_dict()
    assert found.training == expected.training
    tied = [
        model.get_input_embeddings().weight is model.get_output_embeddings().weight
        for model in (found, expected)
    ]
    assert tied[0] == tied[1]


@pytest.mark.parametrize("name", MODELS)
def test_a_narrowed_model_is_what_transformers_loads(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = MODELS[name]()
    model.generation_config.update(do_sample=True, top_k=7)
    model.save_pretrained(tmp_path)
    expected = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert expected.generation_config.top_k == 7 and expected.dtype == torch.bfloat16
    assert_same_model(load_model(tmp_path, device=CPU, dtype=torch.bfloat16), expected)


def test_so_is_one_whose_files_leave_the_prefix_out(tmp_path: Path) -> None:
    """As gpt2 on the Hub: the weights of the base model, under its own names."""
    from transformers import AutoModelForCausalLM

    tiny_gpt2(VOCABULARY).save_pretrained(tmp_path)
    weights = load_file(tmp_path / SINGLE)
    stripped = {name.removeprefix("transformer."): value for name, value in weights.items()}
    assert stripped.keys() != weights.keys()
    save_file(stripped, tmp_path / SINGLE, metadata={"format": "pt"})
    expected = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert_same_model(load_model(tmp_path, device=CPU, dtype=torch.bfloat16), expected)


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("wanted", [torch.bfloat16, torch.float32, None])
def test_only_what_is_stored_wider_is_narrowed(
    stored: torch.dtype, wanted: torch.dtype | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers' own loading keeps whole files in memory while it converts."""
    calls: list[torch.dtype] = []

    def watch(folder: Path, config: Any, *, dtype: torch.dtype, **rest: Any) -> Any:
        calls.append(dtype)
        return load_narrowed(folder, config, dtype=dtype, **rest)

    monkeypatch.setattr("trainer.models.load_narrowed", watch)
    model = tiny_llama(VOCABULARY).to(stored)
    model.save_pretrained(tmp_path)
    found = load_model(tmp_path, device=CPU, dtype=wanted)
    final = wanted or torch.float32
    assert {part.dtype for part in found.parameters()} == {final}
    is_narrower = wanted is not None and stored.itemsize > wanted.itemsize
    assert calls == ([wanted] if is_narrower else [])
    for name, value in model.state_dict().items():
        assert torch.equal(found.state_dict()[name], value.to(final)), name
