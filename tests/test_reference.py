"""Several processes share out what of the reference is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from steps import AFTER, EXAMPLES, VOCABULARY, make_example
from tiny_models import tiny_llama

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
    with pytest.raises(ConfigError, match="lacks log-probabilities that another process stored"):
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
