"""Every file has the mode that the umask gives: another user may serve what one has trained."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_models import save_model_folder, write_dataset
from train_support import train

from schemas.files.writing import atomic_writer, follow_umask, write_json


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def mode(request: pytest.FixtureRequest) -> Iterator[int]:
    """The mode of new files under a umask, which holds for one test."""
    before = os.umask(request.param)
    yield 0o666 & ~request.param
    os.umask(before)


def modes_of(folder: Path) -> dict[str, int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in files}


def test_written_files_follow_the_umask(tmp_path: Path, mode: int) -> None:
    with atomic_writer(tmp_path / "rows.jsonl") as handle:
        handle.write("row")
        assert set(modes_of(tmp_path).values()) == {mode}  # also while it is written
    write_json(tmp_path / "rows.meta.json", {})
    closed = tmp_path / "model.safetensors"
    closed.touch(mode=0o600)
    follow_umask(closed)
    assert modes_of(tmp_path) == dict.fromkeys(
        ("rows.jsonl", "rows.meta.json", "model.safetensors"), mode
    )


def test_the_umask_is_never_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting it, even for an instant, changes the files that other threads make."""

    def refuse(_: int) -> int:
        raise AssertionError("the umask was set")

    monkeypatch.setattr(os, "umask", refuse)
    write_json(tmp_path / "a.json", {})
    follow_umask(tmp_path / "a.json")


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o077], indirect=True, ids=oct)
def test_nothing_that_train_writes_is_open_to_others(tmp_path: Path, mode: int) -> None:
    assert set(trained_modes(tmp_path).values()) == {mode}


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o022], indirect=True, ids=oct)
def test_all_that_train_writes_can_be_read_by_others(tmp_path: Path, mode: int) -> None:
    found = trained_modes(tmp_path)
    assert any(name.endswith(".arrow") for name in found)
    assert sum(name.endswith(".safetensors") for name in found) >= 2  # model and checkpoint
    assert set(found.values()) == {mode}


def trained_modes(folder: Path) -> dict[str, int]:
    """Modes of the files of a run that keeps its checkpoints."""
    policy = save_model_folder(folder / "policy")
    dataset = write_dataset(folder / "data")
    train(policy, dataset, folder / "model", epochs=1, keep_checkpoints=True)
    found = modes_of(folder)
    return {name: found[name] for name in found if not name.startswith("policy")}
