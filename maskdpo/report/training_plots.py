"""The curves of training runs, from their training_log.jsonl: panels for any page, and a page.

The rule: a picture less is no reason to lose a page. Lines that cannot be read, keys a run did not
log and values that are not finite are left out, and a log without any is no picture at all.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskdpo.report.plots import Curves, Figure, plot_curves
from schemas.files import read_lines

EVAL = "eval_"  # before the keys of the test split


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """A picture: the title of its axis, the keys drawn in it, and how to read it."""

    title: str
    keys: Sequence[str]
    hint: str


# Keys of the test split (`eval_`) are drawn beside those of training. docs/training.md says more.
PANELS = (
    Panel(
        title="loss",
        keys=("loss",),
        hint="0.693 (log 2) before the first step; a test split that rises while training falls "
        "is overfitting",
    ),
    Panel(
        title="reward margin",
        keys=("rewards/margins",),
        hint="how far chosen and rejected have come apart, times beta",
    ),
    Panel(
        title="accuracy",
        keys=("rewards/accuracies",),
        hint="share of pairs with a margin above zero; 1 from the start is a rate too high, or "
        "sides that length alone tells apart",
    ),
    Panel(
        title="reward of a side",
        keys=("rewards/chosen", "rewards/rejected"),
        hint="a margin can grow while both fall",
    ),
    Panel(
        title="pairs whose chosen side fell",
        keys=("displaced",),
        hint="share of pairs whose chosen side is less likely than under the reference; above a "
        "half, lower the rate or set nll_weight",
    ),
    Panel(
        title="log-ratio a chosen token",
        keys=("logratios/chosen_active", "logratios/chosen_masked"),
        hint="masked tokens have no pull of their own: they should stay near zero",
    ),
    Panel(
        title="log-ratio a rejected token",
        keys=("logratios/rejected_active", "logratios/rejected_masked"),
        hint="active tokens fall, masked ones should stay near zero",
    ),
    Panel(
        title="KL from the reference a token",
        keys=("kl",),
        hint="an estimate; growing without the margin, it is distance for nothing",
    ),
    Panel(title="gradient norm", keys=("grad_norm",), hint="before clipping"),
    Panel(title="tokens a second", keys=("tokens_per_s",), hint="of all processes"),
    Panel(
        title="share of peak operations (MFU)",
        keys=("mfu",),
        hint="known for known GPUs, or with peak_tflops",
    ),
)


def read_training_log(path: Path) -> Curves:
    """Curves of a training_log.jsonl: for each numeric key, its (step, value) points."""
    curves: dict[str, list[tuple[float, float]]] = {}
    with warnings.catch_warnings():
        # A run still writing has a torn last line; the curves so far are what is wanted.
        warnings.simplefilter("ignore")
        for _, line in read_lines(path):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            step = row.get("step") if isinstance(row, dict) else None
            if not isinstance(step, (int, float)):
                continue
            for key, value in row.items():
                if key != "step" and isinstance(value, (int, float)) and math.isfinite(value):
                    curves.setdefault(key, []).append((float(step), float(value)))
    return curves


def draw_training_curves(logs: Mapping[str, Path], models: Sequence[str]) -> list[Figure]:
    """The panels for which a run has values; `logs` holds training_log.jsonl by model name.

    `models` names all models of the page, so that a run has one colour in every picture.
    """
    runs = {name: read_training_log(path) for name, path in logs.items() if path.exists()}
    drawn = [
        plot_curves(panel.title, runs, panel.keys, models=models, hint=panel.hint)
        for panel in PANELS
    ]
    return [figure for figure in drawn if figure is not None]
