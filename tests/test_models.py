"""A model is named by its content, and by nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_models import save_model_folder

from trainer.models import hash_weights


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model_folder(tmp_path_factory.mktemp("policy") / "model")


def test_the_hash_of_a_model_is_that_of_its_weights_and_configuration(
    policy: Path, tmp_path: Path
) -> None:
    first = hash_weights(policy)
    renamed = Path(shutil.copytree(policy, tmp_path / "another name"))
    (renamed / "README.md").write_text("words", encoding="utf-8")
    (renamed / "code.py").write_text("pass", encoding="utf-8")
    assert hash_weights(renamed) == first
    assert hash_weights(renamed, trust=True) != first  # then its code is part of what it computes

    path = renamed / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(values | {"rms_norm_eps": 0.5}), encoding="utf-8")
    assert hash_weights(renamed) != first

    assert hash_weights(save_model_folder(tmp_path / "other", seed=5)) != first
