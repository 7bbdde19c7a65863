"""What makes two runs the same: what cannot change the weights but for rounding may change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import save_model_folder, write_dataset
from train_support import SETTINGS, train

from schemas.errors import BackendError, ConfigError
from trainer.callbacks import LogFile
from trainer.config import RUN_KEY_EXCLUDED, TrainConfig, run_settings
from trainer.failures import StopSignals
from trainer.mask_dpo import MaskDpoTrainer
from trainer.models import hash_tokenizer


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model_folder(tmp_path_factory.mktemp("policy") / "model")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset", num_train=8)


def settings(num_processes: int = 1, **changes: Any) -> dict[str, Any]:
    config = TrainConfig.parse({"model": "m"} | changes, where="test")
    return run_settings(config, num_processes=num_processes)


def test_the_split_of_a_step_is_no_part_of_a_run_and_its_pairs_are() -> None:
    eight_gpus = settings(8, batch_size=4)
    assert eight_gpus == settings(4, batch_size=4, gradient_accumulation=2)
    assert eight_gpus == settings(1, batch_size=1, gradient_accumulation=32)
    assert eight_gpus["pairs_per_step"] == 32
    assert eight_gpus != settings(4, batch_size=4)
    # Grouped by length, the order depends on how many pairs are computed at a time.
    grouped = settings(8, batch_size=4, group_by_length=True)
    assert grouped == settings(4, batch_size=8, group_by_length=True)
    assert grouped != settings(4, batch_size=4, gradient_accumulation=2, group_by_length=True)


def test_every_setting_counts_or_says_why_not() -> None:
    counted = settings().keys() | RUN_KEY_EXCLUDED.keys()
    assert counted == TrainConfig.model_fields.keys() | {"pairs_per_step"}


REMEDIES: list[dict[str, Any]] = [
    {"batch_size": 1, "gradient_accumulation": 4},
    {"gradient_checkpointing": True},
    {"head_megabytes": 1},
    {"layout": "padded"},
]


def test_out_of_memory_has_a_way_on(
    policy: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each remedy that the message names continues the run, to the weights of a whole one."""
    import torch
    from safetensors.torch import load_file

    start = {"batch_size": 4, "save": "steps", "save_steps": 1}
    whole = train(policy, dataset, tmp_path / "whole", **start)
    expected = load_file(whole.output / "model.safetensors")
    log = (whole.output / "training_log.jsonl").read_text(encoding="utf-8").splitlines()
    plain = MaskDpoTrainer.training_step

    def run_out(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return plain(self, *args, **kwargs)

    for index, remedy in enumerate(REMEDIES):
        output = tmp_path / f"run-{index}"
        with monkeypatch.context() as patch:
            patch.setattr(MaskDpoTrainer, "training_step", run_out)
            with pytest.raises(BackendError, match="ran out of memory while training") as caught:
                train(policy, dataset, output, **start)
        if "layout" not in remedy:
            assert all(f"train.{name}" in str(caught.value) for name in remedy), caught.value
        result = train(policy, dataset, output, **start | remedy)
        assert result.counts["steps"] == 4
        found = load_file(output / "model.safetensors")
        for name, value in expected.items():
            assert torch.allclose(found[name], value, atol=1e-4), (remedy, name)
        again = (output / "training_log.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line).get("step") for line in again] == [
            json.loads(line).get("step") for line in log
        ]
        computed = json.loads((output / "training.json").read_text(encoding="utf-8"))["computed"]
        assert computed.items() >= (remedy | {"num_processes": 1}).items()


def test_a_setting_that_changes_the_result_is_refused_by_name(
    policy: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 2:
            raise Killed

    output = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "on_step_begin", die, raising=False)
        with pytest.raises(Killed):
            train(policy, dataset, output, save="steps", save_steps=1)
    for change, said in (
        ({"batch_size": 4}, "pairs_per_step 2 is now 4"),
        ({"beta": 0.2}, "beta 0.1 is now 0.2"),
    ):
        with pytest.raises(ConfigError, match=said):
            train(policy, dataset, output, **change)
    assert StopSignals  # the folder was not touched: the first command continues
    assert train(policy, dataset, output).counts["steps"] == 8


def test_only_the_files_of_a_tokenizer_are_the_tokenizer(policy: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "policy"
    shutil.copytree(policy, folder)
    before = hash_tokenizer(folder)
    for name in ("notes.txt", "README.md", "generation_config.json", "eval_results.json"):
        (folder / name).write_text("{}", encoding="utf-8")
        assert hash_tokenizer(folder) == before, name
    for name in ("tokenizer.json", "chat_template.jinja", "special_tokens_map.json"):
        text = (folder / name).read_text(encoding="utf-8") if (folder / name).exists() else ""
        (folder / name).write_text(text + " ", encoding="utf-8")
        after = hash_tokenizer(folder)
        assert after != before, name
        before = after
    for name in ("spiece.model", "vocab.txt", "additional_chat_templates/tools.jinja"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("a", encoding="utf-8")
        after = hash_tokenizer(folder)
        assert after != before, name
        before = after
    (folder / "vocab.txt").rename(folder / "vocab.json")  # the same content, read otherwise
    assert hash_tokenizer(folder) != before


def test_notes_in_the_model_folder_do_not_end_a_run(
    policy: Path, dataset: Path, tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "policy"
    shutil.copytree(policy, folder)
    train(folder, dataset, tmp_path / "run", max_steps=1)
    (folder / "notes.txt").write_text("bought milk", encoding="utf-8")
    (folder / "generation_config.json").write_text('{"top_p": 0.5}', encoding="utf-8")
    again = train(folder, dataset, tmp_path / "run", max_steps=1)
    assert "finished" in again.notes[0]
    assert SETTINGS["epochs"] == 2
