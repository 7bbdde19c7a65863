"""Runs that end early: by a signal, a loss that is no number, a full disk, a forged checkpoint."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tiny_models import (
    byte_level_tokenizer,
    make_pair_values,
    save_model_folder,
    tiny_llama,
    write_dataset,
)
from train_support import (
    checkpoints_of,
    curve_of,
    log_of,
    start_verb,
    train,
    weights_of,
)

from schemas.errors import BackendError, InputError
from trainer.callbacks import LogFile
from trainer.failures import NonFiniteLossError, StoppedError, StopSignals


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model_folder(tmp_path_factory.mktemp("policy") / "model")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow past `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def at_step(monkeypatch: pytest.MonkeyPatch, step: int | None, action: Any) -> None:
    """Do something real at the beginning of a step (None: of every one)."""

    def on_step_begin(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        if step is None or state.global_step + 1 == step:
            action()

    monkeypatch.setattr(LogFile, "on_step_begin", on_step_begin, raising=False)


def send(name: signal.Signals) -> Any:
    return lambda: os.kill(os.getpid(), name)


# Signals


def test_signals_raise_outside_of_training_and_are_a_wish_inside() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    for name in (signal.SIGTERM, signal.SIGINT):
        told = f"stopped by {name.name} .*rerun"
        with pytest.raises(StoppedError, match=told) as caught, StopSignals():
            os.kill(os.getpid(), name)
        assert caught.value.exit_code == 3
    with StopSignals() as signals, signals.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.asked == "SIGTERM"
        os.kill(os.getpid(), signal.SIGTERM)  # said twice, still a wish
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("SIGTERM", {"evaluate": "epoch", "save": "no"}),
        ("SIGINT", {"evaluate": "steps", "eval_steps": 2, "save": "steps", "save_steps": 3}),
        ("SIGTERM", {"evaluate": "epoch", "gradient_accumulation": 2, "lora": {"rank": 2}}),
    ],
)
def test_a_run_stopped_at_every_step_ends_as_if_it_never_was(  # noqa: PLR0917
    policy: Path,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    changes: dict[str, Any],
) -> None:
    whole = train(policy, dataset, tmp_path / "whole", **changes)
    at_step(monkeypatch, None, send(signal.Signals[name]))
    output, stops = tmp_path / "stopped", []
    result = None
    while result is None:
        try:
            result = train(policy, dataset, output, **changes)
        except StoppedError as error:
            stops.append(str(error))
            assert checkpoints_of(output) == [f"checkpoint-{len(stops)}"]
            assert not (output / "config.json").exists()
    assert len(stops) == whole.counts["steps"] - 1  # after the last step there is nothing to save
    assert f"after step 1 of {whole.counts['steps']}" in stops[0]
    assert str(output / "checkpoints" / "checkpoint-1") in stops[0]
    assert weights_of(output) == weights_of(whole.output)
    assert curve_of(output) == curve_of(whole.output)
    assert result.counts["steps"] == whole.counts["steps"]


@pytest.mark.slow
def test_a_stopped_process_exits_with_3_and_a_rerun_ends_with_the_same_bytes(
    policy: Path, dataset: Path, tmp_path: Path
) -> None:
    whole = train(policy, dataset, tmp_path / "whole", save="no", epochs=8)
    output = tmp_path / "stopped"
    process = start_verb(policy, dataset, output, pause=0.1, save="no", epochs=8)
    log, deadline = output / "training_log.jsonl", time.monotonic() + 300
    while not (log.exists() and log.read_text(encoding="utf-8").count("\n") >= 3):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 3, said
    (line,) = [line for line in said.splitlines() if "error:" in line]
    assert "stopped by SIGTERM after step" in line and "the same command continues" in line
    assert len(checkpoints_of(output)) == 1 and not (output / "config.json").exists()
    train(policy, dataset, output, save="no", epochs=8)
    for file in ("model.safetensors", "config.json", "tokenizer.json"):
        assert weights_of(output, file) == weights_of(whole.output, file)
    assert curve_of(output) == curve_of(whole.output)


@pytest.mark.slow
def test_processes_agree_to_stop_after_the_same_step(tmp_path: Path) -> None:
    """Only one of two is asked; both must save, since a sharded model takes all of them."""
    code = (
        "import sys\n"
        "from types import SimpleNamespace as Values\n"
        "import torch.distributed as dist\n"
        "from trainer.callbacks import StopBetweenSteps\n"
        "from trainer.failures import StopSignals\n"
        "rank = int(sys.argv[1])\n"
        "dist.init_process_group('gloo', init_method='file://' + sys.argv[2], rank=rank,"
        " world_size=2)\n"
        "signals = StopSignals()\n"
        "stop = StopBetweenSteps(signals)\n"
        "for step in range(1, 4):\n"
        "    if rank == 1 and step == 2:\n"
        "        signals.asked = 'SIGTERM'\n"
        "    state = Values(global_step=step, max_steps=9, epoch=step / 10)\n"
        "    control = Values(should_training_stop=False, should_save=False, should_log=False)\n"
        "    stop.on_step_end(Values(device='cpu'), state, control)\n"
        "    print(control.should_save)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank), str(tmp_path / "meet")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=300)[0].split() for process in processes]
    assert said == [["False", "True", "True"]] * 2


# A loss that is no number


def test_a_bad_loss_leaves_the_state_before_its_step(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    tokenizer = byte_level_tokenizer()
    model = tiny_llama(len(tokenizer))
    (token,) = tokenizer("Z", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        model.model.embed_tokens.weight[token] = float("nan")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    rows = [make_pair_values(index) for index in range(8)]
    rows[5]["prompt"] = [{"role": "user", "content": "Z?"}]
    dataset = tmp_path / "pairs.jsonl"
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    changes = {"lr_scheduler": "constant", "warmup_ratio": 0.0, "batch_size": 1, "epochs": 1}
    changes |= {"gradient_accumulation": 2, "save": "no", "seed": 3}

    output = tmp_path / "out"
    with pytest.raises(NonFiniteLossError) as caught:
        train(tmp_path / "model", dataset, output, **changes)
    assert caught.value.ids == ["pair-5"] and caught.value.exit_code == 3
    (name,) = checkpoints_of(output)
    saved = output / "checkpoints" / name
    assert "'pair-5'" in str(caught.value) and str(saved) in str(caught.value)
    step = int(name.split("-")[1])
    assert step >= 1 and log_of(output)[-1]["step"] == step

    # The same steps without the bad one: same weights, same optimiser. (Its last save fails,
    # because the embedding is no number; that is after the checkpoint.)
    with pytest.raises(BackendError, match="weights are not finite"):
        clean = tmp_path / "clean"
        train(tmp_path / "model", dataset, clean, **changes | {"save": "steps", "max_steps": step})
    other = clean / "checkpoints" / name
    expected, found = (load_file(folder / "model.safetensors") for folder in (other, saved))
    assert all(torch.equal(expected[key].nan_to_num(), found[key].nan_to_num()) for key in expected)
    states = [torch.load(folder / "optimizer.pt")["state"] for folder in (other, saved)]
    assert states[0] and all(
        torch.equal(states[0][index][key].nan_to_num(), states[1][index][key].nan_to_num())
        for index in states[0]
        for key in states[0][index]
    )

    made = (saved / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(NonFiniteLossError, match="pair-5"):
        train(tmp_path / "model", dataset, output, **changes)
    assert (saved / "model.safetensors").stat().st_mtime_ns == made  # never written over


def test_an_evaluation_that_failed_is_made_up_for(policy: Path, tmp_path: Path) -> None:
    """A rerun must not pass over the evaluation that stopped the run."""
    import torch

    tokenizer = byte_level_tokenizer()
    model = tiny_llama(len(tokenizer))
    (token,) = tokenizer("Z", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        model.model.embed_tokens.weight[token] = float("nan")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    dataset = write_dataset(tmp_path / "dataset")
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = make_pair_values(9) | {"prompt": [{"role": "user", "content": "Z?"}]}
    (path,) = (dataset / "pairs").glob("test-*")
    pq.write_table(pa.Table.from_pylist([row]), path)
    for _ in range(2):
        with pytest.raises(NonFiniteLossError, match="'pair-9'"):
            train(tmp_path / "model", dataset, tmp_path / "out")
        assert checkpoints_of(tmp_path / "out") == ["checkpoint-3"]


# A full disk


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_a_checkpoint_that_finds_no_room_leaves_the_one_before(
    policy: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lora: Any
) -> None:
    changes: dict[str, Any] = {"save": "steps", "save_steps": 2, "lora": lora}
    whole = train(policy, dataset, tmp_path / "whole", **changes)
    output = tmp_path / "full"
    # Small enough for the smaller of the two files of weights, large enough for the log.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = (6_000, before[1])
    at_step(monkeypatch, 4, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    try:
        with pytest.raises(
            BackendError, match=r"the disk is full.*while writing a checkpoint.*\(about"
        ) as full:
            train(policy, dataset, output, **changes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(output) in str(full.value) and "the same command continues" in str(full.value)
    assert len(str(full.value).splitlines()) == 1
    assert checkpoints_of(output) == ["checkpoint-2"]  # what was cut off is gone
    monkeypatch.undo()
    train(policy, dataset, output, **changes)
    assert weights_of(output) == weights_of(whole.output)


def test_a_model_that_finds_no_room_is_not_there(
    policy: Path, dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    train(policy, dataset, output, save="no", keep_checkpoints=True)
    whole = weights_of(output)
    shutil.rmtree(output)
    with (
        largest_file(50_000),  # the log and the tokenizer fit, the weights do not
        pytest.raises(BackendError, match="while writing the trained model"),
    ):
        train(policy, dataset, output, save="no")
    assert not list(output.glob("*.safetensors")) and not (output / "config.json").exists()
    assert not (output / ".saving").exists()
    train(policy, dataset, output, save="no")
    assert weights_of(output) == whole


def test_a_reference_that_finds_no_room_is_one_sentence(policy: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset", num_train=60)
    with (
        largest_file(8_000),
        pytest.raises(BackendError, match="while storing log-probabilities of the reference"),
    ):
        train(policy, dataset, tmp_path / "out")
    assert not [path for path in (tmp_path / "reference").rglob("*") if path.is_file()]
    assert train(policy, dataset, tmp_path / "out", max_steps=1).counts["reference_computed"] == 124

    tight = largest_file(200)  # not even the run's own notes
    with tight, pytest.raises(BackendError, match="while writing the files of the run"):
        train(policy, dataset, tmp_path / "other")


@pytest.mark.slow
def test_a_small_file_system_fills_and_is_made_larger(
    policy: Path, dataset: Path, tmp_path: Path
) -> None:
    """A real one, in a name space of the process: two checkpoints do not fit."""
    mount = tmp_path / "mount"
    mount.mkdir()
    if subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "small", str(mount)],
        check=False,
        capture_output=True,
    ).returncode:
        pytest.skip("this machine lets no process mount a file system of its own")
    whole = train(policy, dataset, tmp_path / "whole", save="steps", save_steps=1)
    code = (
        "import sys, subprocess, pathlib\n"
        "sys.path.insert(0, 'tests')\n"
        "from train_support import train, weights_of, checkpoints_of\n"
        "from schemas.errors import BackendError\n"
        "model, data, mount, result = map(pathlib.Path, sys.argv[1:])\n"
        "again = lambda: train(model, data, mount / 'out', save='steps', save_steps=1)\n"
        "try:\n"
        "    again()\n"
        "except BackendError as error:\n"
        "    print(error)\n"
        "    print(checkpoints_of(mount / 'out'))\n"
        "subprocess.run(['mount', '-o', 'remount,size=20m', str(mount)], check=True)\n"
        "again()\n"
        "result.write_bytes(weights_of(mount / 'out'))\n"
    )
    arguments = [sys.executable, "-c", code]
    arguments += [str(policy), str(dataset), str(mount), str(tmp_path / "result")]
    shell = 'mount -t tmpfs -o size=$0 small "$1" && shift && exec "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", shell, "400k", str(mount), *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the disk is full" in done.stdout and "['checkpoint-1']" in done.stdout
    assert (tmp_path / "result").read_bytes() == weights_of(whole.output)


# A forged checkpoint


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_runs_nothing(
    policy: Path,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    zipped: bool,
) -> None:
    import torch

    output, marker = tmp_path / "out", tmp_path / "marker"
    at_step(monkeypatch, 2, send(signal.SIGTERM))
    with pytest.raises(StoppedError):
        train(policy, dataset, output)
    monkeypatch.undo()
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        path = output / "checkpoints" / "checkpoint-2" / name
        before = path.read_bytes()
        if zipped:
            torch.save(Payload(marker), path)
        else:
            path.write_bytes(pickle.dumps(Payload(marker)))
        with pytest.raises(InputError, match=r"checkpoint-2: was not written by.*resume=false"):
            train(policy, dataset, output)
        assert not marker.exists()
        path.write_bytes(before)
    train(policy, dataset, output)
    pickle.loads(pickle.dumps(Payload(marker)))
    assert marker.exists()  # the payload would have worked
