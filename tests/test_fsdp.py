"""The whole command under FSDP2, two processes on CPUs: trained, resumed, published as by one.

`tests/fsdp_main.py` starts it. Checkpoints are sharded, as in the recipe fsdp2 for accelerate.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_processes import TESTS, TOLERANCE, launch, lines_of, settings
from tiny_models import byte_level_tokenizer, save_model_folder, tiny_llama, write_dataset
from train_support import checkpoints_of, weights_of

pytestmark = pytest.mark.slow

# What transformers and torch say of things that are in order here.
FALSE_WARNINGS = ("wrong gradients", "Warning:", "Traceback", "newly initialized")


def shard(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return launch(str(TESTS / "fsdp_main.py"), *arguments, **environment)


def run_alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "maskdpo", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def save_tied(folder: Path) -> Path:
    """A bfloat16 policy whose LM head is its embedding, as Llama 3.2 and Qwen 2.5 0.5B are."""
    import torch

    tokenizer = byte_level_tokenizer()
    model = tiny_llama(len(tokenizer))
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def counts_of(output: Path) -> dict[str, Any]:
    values = json.loads((output / "training.json").read_text(encoding="utf-8"))
    counts: dict[str, Any] = values["counts"]
    return counts


def test_sharded_it_trains_what_one_process_trains_and_stops_early_alike(tmp_path: Path) -> None:
    """Seven pairs in batches of four, an evaluation after the last checkpoint of an epoch."""
    from safetensors.torch import load_file

    model = save_model_folder(tmp_path / "policy")
    dataset = write_dataset(tmp_path / "dataset", num_train=7, num_test=3)
    one, two = tmp_path / "one", tmp_path / "two"
    common: dict[str, Any] = {
        "epochs": 2,
        "early_stopping_patience": 2,
        "save": "steps",
        "save_steps": 1,
        "gradient_checkpointing": "true",
    }
    alone = run_alone(*settings(model, dataset, one, batch_size=4, **common))
    assert alone.returncode == 0, alone.stderr[-3000:]
    done = shard(*settings(model, dataset, two, batch_size=2, **common))
    assert done.returncode == 0, done.stderr[-3000:]
    assert not [text for text in FALSE_WARNINGS if text in done.stderr], done.stderr[-3000:]
    assert done.stdout.count("wrote ") == 1
    for kind in ("loss", "eval_loss", "grad_norm", "rewards/margins", "kl"):
        assert lines_of(two, kind) == pytest.approx(lines_of(one, kind), abs=TOLERANCE), kind
    assert counts_of(two)["best_step"] == counts_of(one)["best_step"] == 4
    left, right = (load_file(folder / "model.safetensors") for folder in (one, two))
    assert left.keys() == right.keys()
    start = load_file(model / "model.safetensors")
    for name, value in left.items():
        assert float((value - right[name]).abs().max()) < 10 * TOLERANCE, name
        assert float((value - start[name]).abs().max()) > 100 * TOLERANCE, name


def test_killed_and_resumed_it_publishes_the_same_model_as_its_config_says(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    model = save_tied(tmp_path / "policy")
    dataset = write_dataset(tmp_path / "dataset", num_train=7, num_test=2)
    whole, killed, alone = (tmp_path / name for name in ("whole", "killed", "alone"))
    common: dict[str, Any] = {"save": "steps", "save_steps": 1, "batch_size": 1, "epochs": 2}
    done = shard(*settings(model, dataset, whole, **common))
    assert done.returncode == 0, done.stderr[-3000:]

    died = shard(*settings(model, dataset, killed, **common), DIE_BEFORE_STEP="6")
    assert died.returncode != 0
    assert checkpoints_of(killed) == ["checkpoint-5"]
    (shards,) = (killed / "checkpoints" / "checkpoint-5").glob("pytorch_model_fsdp*")
    assert shards.is_dir() and len(list(shards.glob("*.distcp"))) == 2
    refused = run_alone(*settings(model, dataset, killed, **common | {"batch_size": 2}))
    assert refused.returncode == 2 and "was written with FSDP" in refused.stderr
    done = shard(*settings(model, dataset, killed, **common))
    assert done.returncode == 0, done.stderr[-3000:]
    assert lines_of(killed, "loss") == lines_of(whole, "loss")
    assert weights_of(killed) == weights_of(whole)

    done = run_alone(*settings(model, dataset, alone, **common | {"batch_size": 2}))
    assert done.returncode == 0, done.stderr[-3000:]
    expected, found = (load_file(folder / "model.safetensors") for folder in (alone, whole))
    assert expected.keys() == found.keys() and "lm_head.weight" not in found
    for name, value in expected.items():
        # One unit in the last place: float32 sums in another order may round otherwise.
        assert torch.allclose(found[name].float(), value.float(), rtol=2**-7, atol=1e-6), name
    for folder in (alone, whole):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        dtypes = {value.dtype for value in load_file(folder / "model.safetensors").values()}
        assert config["dtype"] == "bfloat16" and dtypes == {torch.bfloat16}
        assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.bfloat16
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (alone, whole)]
    assert abs(sizes[0] - sizes[1]) < 200  # the header may order its names otherwise


def test_an_adapter_is_refused_with_the_reason(tmp_path: Path) -> None:
    model = save_model_folder(tmp_path / "policy")
    dataset = write_dataset(tmp_path / "dataset", num_train=2)
    done = shard(*settings(model, dataset, tmp_path / "out", lora="{}"))
    assert done.returncode != 0
    assert done.stderr.count("train.lora does not work with FSDP") == 1, done.stderr[-3000:]
    assert not (tmp_path / "out").exists()
