"""The vllm backend where vllm is not: what a user reads. With it: tests/with_vllm."""

import importlib.util

import pytest
from sample_support import write_tiny_model

from annotator.models.config import ModelConfig
from annotator.models.local.vllm_backend import check_engine
from annotator.models.make_backend import make_backend
from schemas.errors import ConfigError, MissingPackageError


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vllm is installed")
def test_without_vllm_one_sentence_says_how_to_get_it(tmp_path):
    config = ModelConfig.parse({"backend": "vllm", "model": str(tmp_path)}, where="model")
    with pytest.raises(MissingPackageError, match="make setup-vllm"):
        make_backend(config)


def test_a_mere_folder_called_vllm_is_not_taken_for_it(tmp_path, monkeypatch):
    if importlib.util.find_spec("vllm") is not None:
        pytest.skip("vllm is installed")
    (tmp_path / "vllm").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    model = write_tiny_model(tmp_path / "model")
    config = ModelConfig.parse({"backend": "vllm", "model": str(model)}, where="model")
    with pytest.raises(MissingPackageError, match="make setup-vllm"):
        make_backend(config)


@pytest.mark.parametrize(
    "name", ["trust_remote_code", "trust-remote-code", "logits_processors", "model", "dtype"]
)
def test_engine_arguments_that_run_code_or_are_set_elsewhere_are_refused(name):
    check_engine({"tensor_parallel_size": 2, "quantization": "fp8"})
    with pytest.raises(ConfigError, match=name):
        check_engine({"tensor_parallel_size": 2, name: True})
