"""What ends a run early costs as little as it can: nothing is deleted, lost or spoilt for it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_models import make_pair_values, save_model_folder, write_dataset
from train_support import checkpoints_of, log_of, train, weights_of

from schemas.errors import BackendError, ConfigError, InputError, MissingPackageError
from trainer.failures import NonFiniteLossError, StoppedError, explain_out_of_memory


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model_folder(tmp_path_factory.mktemp("policy") / "model")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture
def finished(policy: Path, dataset: Path, tmp_path: Path) -> Path:
    return train(policy, dataset, tmp_path / "model", epochs=1).output


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"lora": {"target_modules": ["no_such_layer"]}}, "does not fit this model"),
        (
            {"report_to": "mlflow"},
            "'mlflow', which is not installed; get it with: pip install mlflow",
        ),
        ({"device": "cuda"}, "torch finds no GPU"),
    ],
)
def test_a_setting_that_cannot_work_deletes_nothing_and_costs_no_pass(  # noqa: PLR0917
    policy: Path,
    dataset: Path,
    finished: Path,
    changes: dict[str, Any],
    error: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = weights_of(finished)
    cache = finished.parent / "fresh"
    with pytest.raises((ConfigError, MissingPackageError), match=error):
        train(policy, dataset, finished, resume=False, reference_dir=str(cache), **changes)
    assert weights_of(finished) == before
    assert not list(cache.rglob("*.arrow"))


def test_early_stopping_without_a_test_split_deletes_nothing(
    policy: Path, finished: Path, tmp_path: Path
) -> None:
    before = weights_of(finished)
    untested = write_dataset(tmp_path / "untested", num_test=0)
    with pytest.raises(ConfigError, match="needs a test split"):
        train(policy, untested, finished, resume=False, early_stopping_patience=1)
    assert weights_of(finished) == before


def test_a_signal_while_pairs_are_masked_ends_the_run(
    policy: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template that fails costs a pair its place; a signal in the middle of one must not."""
    from transformers import PreTrainedTokenizerBase

    apply = PreTrainedTokenizerBase.apply_chat_template

    def apply_after_a_signal(self: Any, *args: Any, **kwargs: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return apply(self, *args, **kwargs)

    monkeypatch.setattr(PreTrainedTokenizerBase, "apply_chat_template", apply_after_a_signal)
    with pytest.raises(StoppedError, match="stopped by SIGTERM before the first step"):
        train(policy, dataset, tmp_path / "model")


def test_one_id_in_both_splits_is_two_pairs(policy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    (folder / "pairs").mkdir(parents=True)
    (folder / "manifest.json").write_text(
        json.dumps({"format": "maskdpo.pairs", "version": "1.0"}), encoding="utf-8"
    )
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, index in (("train", 0), ("test", 1)):
        row = make_pair_values(index) | {"id": "0"}
        path = folder / "pairs" / f"{name}-00000-of-00001.parquet"
        pq.write_table(pa.Table.from_pylist([row]), path)
    result = train(policy, folder, tmp_path / "model")
    assert (result.counts["pairs"], result.counts["test_pairs"]) == (1, 1)
    assert result.counts["reference_computed"] == 4


def test_a_reference_beside_the_policy_is_computed_as_the_policy_is(
    policy: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bfloat16 too: before the first step they are the same model, to the last bit."""
    import torch

    import trainer.mask_dpo

    rounds = []
    score = trainer.mask_dpo.score_tokens

    def watch(*args: Any, **kwargs: Any) -> Any:
        rounds.append(torch.is_autocast_enabled("cpu"))
        return score(*args, **kwargs)

    monkeypatch.setattr(trainer.mask_dpo, "score_tokens", watch)
    train(policy, dataset, tmp_path / "model", precompute=False, dtype="bfloat16", max_steps=1)
    # Around the models, and not only in the forward that accelerate wraps: FSDP2's has none.
    assert len(rounds) >= 2 and all(rounds)
    (first,) = [line for line in log_of(tmp_path / "model") if "loss" in line]
    assert (first["rewards/chosen"], first["rewards/rejected"], first["kl"]) == (0.0, 0.0, 0.0)


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(
    policy: Path, dataset: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    output = tmp_path / "model"
    with pytest.raises(NonFiniteLossError, match=r"the gradient of 'pair-\d', 'pair-\d' is not"):
        train(policy, dataset, output, beta=1e38, precompute=False)
    assert checkpoints_of(output) == ["checkpoint-0"]
    kept = load_file(output / "checkpoints" / "checkpoint-0" / "model.safetensors")
    before = load_file(policy / "model.safetensors")
    assert all(bool((kept[name] == before[name]).all()) for name in kept)


def test_weights_that_are_no_numbers_replace_no_checkpoint(
    policy: Path, dataset: Path, tmp_path: Path
) -> None:
    steep = {"learning_rate": 1e40, "lr_scheduler": "linear", "warmup_ratio": 0.5}
    with pytest.raises(NonFiniteLossError, match=r"the loss of .* there is no checkpoint"):
        train(policy, dataset, tmp_path / "none", save="no", **steep)
    assert checkpoints_of(tmp_path / "none") == []
    # The first step of a warm-up has the rate 0: its checkpoint is sound, and stays.
    told = r"the weight update of .*checkpoint-1 is the newest checkpoint"
    with pytest.raises(NonFiniteLossError, match=told):
        train(policy, dataset, tmp_path / "one", save="steps", save_steps=1, **steep)
    assert checkpoints_of(tmp_path / "one") == ["checkpoint-1"]


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt"])
def test_a_damaged_checkpoint_is_told(
    policy: Path, dataset: Path, tmp_path: Path, name: str
) -> None:
    output = tmp_path / "model"
    train(policy, dataset, output, keep_checkpoints=True)
    (checkpoint,) = (output / "checkpoints").glob("checkpoint-*")
    data = (checkpoint / name).read_bytes()
    (checkpoint / name).write_bytes(data[: len(data) // 2])
    (output / "config.json").unlink()  # as if the run had been killed before its model was written
    with pytest.raises(InputError, match="was not written by a run"):
        train(policy, dataset, output, keep_checkpoints=True)


def test_a_damaged_policy_is_told(policy: Path, dataset: Path, tmp_path: Path) -> None:
    damaged = save_model_folder(tmp_path / "policy")
    data = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="the model cannot be loaded"):
        train(damaged, dataset, tmp_path / "model")


def test_memory_that_is_used_up_is_told() -> None:
    import torch

    def telling() -> Any:
        return explain_out_of_memory("cpu", doing="loading the model", remedy="buy more")

    with pytest.raises(BackendError, match=r"cpu ran out of memory while.*; buy more"), telling():
        torch.empty(1 << 60, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="another"), telling():
        raise RuntimeError("another")


def test_the_speed_that_is_logged_counts_the_optimiser(
    policy: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    step = torch.optim.AdamW.step

    def slow_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        time.sleep(0.3)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", slow_step)
    train(policy, dataset, tmp_path / "model", max_steps=2)
    speeds = [line["pairs_per_s"] for line in log_of(tmp_path / "model") if "loss" in line]
    assert len(speeds) == 2 and all(0 < speed < 2 / 0.3 for speed in speeds)
