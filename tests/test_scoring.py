"""Scoring pairs without training on them leaves the model as it was, and needs no dropout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from steps import AFTER, EXAMPLES, VOCABULARY
from tiny_models import tiny_gpt2

from trainer.scoring import score_completions


@pytest.mark.parametrize("is_training", [True, False])
def test_scores_are_those_without_dropout_and_the_mode_stays(is_training: bool) -> None:
    model = tiny_gpt2(VOCABULARY).train(is_training)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    first, again = (
        score_completions(model, EXAMPLES, layout="padded", head=AFTER, dtype=torch.float32)
        for _ in range(2)
    )
    assert model.training is is_training
    for left, right in zip(first, again, strict=True):
        assert np.array_equal(left, right)
