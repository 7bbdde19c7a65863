"""Two processes with gloo: the losses and weights of one process with the same global batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_models import save_model_folder, write_dataset

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent
TOLERANCE = 1e-5


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-addr", "127.0.0.1", "--master-port", "0", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "127.0.0.1:0", *arguments]
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    return subprocess.run(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def settings(model: Path, dataset: Path, output: Path, **changes: Any) -> list[str]:
    values = {
        "learning_rate": 1e-3,
        "epochs": 3,
        "logging_steps": 1,
        "device": "cpu",
        "progress": "false",
    } | changes
    arguments = ["train", "--dataset", str(dataset), "--model", str(model)]
    arguments += ["--output", str(output)]
    for name, value in values.items():
        arguments += ["--set", f"train.{name}={value}"]
    return arguments


def lines_of(folder: Path, kind: str) -> list[float]:
    text = (folder / "training_log.jsonl").read_text(encoding="utf-8")
    return [line[kind] for line in map(json.loads, text.splitlines()) if kind in line]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_two_processes_train_what_one_trains(accumulation: int, tmp_path: Path) -> None:
    """Seven pairs in batches of four: the last batch leaves a process with one pair or none."""
    from safetensors.torch import load_file

    model = save_model_folder(tmp_path / "policy")
    dataset = write_dataset(tmp_path / "dataset", num_train=7, num_test=3)
    one, two = tmp_path / "one", tmp_path / "two"
    share = {"gradient_accumulation": accumulation}
    alone = subprocess.run(
        [sys.executable, "-m", "maskdpo", *settings(model, dataset, one, batch_size=4, **share)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert alone.returncode == 0, alone.stderr[-2000:]
    both = launch("-m", "maskdpo", *settings(model, dataset, two, batch_size=2, **share))
    assert both.returncode == 0, both.stderr[-3000:]

    for kind in ("loss", "eval_loss", "rewards/margins", "active_share", "kl"):
        expected = lines_of(one, kind)
        assert lines_of(two, kind) == pytest.approx(expected, abs=TOLERANCE), kind
    assert len(lines_of(one, "loss")) == 3 * (2 if accumulation == 1 else 1)
    left, right = (load_file(folder / "model.safetensors") for folder in (one, two))
    for name, value in left.items():
        assert float((value - right[name]).abs().max()) < 10 * TOLERANCE, name
    assert both.stdout.count("wrote ") == alone.stdout.count("wrote ") == 1  # said once, not twice


def test_sharded_weights_give_the_same_losses_and_gradients(tmp_path: Path) -> None:
    from sharded_step import PAIRS
    from steps import compute_losses, refer
    from test_layouts import VOCABULARY
    from tiny_models import tiny_llama

    output = tmp_path / "found.json"
    done = launch(str(TESTS / "sharded_step.py"), str(output))
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(output.read_text(encoding="utf-8"))

    model = tiny_llama(VOCABULARY, seed=1)
    losses = compute_losses(model, refer(PAIRS, tiny_llama(VOCABULARY, seed=7)))
    losses.losses_B.mean().backward()
    for name in ("whole", "chunks"):
        assert found[name]["loss"] == pytest.approx(
            float(losses.losses_B.detach().mean()), abs=TOLERANCE
        )
        for key, parameter in model.named_parameters():
            expected = parameter.grad.flatten().tolist()
            assert found[name]["gradients"][key] == pytest.approx(expected, abs=TOLERANCE), key
