"""The pictures of the study, as SVG, made from the JSON of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskdpo.report.plots import draw_svg

Values = Mapping[str, Any]
_COLOURS = ("#4c566a", "#b48200", "#2a7f8e", "#7a3b8f", "#3b6e22", "#a33b3b")
_MARKERS = "osD^vP"


def plot_experiment(result: Values) -> str:
    """The picture that shows an experiment best: curves of best of n, paths, or points."""
    if result.get("best_of"):
        return plot_best_of(result["best_of"])
    names = _names(result)
    if any(len(_rows(result, name)) > 1 for name in names):
        return plot_paths(result)
    return plot_scores(result)


def plot_scores(result: Values) -> str:
    """The score of each arm with its interval over worlds, in percent."""
    rows = [row for row in result["arms"] if row["score"]["value"] is not None]

    def draw(axes: Any) -> None:
        for place, row in enumerate(rows):
            _draw_point(axes, place, row["score"], _COLOURS[place % len(_COLOURS)], "o")
        axes.set_xticks(
            range(len(rows)),
            [row["name"].replace("_", " ") for row in rows],
            rotation=30,
            ha="right",
        )
        axes.set_ylabel("score, in percent")
        axes.grid(axis="y", alpha=0.3)

    return draw_svg(draw, width=max(4.0, 0.8 * len(rows) + 2), height=3.6)


def plot_paths(result: Values) -> str:
    """Score against KL from the base: one line per method, a point per number of steps."""
    base = _rows(result, "base")

    def draw(axes: Any) -> None:
        methods = [name for name in _names(result) if name != "base"]
        for place, name in enumerate(methods):
            rows = [*base, *_rows(result, name)]
            points = [
                (row["kl"]["value"] or 0.0, row["score"])
                for row in rows
                if row["score"]["value"] is not None
            ]
            colour = _COLOURS[place % len(_COLOURS)]
            axes.plot(
                [kl for kl, _ in points],
                [100 * score["value"] for _, score in points],
                color=colour,
                label=name.replace("_", " "),
            )
            for kl, score in points[len(base) :]:
                _draw_point(axes, kl, score, colour, _MARKERS[place % len(_MARKERS)])
        axes.set_xlabel("KL from the base, nats per response")
        axes.set_ylabel("score, in percent")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)

    return draw_svg(draw, width=5.6, height=3.6)


def plot_best_of(curves: Mapping[str, Mapping[str, Values]]) -> str:
    """Expected score of the best of n responses, one line per model."""

    def draw(axes: Any) -> None:
        for place, (name, row) in enumerate(curves.items()):
            known = {int(n): figure for n, figure in row.items() if figure["value"] is not None}
            colour = _COLOURS[place % len(_COLOURS)]
            axes.plot(
                list(known),
                [100 * figure["value"] for figure in known.values()],
                color=colour,
                marker=_MARKERS[place % len(_MARKERS)],
                label=name.replace("_", " "),
            )
        axes.set_xscale("log", base=2)
        axes.set_xlabel("n, responses per question")
        axes.set_ylabel("score of the best, in percent")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)

    return draw_svg(draw, width=5.6, height=3.6)


def _draw_point(axes: Any, place: float, score: Values, colour: str, marker: str) -> None:
    value = 100 * score["value"]
    low = value if score["low"] is None else 100 * score["low"]
    high = value if score["high"] is None else 100 * score["high"]
    axes.errorbar(
        [place], [value], yerr=[[value - low], [high - value]], fmt=marker, color=colour, capsize=4
    )


def _names(result: Values) -> Sequence[str]:
    return list(dict.fromkeys(row["name"] for row in result["arms"]))


def _rows(result: Values, name: str) -> list[Values]:
    return [row for row in result["arms"] if row["name"] == name]
