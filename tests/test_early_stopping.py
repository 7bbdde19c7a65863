"""Early stopping: it stops where patience ends, keeps the best weights, and survives a kill."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_models import make_pair_values, save_model_folder, write_dataset
from train_support import checkpoints_of, curve_of, train, weights_of

from schemas.errors import ConfigError, InputError
from trainer.callbacks import LogFile, best_evaluation
from trainer.checkpointing import CheckpointingTrainer
from trainer.config import TrainConfig, run_settings
from trainer.failures import StoppedError
from trainer.mask_dpo import MaskDpoTrainer

CHANGES: dict[str, Any] = {
    "early_stopping_patience": 2,
    "evaluate": "steps",
    "eval_steps": 2,
    "save": "epoch",
    "epochs": 10,
    "lr_scheduler": "constant",
    "warmup_ratio": 0.0,
}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model_folder(tmp_path_factory.mktemp("policy") / "model")


@pytest.fixture(scope="module")
def contrary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test pairs that prefer the other answer: the loss on them rises from the first step."""
    folder = write_dataset(tmp_path_factory.mktemp("data") / "dataset")
    (path,) = (folder / "pairs").glob("test-*")
    rows = []
    for index in range(2):
        row = make_pair_values(index)
        for chosen, rejected in (("chosen", "rejected"), ("chosen_spans", "rejected_spans")):
            row[chosen], row[rejected] = row[rejected], row[chosen]
        rows.append(row)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return folder


def losses_of(output: Path) -> list[float]:
    return [value for _, name, value in curve_of(output) if name == "eval_loss"]


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_it_stops_when_patience_ends_and_takes_the_best_weights(
    policy: Path, contrary: Path, tmp_path: Path, lora: Any
) -> None:
    changes = CHANGES | {"lora": lora}
    result = train(policy, contrary, tmp_path / "out", **changes)
    losses = losses_of(result.output)
    assert len(losses) == 3 and losses == sorted(losses)
    assert result.counts["steps"] == 6 and result.counts["best_step"] == 2
    assert any("stopped after step 6" in note and "step 2" in note for note in result.notes)
    two = train(
        policy, contrary, tmp_path / "two", **changes | {"early_stopping_patience": None},
        max_steps=2,
    )  # fmt: skip
    assert weights_of(result.output) == weights_of(two.output)


def test_it_does_not_stop_while_the_loss_falls(policy: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    result = train(policy, dataset, tmp_path / "out", **CHANGES | {"epochs": 3})
    losses = losses_of(result.output)
    assert losses == sorted(losses, reverse=True) and result.counts["steps"] == 9
    assert result.counts["best_step"] == 9
    assert not any("stopped after" in note for note in result.notes)


def test_a_run_stopped_at_every_step_has_the_same_patience(
    policy: Path, contrary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(policy, contrary, tmp_path / "whole", **CHANGES)

    def on_step_begin(self: Any, *_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(LogFile, "on_step_begin", on_step_begin, raising=False)
    result = None
    stops = 0
    while result is None:
        try:
            result = train(policy, contrary, tmp_path / "stopped", **CHANGES)
        except StoppedError:
            stops += 1
            assert "checkpoint-2" in checkpoints_of(tmp_path / "stopped") or stops < 2
    assert stops == 5
    assert curve_of(result.output) == curve_of(whole.output)
    assert weights_of(result.output) == weights_of(whole.output)


def test_a_run_killed_once_it_had_stopped_takes_no_further_step(
    policy: Path, contrary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(policy, contrary, tmp_path / "whole", **CHANGES)

    class Killed(BaseException):
        pass

    def die(self: Any) -> None:
        raise Killed

    monkeypatch.setattr(CheckpointingTrainer, "_load_best_model", die)
    with pytest.raises(Killed):
        train(policy, contrary, tmp_path / "killed", **CHANGES)
    monkeypatch.undo()
    assert checkpoints_of(tmp_path / "killed") == ["checkpoint-2", "checkpoint-6"]
    moved = tmp_path / "moved"
    (tmp_path / "killed").rename(moved)
    result = train(policy, contrary, moved, **CHANGES)
    assert curve_of(moved) == curve_of(whole.output)
    assert weights_of(moved) == weights_of(whole.output)
    assert result.counts["best_step"] == 2 and result.counts["steps"] == 6


class Killed(BaseException):
    """What SIGKILL is to a test: no handler, no clean-up."""


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, call: int) -> None:
    """Die in the `call`-th call of a method, before it does anything."""
    plain, calls = getattr(owner, name), iter(range(1, call + 1))

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if next(calls, None) == call:
            raise Killed
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, method)


# Where a run can die: within an evaluation, before and within a checkpoint, at its end.
PLACES = [
    (MaskDpoTrainer, "prediction_step", (1, 2)),
    (CheckpointingTrainer, "_save_checkpoint", (1, 3, 4, 5, 8)),
    (CheckpointingTrainer, "_save_rng_state", (1, 3, 6)),
    (CheckpointingTrainer, "_load_best_model", (1,)),
]


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_after_any_kill_the_same_step_is_published(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lora: Any
) -> None:
    """Checkpoints of single steps, an evaluation per epoch: a kill may fall between the two."""
    dataset = write_dataset(tmp_path / "dataset")
    settings = CHANGES | {
        "evaluate": "epoch",
        "save": "steps",
        "save_steps": 1,
        "epochs": 2,
        "lora": lora,
    }
    whole = train(policy, dataset, tmp_path / "whole", **settings)
    assert whole.counts["best_step"] == 6  # the second evaluation is the better one
    for owner, name, calls in PLACES:
        for call in calls:
            output = tmp_path / f"{name}-{call}"
            with monkeypatch.context() as patch:
                kill_at(patch, owner, name, call)
                with pytest.raises(Killed):
                    train(policy, dataset, output, **settings)
            result = train(policy, dataset, output, **settings)
            assert result.counts["best_step"] == 6, (name, call)
            assert curve_of(output) == curve_of(whole.output), (name, call)
            assert weights_of(output) == weights_of(whole.output), (name, call)


@pytest.mark.parametrize("stops_early", [False, True])
def test_a_run_that_ends_within_an_epoch_takes_no_step_more(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops_early: bool
) -> None:
    """Killed after its last step: in the evaluation there, or while the model is written."""
    dataset = write_dataset(tmp_path / "dataset")
    settings = CHANGES | {"evaluate": "epoch", "save": "steps", "save_steps": 1, "epochs": 1.4}
    if not stops_early:
        settings["early_stopping_patience"] = None
    whole = train(policy, dataset, tmp_path / "whole", **settings)
    assert whole.counts["steps"] == 5
    places = [(MaskDpoTrainer, "prediction_step", 2)]
    places += [(CheckpointingTrainer, "_load_best_model", 1)] if stops_early else []
    for owner, name, call in places:
        output = tmp_path / name
        with monkeypatch.context() as patch:
            kill_at(patch, owner, name, call)
            with pytest.raises(Killed):
                train(policy, dataset, output, **settings)
        result = train(policy, dataset, output, **settings)
        assert result.counts == whole.counts | {
            "reference_computed": 0,
            "reference_reused": whole.counts["reference_computed"]
            + whole.counts["reference_reused"],
        }
        assert curve_of(output) == curve_of(whole.output)
        assert weights_of(output) == weights_of(whole.output)


def test_the_best_evaluation_is_read_from_the_log() -> None:
    assert best_evaluation([]) is None
    assert best_evaluation([{"loss": 1.0, "step": 1}]) is None
    log = [
        {"eval_loss": 0.5, "step": 2},
        {"loss": 0.1, "step": 3},
        {"eval_loss": 0.4, "step": 4},
        {"eval_loss": 0.4, "step": 6},
        {"eval_loss": 0.45, "step": 8},
    ]
    assert best_evaluation(log) == (4, 0.4)  # the first of equal ones


def test_lost_best_weights_are_told(
    policy: Path, contrary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_step_begin(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(LogFile, "on_step_begin", on_step_begin, raising=False)
    with pytest.raises(StoppedError):
        train(policy, contrary, tmp_path / "out", **CHANGES)
    (tmp_path / "out" / "checkpoints" / "checkpoint-2" / "trainer_state.json").unlink()
    with pytest.raises(InputError, match=r"checkpoint-2: the weights of the best.*resume=false"):
        train(policy, contrary, tmp_path / "out", **CHANGES)


def test_it_needs_evaluations_checkpoints_and_test_pairs(policy: Path, tmp_path: Path) -> None:
    for name in ("evaluate", "save"):
        with pytest.raises(ConfigError, match=f"{name} must be 'epoch' or 'steps', not 'no'"):
            TrainConfig.parse({"model": "m"} | CHANGES | {name: "no"}, where="run.yaml: train")
    dataset = write_dataset(tmp_path / "dataset", num_test=0)
    with pytest.raises(ConfigError, match=r"early_stopping_patience needs a test split"):
        train(policy, dataset, tmp_path / "out", **CHANGES)


def test_what_chooses_the_weights_is_part_of_the_run(
    policy: Path, contrary: Path, tmp_path: Path
) -> None:
    def settings(**changes: Any) -> dict[str, Any]:
        return run_settings(TrainConfig.parse({"model": "m"} | changes, where="test"))

    assert settings() == settings(evaluate="steps", eval_steps=7)
    stopping = {"early_stopping_patience": 2}
    assert settings(**stopping) != settings(**stopping, evaluate="steps")
    train(policy, contrary, tmp_path / "out", **CHANGES)
    other = write_dataset(tmp_path / "dataset")
    with pytest.raises(ConfigError, match="the test pairs changed"):
        train(policy, other, tmp_path / "out", **CHANGES)
