"""The curves of training runs, from their training_log.jsonl: panels for any page, and a page.

The rule: a missing picture must not prevent the page. Unreadable lines, keys that a run did not log
and values that are not finite are left out; a log without values gives no picture.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskdpo.report.plots import Curves, Figure, plot_curves
from maskdpo.report.training_readings import (
    Reading,
    read_accuracy,
    read_displaced,
    read_loss,
    read_masked,
    read_sides,
    read_speed,
)
from schemas.files.jsonl import read_lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """A picture: the title of its axis, and the names of the keys drawn in it.

    hint   what the figure means, whatever the values are
    read   what the values show
    """

    title: str
    keys: Mapping[str, str]
    hint: str = ""
    read: Reading | None = None


# Keys of the test split (`eval_`) are drawn with those of training. docs/training.md says more.
PANELS = (
    Panel(
        title="loss",
        keys={"loss": "loss"},
        hint="It is 0.693 (log 2) before the first step.",
        read=read_loss,
    ),
    Panel(
        title="reward margin",
        keys={"rewards/margins": "margin"},
        hint="How far chosen and rejected differ, times beta.",
    ),
    Panel(
        title="accuracy",
        keys={"rewards/accuracies": "accuracy"},
        hint="Share of pairs with a margin above zero.",
        read=read_accuracy,
    ),
    Panel(
        title="reward per side",
        keys={"rewards/chosen": "chosen", "rewards/rejected": "rejected"},
        read=read_sides,
    ),
    Panel(
        title="pairs whose chosen side fell",
        keys={"displaced": "share"},
        hint="Share of pairs whose chosen side is less likely than under the reference.",
        read=read_displaced,
    ),
    Panel(
        title="log-ratio per chosen token",
        keys={"logratios/chosen_active": "active", "logratios/chosen_masked": "masked"},
        read=read_masked("chosen"),
    ),
    Panel(
        title="log-ratio per rejected token",
        keys={"logratios/rejected_active": "active", "logratios/rejected_masked": "masked"},
        read=read_masked("rejected"),
    ),
    Panel(
        title="KL from the reference per token",
        keys={"kl": "KL"},
        hint="An estimate of the distance from the reference model.",
    ),
    Panel(title="gradient norm", keys={"grad_norm": "norm"}, hint="Before clipping."),
    Panel(
        title="tokens per second",
        keys={"tokens_per_s": "speed"},
        hint="Of all processes.",
        read=read_speed,
    ),
    Panel(
        title="share of peak operations (MFU)",
        keys={"mfu": "share"},
        hint="Known for known GPUs, or with peak_tflops.",
    ),
)


def read_training_log(path: Path) -> Curves:
    """Curves of a training_log.jsonl: for each numeric key, its (step, value) points."""
    curves: dict[str, list[tuple[float, float]]] = {}
    with warnings.catch_warnings():
        # A run that is still writing may have an incomplete last line.
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
    drawn = [_draw(panel, runs, models) for panel in PANELS]
    return [figure for figure in drawn if figure is not None]


def _draw(panel: Panel, runs: Mapping[str, Curves], models: Sequence[str]) -> Figure | None:
    found = panel.read(runs) if panel.read else ""
    reading = " ".join(part for part in (panel.hint, found) if part)
    return plot_curves(panel.title, runs, panel.keys, models=models, reading=reading)
