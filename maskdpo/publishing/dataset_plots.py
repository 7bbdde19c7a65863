"""Pictures of a data set for its card, as PNG files, because cards on the Hub show no inline SVG.

The rule: only numbers, names of labels and language codes are drawn, so pictures are safe to
publish. Names of topics come from data (any script, any markup), so topics appear only as a
distribution. The same statistics give the same bytes, with one version of matplotlib.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PLOTS_FOLDER = "plots"
MAX_LANGUAGES = 12
_CHOSEN, _REJECTED, _NEUTRAL = "#2a7f8e", "#d98c3f", "#4c566a"
_SIDES = (("chosen", _CHOSEN, "-"), ("rejected", _REJECTED, "--"))
_LANGUAGE = re.compile(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")

Draw = Callable[[Any], None]


def draw_dataset_plots(statistics: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Write `folder/plots/*.png`; returns (path relative to `folder`, text alternative) of each.

    `statistics` is what `dataset_builder.folder.statistics.compute_statistics` returns. A picture
    without data is not drawn, and one of an earlier run is removed.
    """
    values = statistics["all"]
    drawn: list[tuple[str, str]] = []
    for name, make in _PLOTS.items():
        path = Path(folder) / PLOTS_FOLDER / f"{name}.png"
        made = make(values)
        if made is None:
            path.unlink(missing_ok=True)
            continue
        draw, text = made
        _save(draw, path)
        drawn.append((f"{PLOTS_FOLDER}/{name}.png", text))
    return drawn


def plot_labels(values: Mapping[str, Any]) -> tuple[Draw, str] | None:
    """Share of each label among all sentences, and on each side of the pairs."""
    groups = [(name, counted) for name, counted in values["labels"].items() if counted]
    labels = list(dict.fromkeys(label for _, counted in groups for label in counted))
    if not labels:
        return None

    def draw(axes: Any) -> None:
        height = 0.8 / len(groups)
        colours = {"all": _NEUTRAL, "chosen": _CHOSEN, "rejected": _REJECTED}
        for index, (name, counted) in enumerate(groups):
            total = sum(counted.values())
            axes.barh(
                [place + (index - (len(groups) - 1) / 2) * height for place in range(len(labels))],
                [100 * counted.get(label, 0) / total for label in labels],
                height=height,
                color=colours[name],
                hatch={"rejected": "//"}.get(name),
                edgecolor="white",
                label=f"{name} ({total:,} sentences)",
            )
        axes.set_yticks(range(len(labels)), [label.replace("_", " ") for label in labels])
        axes.invert_yaxis()
        axes.set_xlabel("% of sentences")
        _legend(axes)

    counted = values["labels"]["all"] or groups[0][1]
    total = sum(counted.values())
    listed = ", ".join(f"{label} {count / total:.0%}" for label, count in counted.items())
    return draw, f"Labels of {total:,} sentences: {listed}"


def plot_scores(values: Mapping[str, Any]) -> tuple[Draw, str] | None:
    """Scores of chosen and rejected responses."""
    return _plot_sides(values, "score", "score of the response", "Scores")


def plot_margins(values: Mapping[str, Any]) -> tuple[Draw, str] | None:
    """Score of the chosen response minus that of the rejected one."""
    margin = values["margin"]
    text = f"Margin of score between chosen and rejected: median {_show(margin['median'])}"
    return _plot_one(margin, "chosen score - rejected score", "pairs", text)


def plot_lengths(values: Mapping[str, Any]) -> tuple[Draw, str] | None:
    """Lengths of chosen and rejected responses, in characters."""
    made = _plot_sides(values, "length", "characters of the response", "Lengths in characters")
    if made is None:
        return None
    draw, text = made
    bias = values["length_bias"]
    longer = bias["chosen_longer"] / max(1, values["num_pairs"])

    def draw_log(axes: Any) -> None:
        draw(axes)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:,.0f}")

    return draw_log, f"{text}; the chosen response is longer in {longer:.0%} of pairs"


def plot_active_shares(values: Mapping[str, Any]) -> tuple[Draw, str] | None:
    """How much of each response trains."""
    return _plot_sides(
        values, "active_share", "share of the response that trains", "Share of text that trains"
    )


def plot_topics(values: Mapping[str, Any]) -> tuple[Draw, str] | None:
    """Hallucinated share of each topic's decided sentences."""
    rates = values["topic_rates"]
    text = (
        f"Hallucinated share of sentences per topic ({rates['count']:,} topics): "
        f"median {_show(rates['median'])}"
    )
    return _plot_one(rates, "hallucinated share of a topic's sentences", "topics", text)


def plot_languages(values: Mapping[str, Any]) -> tuple[Draw, str] | None:
    """Pairs by language; no picture if there is only one language."""
    counted: dict[str, int] = {}
    for name, group in values["languages"].items():
        known = name if _LANGUAGE.match(name) else "other"
        counted[known] = counted.get(known, 0) + group["pairs"]
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    shown = [(name, count) for name, count in ordered if count][:MAX_LANGUAGES]
    if len(shown) < 2:
        return None

    def draw(axes: Any) -> None:
        bars = axes.barh([name for name, _ in shown], [count for _, count in shown], color=_NEUTRAL)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.margins(x=0.12)
        axes.invert_yaxis()
        axes.set_xlabel("pairs")

    listed = ", ".join(f"{name} {count:,}" for name, count in shown)
    return draw, f"Pairs by language: {listed}"


_PLOTS: Mapping[str, Callable[[Mapping[str, Any]], tuple[Draw, str] | None]] = {
    "labels": plot_labels,
    "scores": plot_scores,
    "margins": plot_margins,
    "lengths": plot_lengths,
    "active": plot_active_shares,
    "topics": plot_topics,
    "languages": plot_languages,
}


def _plot_sides(
    values: Mapping[str, Any], name: str, axis: str, title: str
) -> tuple[Draw, str] | None:
    """The histograms of both sides in one picture: filled steps with different line styles."""
    sides = [(side, values[f"{name}_{side}"], *style) for side, *style in _SIDES]
    sides = [row for row in sides if row[1]["count"]]
    if not sides:
        return None

    def draw(axes: Any) -> None:
        for side, summary, colour, line in sides:
            axes.stairs(summary["counts"], summary["edges"], fill=True, color=colour, alpha=0.3)
            axes.stairs(
                summary["counts"],
                summary["edges"],
                color=colour,
                linestyle=line,
                linewidth=1.8,
                label=f"{side}, median {_show(summary['median'])}",
            )
        axes.set_xlabel(axis)
        axes.set_ylabel("pairs")
        _legend(axes)

    medians = ", ".join(f"{side} {_show(summary['median'])}" for side, summary, *_ in sides)
    return draw, f"{title} of chosen and rejected responses: median {medians}"


def _plot_one(
    summary: Mapping[str, Any], axis: str, counted: str, text: str
) -> tuple[Draw, str] | None:
    if not summary["count"]:
        return None

    def draw(axes: Any) -> None:
        axes.stairs(summary["counts"], summary["edges"], fill=True, color=_NEUTRAL)
        axes.axvline(summary["median"], color="black", linestyle=":", linewidth=1.5)
        axes.set_xlabel(f"{axis} (dotted: median)")
        axes.set_ylabel(counted)

    return draw, text


def _save(draw: Draw, path: Path) -> None:
    """One axes as PNG at twice the resolution of a card, without date or version in the file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    figure.savefig(path, format="png", dpi=150, metadata={"Software": None})


def _legend(axes: Any) -> None:
    axes.legend(
        frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3
    )


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value > 1 else f"{value:.2f}"
