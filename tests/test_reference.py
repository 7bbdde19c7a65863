"""Several processes share out what of the reference is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from steps import AFTER, EXAMPLES, VOCABULARY, make_example
from tiny_models import save_model_folder, tiny_llama, write_dataset
from train_support import train

import trainer.reference
from schemas.errors import ConfigError
from trainer.choice import Choice
from trainer.config import TrainConfig
from trainer.examples import Example
from trainer.reference import ReferenceCache, ReferenceModel, reference_logps

REFERENCE = ReferenceModel(
    weights_hash="w", compute_dtype="float32", weights_dtype="float32", device="cpu"
)
PAIRS = [*EXAMPLES, make_example([1], [2, 3], [4], name="d"), make_example([5], [6], [7], name="e")]


def share_of(index: int, count: int, folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    """The pairs that one of `count` processes computes, in the order of their computing."""
    computed: list[str] = []
    compute = trainer.reference.compute_missing

    def watch(model: Any, missing: Sequence[Example], *rest: Any, **values: Any) -> None:
        computed.extend(example.id for example in missing)
        compute(model, missing, *rest, **values)

    patch.setattr(trainer.reference, "compute_missing", watch)
    patch.setattr(trainer.reference, "process_index", lambda: index)
    patch.setattr(trainer.reference, "count_processes", lambda: count)
    config = TrainConfig(model="m", progress=False)
    with pytest.raises(ConfigError, match="that another process stored are missing"):
        reference_logps(  # what the others would have stored is not there
            tiny_llama(VOCABULARY),
            PAIRS,
            ReferenceCache(folder / f"{index}", REFERENCE),
            config=config,
            dtype=torch.float32,
            choice=Choice(layout="padded", head=AFTER, notes=[]),
        )
    return computed


@pytest.mark.parametrize("count", [2, 3])
def test_each_pair_is_computed_by_one_process(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = []
    for index in range(count):
        with monkeypatch.context() as patch:
            shares.append(share_of(index, count, tmp_path, patch))
    assert sorted(name for share in shares for name in share) == ["a", "b", "c", "d", "e"]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("name", ["weights_hash", "compute_dtype", "weights_dtype", "device"])
def test_each_part_of_a_reference_model_has_its_own_key(name: str) -> None:
    changes: dict[str, str] = {name: "another"}
    assert replace(REFERENCE, **changes).key != REFERENCE.key


def test_so_have_the_format_and_the_libraries_but_for_their_patches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def key_with(**versions: str) -> str:
        versions = {"torch": "2.7.1", "transformers": "5.1.0"} | versions
        monkeypatch.setattr(trainer.reference, "installed_versions", lambda _: versions)
        return REFERENCE.key

    before = key_with()
    assert key_with(torch="2.7.3+cu128") == before == key_with(transformers="5.1.9")
    others = {key_with(torch="2.8.1"), key_with(torch="3.7.1"), key_with(transformers="5.2.0")}
    assert len(others | {before}) == 4
    monkeypatch.setattr(trainer.reference, "FORMAT", 0)
    assert key_with() != before


@pytest.mark.parametrize(("dtype", "is_shared"), [("float32", True), ("bfloat16", False)])
def test_frozen_weights_in_16_bits_have_a_reference_of_their_own(
    dtype: str, is_shared: bool, tmp_path: Path
) -> None:
    """They are rounded before they are computed with: norms and biases as well."""
    policy, dataset = save_model_folder(tmp_path / "policy"), write_dataset(tmp_path / "dataset")
    settings: dict[str, Any] = {"dtype": dtype, "max_steps": 1, "evaluate": "no"}
    first = train(policy, dataset, tmp_path / "adapter", **settings, lora={})
    assert first.counts["reference_computed"] == 16
    second = train(policy, dataset, tmp_path / "all", **settings)
    assert second.counts["reference_reused"] == (16 if is_shared else 0)
    third = train(policy, dataset, tmp_path / "rank", **settings, lora={"rank": 3})
    assert third.counts["reference_reused"] == 16
