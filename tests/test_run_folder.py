"""The run's folder: which checkpoint counts, and in which order a model appears."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainer.run_folder import CHECKPOINTS, STATE_FILE, last_checkpoint, publish_model, read_state


def make_checkpoint(output: Path, step: int, state: str | None = None) -> Path:
    folder = output / CHECKPOINTS / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    text = json.dumps({"global_step": step}) if state is None else state
    (folder / STATE_FILE).write_text(text, encoding="utf-8")
    return folder


def test_the_newest_checkpoint_is_that_of_the_largest_step(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for step in (9, 100, 20):  # by name, 9 would be the last and 100 the first
        make_checkpoint(tmp_path, step)
    found = last_checkpoint(tmp_path)
    assert found == tmp_path / CHECKPOINTS / "checkpoint-100"
    assert read_state(found)["global_step"] == 100


@pytest.mark.parametrize("state", ['{"global_st', "[]", "{}", '{"global_step": "many"}'])
def test_a_checkpoint_that_is_not_whole_is_removed_and_not_taken(
    tmp_path: Path, state: str
) -> None:
    whole = make_checkpoint(tmp_path, 3)
    torn = make_checkpoint(tmp_path, 4, state)
    bare = tmp_path / CHECKPOINTS / "checkpoint-5"
    bare.mkdir()
    assert last_checkpoint(tmp_path) == whole
    assert not torn.exists() and not bare.exists()


@pytest.mark.parametrize("name", ["config.json", "adapter_config.json"])
def test_a_model_appears_with_its_configuration_last(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two files, the folder is no model: the old configuration is gone by then."""
    output = tmp_path / "model"
    output.mkdir()
    for stale in ("config.json", "adapter_config.json"):
        (output / stale).write_text("old", encoding="utf-8")
    seen: list[list[str]] = []
    replace = Path.replace

    def watch(self: Path, target: Path) -> Path:
        seen.append(sorted(path.name for path in output.iterdir() if path.is_file()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    names = sorted([name, "model.safetensors", "tokenizer.json", "a_file_before.json"])
    with publish_model(output) as folder:
        for file in names:
            (folder / file).write_text("new", encoding="utf-8")
        assert not seen
    others = [file for file in names if file != name]
    assert seen == [others[:count] for count in range(len(names))]
    assert {path.name: path.read_text() for path in output.iterdir()} == dict.fromkeys(names, "new")


def test_a_model_whose_writing_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    output = tmp_path / "model"
    output.mkdir()
    (output / "config.json").write_text("old", encoding="utf-8")

    def write_half() -> None:
        with publish_model(output) as folder:
            (folder / "model.safetensors").write_text("half", encoding="utf-8")
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        write_half()
    assert [path.name for path in output.iterdir()] == ["config.json"]
    assert (output / "config.json").read_text(encoding="utf-8") == "old"


def test_a_published_model_is_readable_by_whom_the_umask_allows(tmp_path: Path) -> None:
    """safetensors writes files that only their owner may read; a server runs as somebody else."""
    import os

    with publish_model(tmp_path) as folder:
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_text("{}", encoding="utf-8")
            (folder / name).chmod(0o600)
    mask = os.umask(0)
    os.umask(mask)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~mask
