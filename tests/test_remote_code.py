"""Code that comes with a model: never by default, and then pinned, named and recorded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tiny_models import save_model_folder, write_dataset
from train_support import start_verb, train

from schemas.errors import ConfigError, InputError
from trainer.config import TrainConfig
from trainer.models import hash_weights, resolve_model, trusted_code

CODE = """
import os
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

Path(os.environ["MARKER"]).touch()


class OwnConfig(LlamaConfig):
    model_type = "own-llama"


class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


def own_model(folder: Path, *, repository: str = "") -> Path:
    """A model that only its own code can load."""
    save_model_folder(folder)
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    values |= {
        "model_type": "own-llama",
        "auto_map": {
            "AutoConfig": f"{repository}own_model.OwnConfig",
            "AutoModelForCausalLM": f"{repository}own_model.OwnForCausalLM",
        },
    }
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    (folder / "own_model.py").write_text(CODE, encoding="utf-8")
    return folder


def parse(model: str, **changes: Any) -> TrainConfig:
    return TrainConfig.parse({"model": model, "trust_remote_code": True} | changes, where="test")


def test_by_default_nothing_of_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKER", str(tmp_path / "marker"))
    model, dataset = own_model(tmp_path / "own"), write_dataset(tmp_path / "dataset")
    with pytest.raises(InputError, match=r"runs only with train\.trust_remote_code=true") as caught:
        train(model, dataset, tmp_path / "out")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "marker").exists()


@pytest.mark.slow
def test_when_trusted_it_trains_and_says_so(tmp_path: Path) -> None:
    model, dataset = own_model(tmp_path / "own"), write_dataset(tmp_path / "dataset")
    env = {"HF_HOME": str(tmp_path / "hub"), "MARKER": str(tmp_path / "marker")}
    process = start_verb(
        model, dataset, tmp_path / "out", trust_remote_code=True, max_steps=2, env=env
    )
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert (tmp_path / "marker").exists()
    assert f"code of {model} runs (own_model.py)" in said + errors
    manifest = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    assert manifest["config"]["trust_remote_code"] is True
    assert manifest["trusted_code"] == {
        "model": str(model),
        "revision": None,
        "files": ["own_model.py"],
    }
    assert (tmp_path / "out" / "own_model.py").exists()  # the model stays loadable, and ours


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "0" * 39, "G" * 40])
def test_a_hub_id_needs_a_commit(revision: str | None) -> None:
    with pytest.raises(ConfigError, match=r"full commit hash \(40 digits") as caught:
        resolve_model(parse("org/name", revision=revision))
    assert repr(revision) in str(caught.value) and "org/name" in str(caught.value)


def test_code_of_a_third_repository_is_refused(tmp_path: Path) -> None:
    model = own_model(tmp_path / "own", repository="other/place--")
    with pytest.raises(InputError, match="other/place--own_model"):
        resolve_model(parse(str(model)))


def test_code_is_part_of_what_a_run_is(tmp_path: Path) -> None:
    model = own_model(tmp_path / "own")
    config = parse(str(model))
    assert resolve_model(config) == model
    assert trusted_code(parse(str(model), trust_remote_code=False), model) == {}
    plain, trusted = hash_weights(model), hash_weights(model, trust=True)
    (model / "own_model.py").write_text(CODE + "\n# changed\n", encoding="utf-8")
    assert hash_weights(model) == plain
    assert hash_weights(model, trust=True) != trusted
    assert os.listdir(tmp_path) == ["own"]  # noqa: PTH208 - looking wrote nothing
