"""Adapters: the reference is the model without one, and what is saved is what commands load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import train_support
from tiny_models import byte_level_tokenizer, save_model_folder, tiny_llama, write_dataset
from train_support import weights_of

from schemas.errors import ConfigError, InputError
from trainer.config import TrainConfig
from trainer.lora import add_adapter, has_adapter, load_adapter, merge_adapter, without_adapter
from trainer.run import run_train

SETTINGS: dict[str, Any] = train_support.SETTINGS | {"lora": {"rank": 4, "alpha": 8}}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model_folder(tmp_path_factory.mktemp("policy") / "model")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


def parse(policy: Path, **changes: Any) -> TrainConfig:
    return TrainConfig.parse({"model": str(policy)} | SETTINGS | changes, where="test")


def train(policy: Path, dataset: Path, output: Path, **changes: Any) -> Any:
    return run_train(parse(policy, **changes), dataset=dataset, output=output)


def adapted(seed: int = 1, **changes: Any) -> Any:
    model = tiny_llama(40, seed=3)
    settings = parse(Path("m"), lora={"rank": 4, "alpha": 8} | changes).lora
    assert settings is not None
    add_adapter(model, settings, seed=seed)
    return model


def logits_of(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(input_ids=torch.arange(12).unsqueeze(0)).logits


def disturb(model: Any) -> None:
    """Weights as after training: the second matrices are no longer zero."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(len(name)))


def test_only_the_adapter_trains_and_without_it_the_model_is_the_reference() -> None:
    import torch

    model = adapted()
    trained = [name for name, part in model.named_parameters() if part.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    assert not any("lm_head" in name for name in trained)
    assert len(trained) == 2 * 7 * 2  # two matrices, seven linear layers, two blocks
    plain = logits_of(tiny_llama(40, seed=3))
    assert torch.equal(logits_of(model), plain)  # a fresh adapter changes nothing
    disturb(model)
    assert not torch.allclose(logits_of(model), plain, atol=1e-3)
    with without_adapter(model):
        assert torch.equal(logits_of(model), plain)
    changed = logits_of(model)
    assert not torch.allclose(changed, plain, atol=1e-3)

    merge_adapter(model)
    assert not has_adapter(model)
    assert torch.allclose(logits_of(model), changed, atol=1e-5)
    assert set(model.state_dict()) == set(tiny_llama(40).state_dict())
    with pytest.raises(ValueError, match="no adapter"), without_adapter(model):
        pass


def test_the_seed_draws_the_adapter_and_nothing_else_is_drawn() -> None:
    import torch

    def drawn(seed: int) -> list[Any]:
        return [part.clone() for name, part in adapted(seed).named_parameters() if "lora_A" in name]

    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    model = tiny_llama(40, seed=3)
    state = torch.random.get_rng_state()
    settings = parse(Path("m")).lora
    assert settings is not None
    add_adapter(model, settings, seed=5)
    assert torch.equal(torch.random.get_rng_state(), state) and not torch.equal(state, before)
    first, again, other = drawn(1), drawn(1), drawn(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["q_prog"], "does not fit this model"),
        (["q_proj", "lm_head"], "names the LM head"),
        (["embed_tokens"], "names the embedding"),
    ],
)
def test_layers_that_cannot_be_adapted_are_refused(targets: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        adapted(target_modules=targets)
    assert len(str(caught.value).splitlines()) == 1


def test_a_broken_or_foreign_adapter_is_not_loaded(tmp_path: Path) -> None:
    import torch

    model = adapted()
    disturb(model)
    model.save_pretrained(tmp_path / "saved")
    fresh = adapted(seed=9)
    load_adapter(fresh, tmp_path / "saved")
    assert torch.equal(logits_of(fresh), logits_of(model))
    with pytest.raises(InputError, match="another adapter"):
        load_adapter(adapted(target_modules=["q_proj"]), tmp_path / "saved")
    (tmp_path / "saved" / "adapter_model.safetensors").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="cannot be read"):
        load_adapter(adapted(), tmp_path / "saved")


def test_the_merged_model_is_whole_and_the_adapter_alone_gives_the_same(
    policy: Path, dataset: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    merged = train(policy, dataset, tmp_path / "merged").output
    names = {path.name for path in merged.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    assert not [name for name in names if "adapter" in name or name.startswith(".saving")]
    whole = AutoModelForCausalLM.from_pretrained(merged).eval()

    settings = SETTINGS["lora"] | {"merge": False}
    alone = train(policy, dataset, tmp_path / "alone", lora=settings).output
    names = {path.name for path in alone.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"} <= names
    assert not {"model.safetensors", "config.json"} & names
    written = json.loads((alone / "adapter_config.json").read_text(encoding="utf-8"))
    assert written["base_model_name_or_path"] == str(policy)  # as the setting names it

    base = AutoModelForCausalLM.from_pretrained(policy)
    added = PeftModel.from_pretrained(base, str(alone)).eval()
    ids = torch.arange(30).unsqueeze(0)
    with torch.no_grad():
        expected, found = whole(input_ids=ids).logits, added(input_ids=ids).logits
        untouched = AutoModelForCausalLM.from_pretrained(policy).eval()(input_ids=ids).logits
    assert torch.allclose(expected, found, atol=1e-4)
    assert not torch.allclose(untouched, found, atol=1e-2)

    log = (merged / "training_log.jsonl").read_text(encoding="utf-8").splitlines()
    margins = [row["rewards/margins"] for row in map(json.loads, log) if "loss" in row]
    assert margins[0] == pytest.approx(0.0, abs=1e-5) and margins[-1] > 0.02

    again = train(policy, dataset, tmp_path / "alone", lora=settings)
    assert "finished" in again.notes[0]  # an adapter is a model, too
    with pytest.raises(ConfigError, match="lora"):
        train(policy, dataset, tmp_path / "alone", lora={"rank": 2})
    fresh = train(policy, dataset, tmp_path / "alone", resume=False, max_steps=1)
    assert not (fresh.output / "adapter_model.safetensors").exists()  # its own files, so deleted
    with pytest.raises(InputError, match="holds only an adapter"):
        (fresh.output / "adapter_config.json").write_text("{}", encoding="utf-8")
        train(fresh.output, dataset, tmp_path / "next")


def test_sampling_and_reading_take_the_merged_model(
    policy: Path, dataset: Path, tmp_path: Path
) -> None:
    import torch

    from annotator.models.local.model_files import locate_model
    from annotator.models.local.model_loading import load_network

    merged = train(policy, dataset, tmp_path / "merged", max_steps=1).output
    network = load_network(locate_model(str(merged), None), "float32", torch.device("cpu"))
    assert len(byte_level_tokenizer()) == network.get_input_embeddings().num_embeddings


def test_gradient_checkpointing_reaches_the_adapter(
    policy: Path, dataset: Path, tmp_path: Path
) -> None:
    """Frozen inputs need no gradient, which used to cut adapters off when recomputing."""
    plain = train(policy, dataset, tmp_path / "plain", evaluate="no").output
    again = train(
        policy, dataset, tmp_path / "again", evaluate="no", gradient_checkpointing=True
    ).output
    from safetensors.torch import load_file

    expected, found = (load_file(folder / "model.safetensors") for folder in (plain, again))
    import torch

    assert all(torch.allclose(expected[name], found[name], atol=1e-5) for name in expected)
    base = load_file(policy / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.allclose(base[name], found[name], atol=1e-4)


@pytest.mark.slow
def test_a_killed_run_with_an_adapter_continues_to_the_same_weights(
    policy: Path, dataset: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"epochs": 8, "evaluate": "no", "save": "steps", "save_steps": 5}
    whole = train(policy, dataset, tmp_path / "whole", **changes)
    settings = {"model": str(policy)} | SETTINGS | changes
    code = (
        "import sys, json, pathlib, time\n"
        "import trainer.callbacks as m\n"
        "m.LogFile.on_step_begin = lambda self, *a, **k: time.sleep(0.05)\n"
        "from trainer.config import TrainConfig\n"
        "from trainer.run import run_train\n"
        "run_train(TrainConfig.parse(json.loads(sys.argv[1]), where='test'),"
        " dataset=pathlib.Path(sys.argv[2]), output=pathlib.Path(sys.argv[3]))\n"
    )
    output = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(settings), str(dataset), str(output)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    checkpoint = output / "checkpoints" / "checkpoint-10"
    deadline = time.monotonic() + 300
    while not (checkpoint / "trainer_state.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (output / "model.safetensors").exists()
    names = {path.name for path in checkpoint.iterdir()}
    assert "adapter_model.safetensors" in names and "model.safetensors" not in names
    train(policy, dataset, output, **changes)
    assert weights_of(output) == weights_of(whole.output)


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED"])
def test_an_adapter_is_refused_where_weights_are_spread(
    name: str, policy: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    with pytest.raises(ConfigError, match=r"train\.lora does not work with .*torchrun"):
        train(policy, dataset, tmp_path / "model")
    assert not (tmp_path / "model").exists()
