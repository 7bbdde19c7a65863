"""The sizes of the study, and the rates that its tuning chose."""

from __future__ import annotations

from maskdpo.study.arms import Setup

QUICK_WORLDS = 3
# Chosen on the tuning worlds; docs/study/tuning.md has the grid.
QUICK_RATES = {"dpo": 1e-4, "mask_dpo": 1e-4, "span_masks": 1e-4, "random_masks": 1e-4}


def make_setup(*, quick: bool) -> Setup:
    """The study's sizes; `quick`: only the last two points of each path, where it is read."""
    setup = Setup()
    return Setup(steps=setup.steps[-2:]) if quick else setup
