"""The report's pictures, as inline SVG: the only module that draws.

The rule: pure functions from numbers to SVG text. Colours also differ in lightness, and every
picture has a text alternative, which the page prints as the figure's caption.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Curves = Mapping[str, Sequence[tuple[float, float]]]

_COLOURS = ("#4c566a", "#b48200", "#2a7f8e", "#7a3b8f", "#3b6e22", "#a33b3b")
_CORRECT, _HALLUCINATED = "#2a7f8e", "#d98c3f"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """An SVG picture and its text alternative."""

    svg: str
    caption: str
    wide: bool = False


def plot_scores(models: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Score of each model with its 95% interval, in percent."""
    names = [name for name, row in models.items() if row["score"] is not None]
    scores = [100 * models[name]["score"] for name in names]
    lows = [100 * _or(models[name]["low"], models[name]["score"]) for name in names]
    highs = [100 * _or(models[name]["high"], models[name]["score"]) for name in names]
    below = [score - low for score, low in zip(scores, lows, strict=True)]
    above = [high - score for score, high in zip(scores, highs, strict=True)]

    def draw(axes: Any) -> None:
        axes.bar(names, scores, color=[_colour(index) for index in range(len(names))], width=0.6)
        axes.errorbar(names, scores, yerr=[below, above], fmt="none", ecolor="black", capsize=5)
        for index, score in enumerate(scores):
            axes.annotate(f"{score:.1f}", (index, 2), ha="center", color="white")
        axes.set_ylim(0, 100)
        axes.set_ylabel("score, in percent")

    listed = "; ".join(
        f"{name} {score:.1f} ({low:.1f} to {high:.1f})"
        for name, score, low, high in zip(names, scores, lows, highs, strict=True)
    )
    return Figure(
        svg=draw_svg(draw, width=_width(names)),
        caption=f"Scores in percent, with 95% intervals: {listed}." if names else "No scores.",
    )


def plot_sentences(models: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Correct and hallucinated sentences per response: a model may score higher by saying less."""
    names = [name for name, row in models.items() if row["num_responses"]]
    correct = [models[name]["correct_per_response"] for name in names]
    wrong = [models[name]["hallucinated_per_response"] for name in names]

    def draw(axes: Any) -> None:
        axes.bar(names, correct, color=_CORRECT, label="correct", width=0.6)
        axes.bar(
            names,
            wrong,
            bottom=correct,
            color=_HALLUCINATED,
            label="hallucinated",
            hatch="//",
            width=0.6,
        )
        axes.set_ylabel("sentences per response")
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    listed = "; ".join(
        f"{name} {right:.2f} correct, {bad:.2f} hallucinated"
        for name, right, bad in zip(names, correct, wrong, strict=True)
    )
    return Figure(
        svg=draw_svg(draw, width=_width(names)),
        caption=f"Sentences per response: {listed}." if names else "No responses.",
    )


def plot_best_of(models: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Expected score of the best of n responses, by n, with 95% intervals, in percent."""
    curves = {
        name: [point for point in row["best_of"]["points"] if point["score"] is not None]
        for name, row in models.items()
        if row["best_of"]
    }
    steps = sorted({point["n"] for points in curves.values() for point in points})

    def draw(axes: Any) -> None:
        for index, (name, points) in enumerate(curves.items()):
            places = [point["n"] for point in points]
            colour = _colour(index)
            axes.plot(
                places,
                [100 * point["score"] for point in points],
                color=colour,
                linestyle=("-", "--", ":", "-.")[index % 4],
                marker="osv^"[index % 4],
                label=name,
            )
            axes.fill_between(
                places,
                [100 * _or(point["low"], point["score"]) for point in points],
                [100 * _or(point["high"], point["score"]) for point in points],
                color=colour,
                alpha=0.15,
                linewidth=0,
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(steps, [str(n) for n in steps])
        axes.minorticks_off()
        axes.set_xlabel("n, responses of which the best is kept")
        axes.set_ylabel("score, in percent")
        axes.legend(frameon=False, fontsize="x-small")

    listed = "; ".join(
        f"{name} " + ", ".join(f"{100 * point['score']:.1f} of {point['n']}" for point in points)
        for name, points in curves.items()
    )
    return Figure(
        svg=draw_svg(draw, width=5.2),
        caption="Expected score of the best of n responses, in percent, over all questions; a "
        f"response without a decided fact counts as 0: {listed}.",
    )


def plot_topics(models: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Every topic's score, model by model, in the order of the baseline's scores."""
    names = list(models)
    base = models[names[0]]["by_topic"]
    known = {topic for row in models.values() for topic in row["by_topic"]}

    def place_of(topic: str) -> tuple[float, str]:
        return _or(base[topic]["score"], -1.0) if topic in base else -1.0, topic

    topics = sorted(known, key=place_of)

    def draw(axes: Any) -> None:
        for index, name in enumerate(names):
            rows = models[name]["by_topic"]
            points = [
                (place, 100 * rows[topic]["score"])
                for place, topic in enumerate(topics)
                if topic in rows and rows[topic]["score"] is not None
            ]
            axes.plot(
                [place for place, _ in points],
                [score for _, score in points],
                marker="osv^Dx"[index % 6],
                linestyle="none",
                markersize=4,
                color=_colour(index),
                label=name,
            )
        axes.set_ylim(-2, 102)
        axes.set_xlabel(f"topics, by the score of {names[0]}")
        axes.set_ylabel("score, in percent")
        axes.legend(frameon=False, fontsize="small")

    return Figure(
        svg=draw_svg(draw, width=9),
        caption=f"Scores of {len(topics)} topics, in percent, each model on all questions that it "
        "answered; table below.",
        wide=True,
    )


def plot_curves(
    title: str,
    runs: Mapping[str, Curves],
    keys: Mapping[str, str],
    *,
    models: Sequence[str],
    reading: str = "",
) -> Figure | None:
    """One panel of training curves: each key of each run against optimiser steps.

    A line is the training split, dots are the test split (the key with `eval_` before it). `keys`
    gives each key its display name; `models` names all models of the page, so that a run has one
    colour in every picture; `reading` states what the panel shows. None when no run has any of the
    keys.
    """
    drawn = [
        (run, key, split, curves[split + key])
        for run, curves in runs.items()
        for key in keys
        for split in ("", "eval_")
        if curves.get(split + key)
    ]
    if not drawn:
        return None
    names = {
        (run, key, split): _name_curve(
            run if len(runs) > 1 else "", keys[key] if len(keys) > 1 else "", split
        )
        for run, key, split, _ in drawn
    }

    def draw(axes: Any) -> None:
        for run, key, split, points in drawn:
            index = list(keys).index(key)
            axes.plot(
                [step for step, _ in points],
                [value for _, value in points],
                color=_colour(models.index(run)),
                # One point makes no line, but must be visible.
                marker="osv^"[index % 4] if split else "." if len(points) == 1 else None,
                markerfacecolor="white" if split and index else None,
                markersize=5,
                linestyle="none" if split else ("-", "--", ":", "-.")[index % 4],
                label=names[run, key, split],
            )
        axes.set_xlabel("optimiser step")
        axes.set_ylabel(title)
        axes.legend(frameon=False, fontsize="x-small")

    ends = "; ".join(
        f"{names[run, key, split]} {_ends(points)}" for run, key, split, points in drawn
    )
    return Figure(
        svg=draw_svg(draw, width=5.2),
        caption=f"{title}: {ends}." + (f" {reading}" if reading else ""),
    )


def _ends(points: Sequence[tuple[float, float]]) -> str:
    """The first and last value of a curve."""
    first, last = _number(points[0][1]), _number(points[-1][1])
    return last if len(points) == 1 else f"from {first} to {last}"


def _number(value: float) -> str:
    """Three digits, without an exponent for large numbers."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _name_curve(run: str, key: str, split: str) -> str:
    """The name of a curve: what distinguishes it from the others of its panel."""
    parts = [part for part in (run, key) if part] + (["test split"] if split else [])
    return ", ".join(parts) or "training split"


def draw_svg(draw: Callable[[Any], None], *, width: float, height: float = 3.2) -> str:
    """SVG text of one axes, without a date, with text as outlines (needs no font)."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "maskdpo", "svg.fonttype": "path"}):
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure as Canvas

        figure = Canvas(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _width(names: Sequence[str]) -> float:
    return max(5.0, 1.2 * len(names))


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _or(value: float | None, fallback: float) -> float:
    return fallback if value is None else value
