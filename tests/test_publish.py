"""What is published: the weights, bit by bit, and files that say what the weights are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import (
    byte_level_tokenizer,
    save_model_folder,
    tiny_gpt2,
    tiny_llama,
    write_dataset,
)
from train_support import train

from schemas.errors import BackendError
from trainer.publish import change_notes, name_dtype
from trainer.weights import INDEX, SINGLE

LORA = {"rank": 4, "alpha": 12}  # scaled by 3
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


def save_policy(folder: Path, *, dtype: torch.dtype = torch.float32, tied: bool = False) -> Path:
    tokenizer = byte_level_tokenizer()
    model = tiny_llama(len(tokenizer))
    if tied:
        model.config.tie_word_embeddings = True
        model.tie_weights()
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def adapter_of(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Both matrices of each adapted weight, by that weight's name."""
    weights = load_file(folder / "adapter_model.safetensors")
    found = {}
    for name, first in weights.items():
        if ".lora_A." in name:
            adapted = name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")
            found[adapted] = first, weights[name.replace(".lora_A.", ".lora_B.")]
    return found


# An adapter that is merged


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_a_merge_adds_the_products_to_the_weights_as_they_are_stored(
    stored: torch.dtype, dataset: Path, tmp_path: Path
) -> None:
    """Training held the frozen weights in bfloat16; of that nothing is left in the model."""
    policy = save_policy(tmp_path / "policy", dtype=stored)
    settings: dict[str, Any] = {"dtype": "bfloat16", "evaluate": "no", "save": "no"}
    merged = train(policy, dataset, tmp_path / "merged", **settings, lora=LORA).output
    alone = train(policy, dataset, tmp_path / "alone", **settings, lora=LORA | {"merge": False})
    products = adapter_of(alone.output)
    before, after = load_file(policy / SINGLE), load_file(merged / SINGLE)
    assert before.keys() == after.keys()
    assert products.keys() == {name for name in before if name.split(".")[-2] in TARGETS}
    for name, value in before.items():
        if name not in products:
            assert torch.equal(after[name], value), name
            continue
        first, second = products[name]
        assert (first.dtype, second.dtype) == (torch.float32, torch.float32)
        expected = value.float() + 3 * (second @ first)
        if stored == torch.float32:
            assert torch.allclose(after[name], expected, rtol=1e-6, atol=1e-7), name
            assert float((after[name] - value).abs().max()) > 1e-3
        else:  # at most the last bit: a sum that lies between two numbers may go either way
            assert torch.allclose(after[name].float(), expected, rtol=2**-8, atol=1e-7), name
            assert not torch.equal(after[name], value)


def test_a_merge_where_the_files_name_weights_otherwise(dataset: Path, tmp_path: Path) -> None:
    """GPT-2 as on the Hub, without the prefix: merged in memory, and saved as the model names."""
    from transformers import AutoModelForCausalLM

    tokenizer, policy = byte_level_tokenizer(), tmp_path / "policy"
    tiny_gpt2(len(tokenizer)).save_pretrained(policy)
    tokenizer.save_pretrained(policy)
    weights = load_file(policy / SINGLE)
    stripped = {name.removeprefix("transformer."): value for name, value in weights.items()}
    save_file(stripped, policy / SINGLE, metadata={"format": "pt"})
    settings: dict[str, Any] = {"max_length": 128, "evaluate": "no", "save": "no"}
    settings["lora"] = LORA | {"target_modules": ["c_fc"]}
    merged = train(policy, dataset, tmp_path / "merged", **settings).output
    settings["lora"] |= {"merge": False}
    products = adapter_of(train(policy, dataset, tmp_path / "alone", **settings).output)
    assert len(products) == 2
    before, after = (
        AutoModelForCausalLM.from_pretrained(folder).state_dict() for folder in (policy, merged)
    )
    for name, value in before.items():
        if name in products:
            first, second = products[name]
            expected = value + 3 * (second @ first).T  # its matrices lie on their side
            assert torch.allclose(after[name], expected, rtol=1e-5, atol=1e-6), name
            assert not torch.equal(after[name], value)
        else:
            assert torch.equal(after[name], value), name


def test_an_adapter_that_is_not_finite_is_not_saved(dataset: Path, tmp_path: Path) -> None:
    policy = save_policy(tmp_path / "policy")
    settings: dict[str, Any] = {"max_steps": 1, "learning_rate": 1e39, "warmup_ratio": 0.0}
    settings |= {"evaluate": "no", "save": "no"}
    for merge in (True, False):
        output = tmp_path / f"merge-{merge}"
        with pytest.raises(BackendError, match="weights are not finite after the last step"):
            train(policy, dataset, output, **settings, lora=LORA | {"merge": merge})
        assert not list(output.glob("*.safetensors"))


# What the files say


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("lora", [None, LORA])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_configuration_says_what_the_weights_are(
    dtype: torch.dtype, lora: Any, tied: bool, dataset: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    policy = save_policy(tmp_path / "policy", dtype=dtype, tied=tied)
    settings = {"max_steps": 1, "warmup_ratio": 0.0, "dtype": "bfloat16", "evaluate": "no"}
    output = train(policy, dataset, tmp_path / "model", **settings, lora=lora).output
    before, weights = load_file(policy / SINGLE), load_file(output / SINGLE)
    assert weights.keys() == before.keys() and ("lm_head.weight" in weights) is not tied
    assert {value.dtype for value in weights.values()} == {dtype}
    config, source = (
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
        for folder in (output, policy)
    )
    assert config["dtype"] == source["dtype"] == str(dtype).removeprefix("torch.")
    # Nor does anything else of it change, but for what transformers sets in training.
    assert config | {"use_cache": True} == source | {"use_cache": True}
    model, info = AutoModelForCausalLM.from_pretrained(output, output_loading_info=True)
    assert model.dtype == dtype and not any(info.values())
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    assert (embedding is head) is tied
    assert not torch.equal(
        weights["model.layers.0.mlp.up_proj.weight"], before["model.layers.0.mlp.up_proj.weight"]
    )


@pytest.mark.parametrize("lora", [None, LORA])
def test_generation_settings_stay(lora: Any, dataset: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    policy = save_model_folder(tmp_path / "policy")
    values = {"do_sample": True, "top_k": 7, "temperature": 0.6, "eos_token_id": [2, 5]}
    (policy / "generation_config.json").write_text(json.dumps(values), encoding="utf-8")
    settings: dict[str, Any] = {"max_steps": 1, "dtype": "bfloat16", "evaluate": "no"}
    output = train(policy, dataset, tmp_path / "model", **settings, lora=lora).output
    written = json.loads((output / "generation_config.json").read_text(encoding="utf-8"))
    assert written.items() >= values.items()
    loaded = AutoModelForCausalLM.from_pretrained(output).generation_config
    assert {name: getattr(loaded, name) for name in values} == values


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float32", "float64"])
def test_the_dtype_that_is_named_is_that_of_the_files(name: str, tmp_path: Path) -> None:
    def written(**weights: Any) -> Any:
        save_file(weights, tmp_path / SINGLE)
        path = tmp_path / "config.json"
        path.write_text('{"dtype": "said before", "kept": 1}', encoding="utf-8")
        name_dtype(tmp_path)
        values = json.loads(path.read_text(encoding="utf-8"))
        assert values["kept"] == 1
        return values["dtype"]

    dtype = getattr(torch, name)
    whole, count = torch.ones(2, dtype=dtype), torch.ones(2, dtype=torch.int64)
    assert written(one=whole, two=whole.clone(), count=count) == name
    other = torch.float32 if name != "float32" else torch.bfloat16
    most = torch.ones(99, dtype=dtype)  # of the bytes: a norm in another precision names nothing
    assert written(one=most, two=torch.ones(2, dtype=other)) == name
    assert written(count=count) == "said before"


# How much has changed


def save_matrices(folder: Path, **weights: Any) -> Path:
    folder.mkdir()
    save_file(weights, folder / SINGLE)
    return folder


def noted(
    tmp_path: Path, share: float, *, dtype: torch.dtype = torch.bfloat16, adapted: Any = None
) -> list[str]:
    """Of a model of two weights of 1,000 numbers, of the first of which `share` has changed."""
    folder = tmp_path / f"{share}-{dtype}-{adapted}"
    folder.mkdir()
    ones = torch.ones(1000, 1, dtype=dtype)
    moved = ones.clone()
    moved[: round(1000 * share)] = 2
    before = save_matrices(folder / "before", first=ones, second=ones.clone())
    after = save_matrices(folder / "after", first=moved, second=ones.clone())
    return change_notes(before, after, adapted)


def test_few_changed_weights_are_a_note(tmp_path: Path) -> None:
    (note,) = noted(tmp_path, 0.0)
    assert note.startswith("None of the trained weights differ, as stored in bfloat16")
    (note,) = noted(tmp_path, 0.1)
    assert note.startswith("5% of the trained weights differ")
    assert "train.learning_rate" in note
    assert noted(tmp_path, 0.198) and not noted(tmp_path, 0.2)  # a tenth of both
    # Of an adapter's model those that were adapted count, and no others.
    assert noted(tmp_path, 0.098, adapted={"first"}) and not noted(tmp_path, 0.1, adapted={"first"})
    (note,) = noted(tmp_path, 1.0, adapted={"second"})
    assert note.startswith("None of")
    assert noted(tmp_path, 0.0, adapted=set()) == []
    for dtype in (torch.float32, torch.float16):
        assert noted(tmp_path, 0.0, dtype=dtype) == []


def test_a_large_matrix_is_judged_by_its_first_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And counts as the large matrix that it is."""
    monkeypatch.setattr("trainer.publish._SAMPLED_WEIGHTS", 40)
    large, small = torch.ones(100, 10).bfloat16(), torch.ones(100).bfloat16()
    before = save_matrices(tmp_path / "before", large=large, small=small)
    first_rows, later_rows = large.clone(), large.clone()
    first_rows[2:4] = 2  # of the first 4
    later_rows[4:] = 2
    changed = save_matrices(tmp_path / "first", large=first_rows, small=small)
    assert change_notes(before, changed) == []
    unseen = save_matrices(tmp_path / "later", large=later_rows, small=small)
    (note,) = change_notes(before, unseen)
    assert note.startswith("None of")
    both = save_matrices(tmp_path / "both", large=large, small=small * 2)
    (note,) = change_notes(before, both)
    assert note.startswith("9.1% of")  # 100 of 1,100


def test_weights_that_cannot_be_compared_are_left_out(tmp_path: Path) -> None:
    """A float32 policy stored in bfloat16 counts by its rounded weights; new weights do not."""
    exact = torch.linspace(1, 2, 100)
    before = save_matrices(tmp_path / "before", same=exact, other=torch.ones(3))
    after = save_matrices(
        tmp_path / "after",
        same=exact.bfloat16(),
        other=torch.zeros(4).bfloat16(),
        new=torch.ones(500).bfloat16(),
    )
    (note,) = change_notes(before, after)
    assert note.startswith("None of")


def test_a_policy_in_bfloat16_at_a_tiny_rate_is_a_note(dataset: Path, tmp_path: Path) -> None:
    narrow = save_policy(tmp_path / "narrow", dtype=torch.bfloat16)
    wide = save_policy(tmp_path / "wide")
    said = "of the trained weights differ"

    def notes(policy: Path, name: str, **changes: Any) -> list[str]:
        settings: dict[str, Any] = {"max_steps": 2, "warmup_ratio": 0.0, "evaluate": "no"}
        result = train(policy, dataset, tmp_path / name, **settings | changes)
        return [note for note in result.notes if said in note]

    assert len(notes(narrow, "tiny", learning_rate=1e-7)) == 1
    assert notes(narrow, "normal") == []
    assert notes(wide, "wide-tiny", learning_rate=1e-7) == []
    few = {"rank": 4, "alpha": 400, "target_modules": ["k_proj"]}  # 2 of 16 matrices, all changed
    assert notes(narrow, "adapter", lora=few) == []
    assert len(notes(narrow, "tiny-adapter", lora=few, learning_rate=1e-9)) == 1


def test_a_folder_in_several_files_is_published_whole(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    policy = save_policy(tmp_path / "policy")
    settings: dict[str, Any] = {"evaluate": "no", "save": "no", "lora": LORA}
    one = train(policy, dataset, tmp_path / "one", **settings).output
    monkeypatch.setattr("trainer.weights._LEAST_SHARD_BYTES", 8_000)
    many = train(policy, dataset, tmp_path / "many", **settings).output
    assert (many / INDEX).exists() and not (many / SINGLE).exists()
    expected, found = (
        AutoModelForCausalLM.from_pretrained(folder).state_dict() for folder in (one, many)
    )
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    again = train(policy, dataset, tmp_path / "many", **settings)
    assert "finished" in again.notes[0]
    # It is a policy, too: its files are read by their index.
    next_one = train(many, dataset, tmp_path / "next", max_steps=1, evaluate="no")
    assert next_one.counts["steps"] == 1
