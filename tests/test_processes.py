"""Two processes with gloo: they train what one trains on the same global batch, and end as one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_models import save_model_folder, write_dataset
from train_support import train, weights_of

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent
TOLERANCE = 1e-5


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-addr", "127.0.0.1", "--master-port", "0", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "127.0.0.1:0", *arguments]
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    return subprocess.Popen(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    process = start(*arguments, **environment)
    stdout, stderr = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


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
    # In bfloat16 a policy must be its reference before the first step, sharded or not.
    assert found["rounding"]["ours"] == 0.0
    assert found["rounding"]["accelerate's"] > 1e-4


@pytest.mark.parametrize("version", [1, 2])
def test_accelerate_is_told_to_round_nothing(version: int) -> None:
    from types import SimpleNamespace

    from accelerate import FullyShardedDataParallelPlugin

    from trainer.processes import keep_full_precision

    plugin = FullyShardedDataParallelPlugin(fsdp_version=version)
    plugin.set_mixed_precision("bf16", override=True)
    assert plugin.mixed_precision_policy.param_dtype is not None
    keep_full_precision(SimpleNamespace(state=SimpleNamespace(fsdp_plugin=plugin)))
    policy = plugin.mixed_precision_policy
    assert policy is None or (policy.param_dtype, policy.output_dtype) == (None, None)
    assert policy is None or not policy.cast_forward_inputs
    keep_full_precision(SimpleNamespace(state=SimpleNamespace()))  # nothing sharded


SLOW_VERB = """
import sys, time

import trainer.callbacks as callbacks

callbacks.LogFile.on_step_begin = lambda self, *a, **k: time.sleep(0.3)

from maskdpo.cli.main import main

main()
"""


def test_a_signal_to_the_launcher_stops_all_and_a_rerun_ends_as_if_there_had_been_none(
    tmp_path: Path,
) -> None:
    model = save_model_folder(tmp_path / "policy")
    dataset = write_dataset(tmp_path / "dataset", num_train=7, num_test=2)
    whole, output = tmp_path / "whole", tmp_path / "stopped"
    done = launch("-m", "maskdpo", *settings(model, dataset, whole, batch_size=1))
    assert done.returncode == 0, done.stderr[-3000:]

    slow = tmp_path / "slow.py"
    slow.write_text(SLOW_VERB, encoding="utf-8")
    running = start(str(slow), *settings(model, dataset, output, batch_size=1))
    log = output / "training_log.jsonl"
    until = time.monotonic() + 120
    # Into the second epoch, whose order is another than the first one's.
    while not (log.exists() and len(lines_of(output, "loss")) > 5) and time.monotonic() < until:
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    _, told = running.communicate(timeout=120)
    assert running.returncode != 0
    assert told.count("error: stopped by") == 1, told[-3000:]
    assert "the same command continues" in told
    checkpoints = list((output / "checkpoints").glob("checkpoint-*/trainer_state.json"))
    assert len(checkpoints) == 1

    done = launch("-m", "maskdpo", *settings(model, dataset, output, batch_size=1))
    assert done.returncode == 0, done.stderr[-3000:]
    assert lines_of(output, "loss") == lines_of(whole, "loss")
    assert weights_of(output) == weights_of(whole)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_an_error_is_told_once_and_names_the_pairs_of_all_processes(
    batch_size: int, tmp_path: Path
) -> None:
    model = save_model_folder(tmp_path / "policy")
    dataset = write_dataset(tmp_path / "dataset", num_train=4)
    changes = {"batch_size": batch_size, "learning_rate": 1e40, "evaluate": "no", "save": "no"}
    done = launch("-m", "maskdpo", *settings(model, dataset, tmp_path / "model", **changes))
    assert done.returncode != 0
    assert done.stderr.count("is not finite, so training stopped") == 1, done.stderr[-3000:]
    sentence = next(line for line in done.stderr.splitlines() if "is not finite" in line)
    assert sentence.startswith("error: the loss of ") and "there is no checkpoint" in sentence
    assert sentence.count("'pair-") == 2 * batch_size
    assert len(set(re.findall("'pair-[0-9]'", sentence))) == 2 * batch_size
    assert "Traceback" not in done.stderr.split("torch/distributed")[0]


def test_two_processes_go_on_with_what_one_began_in_steps_of_as_many_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As four GPUs go on with what eight began: the split of a step's pairs is rounding alone."""
    from safetensors.torch import load_file

    from trainer.callbacks import LogFile

    class Killed(BaseException):
        pass

    def die(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 3:
            raise Killed

    model = save_model_folder(tmp_path / "policy")
    dataset = write_dataset(tmp_path / "dataset", num_train=7, num_test=2)
    common: dict[str, Any] = {"save": "steps", "save_steps": 1, "learning_rate": 1e-3, "epochs": 3}
    whole = train(model, dataset, tmp_path / "whole", batch_size=4, **common).output
    output = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "on_step_begin", die, raising=False)
        with pytest.raises(Killed):
            train(model, dataset, output, batch_size=4, **common)
    # Larger steps are another run, and are refused before anything is touched.
    done = launch("-m", "maskdpo", *settings(model, dataset, output, batch_size=4, **common))
    assert done.returncode != 0
    assert done.stderr.count("pairs_per_step 4 is now 8") == 1, done.stderr[-3000:]

    split = common | {"batch_size": 1, "gradient_accumulation": 2}
    done = launch("-m", "maskdpo", *settings(model, dataset, output, **split))
    assert done.returncode == 0, done.stderr[-3000:]
    for kind in ("loss", "eval_loss", "rewards/margins"):
        assert lines_of(output, kind) == pytest.approx(lines_of(whole, kind), abs=TOLERANCE), kind
    left, right = (load_file(folder / "model.safetensors") for folder in (whole, output))
    for name, value in left.items():
        assert float((value - right[name]).abs().max()) < 10 * TOLERANCE, name
