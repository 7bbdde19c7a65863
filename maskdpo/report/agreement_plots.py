"""Pictures of how judges agree with people, as inline SVG.

The rule, as in `plots`: from numbers to SVG text, and a caption that gives the same in words.
Judges are labelled with the letters that the page gives them, never with names from data, which may
contain any script and any markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotator.agreement.calibration import Calibration
from annotator.agreement.measure import Agreement
from maskdpo.report.plots import Figure, draw_svg

_COLOURS = ("#2a7f8e", "#b3541e")
_MARKERS = "os"
_STYLES = ("-", "--")
_BASELINE = "#6b7280"
_MAX_POINTS = 200

Points = Sequence[tuple[float, float]]


def plot_agreement(judges: Mapping[str, Agreement], baselines: Mapping[str, Agreement]) -> Figure:
    """Balanced accuracy of each judge and baseline with its 95% interval; chance as a line."""
    lines = [
        (name, line["balanced_accuracy"]) for name, line in [*judges.items(), *baselines.items()]
    ]
    known = [(name, figure) for name, figure in lines if figure.value is not None]

    def draw(axes: Any) -> None:
        for row, (name, figure) in enumerate(known):
            colour = _COLOURS[list(judges).index(name)] if name in judges else _BASELINE
            if figure.low is not None and figure.high is not None:
                axes.plot([figure.low, figure.high], [row, row], color=colour, linewidth=2)
            axes.plot([figure.value], [row], marker="o", color=colour)
            axes.annotate(
                f"{figure.value:.3f}",
                (figure.value, row),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize="small",
            )
        axes.axvline(0.5, color=_BASELINE, linestyle=":", linewidth=1)
        axes.set_yticks(range(len(known)), [name for name, _ in known])
        axes.set_ylim(len(known) - 0.5, -0.8)
        axes.set_xlim(0, 1)
        axes.set_xlabel("balanced accuracy, 95% interval; dotted: chance")

    listed = "; ".join(f"{name} {figure.value:.3f}" for name, figure in known) or "not defined"
    return Figure(svg=draw_svg(draw, width=5.2), caption=f"Balanced accuracy: {listed}.")


def plot_reliability(judges: Mapping[str, Calibration]) -> Figure:
    """Share of correct verdicts by confidence, in bins; larger marks mean more sentences."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=_BASELINE, linestyle=":", linewidth=1)
        for index, (name, found) in enumerate(judges.items()):
            rows = [row for row in found.bins if row.num_sentences]
            confidences = [row.mean_confidence for row in rows]
            shares = [row.share_right for row in rows]
            sizes = [15 + 150 * row.num_sentences / found.num_sentences for row in rows]
            axes.plot(confidences, shares, color=_COLOURS[index], linestyle=_STYLES[index])
            axes.scatter(
                confidences,
                shares,
                s=sizes,
                color=_COLOURS[index],
                marker=_MARKERS[index],
                label=name,
            )
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("confidence of the verdicts in a bin")
        axes.set_ylabel("share right")
        axes.legend(frameon=False, fontsize="small", loc="upper left")

    listed = "; ".join(
        f"{name} expected calibration error {found.expected_calibration_error or 0:.3f}"
        for name, found in judges.items()
    )
    return Figure(
        svg=draw_svg(draw, width=5.2),
        caption=f"Reliability; on the dotted line confidence equals the share right: {listed}.",
    )


def plot_risk_coverage(judges: Mapping[str, Calibration]) -> Figure:
    """Share of wrong verdicts among those with the highest confidence, by the share kept."""

    def draw(axes: Any) -> None:
        for index, (name, found) in enumerate(judges.items()):
            points = _thin(found.risk_coverage)
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=_COLOURS[index],
                linestyle=_STYLES[index],
                label=name,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("share of verdicts kept, highest confidence first")
        axes.set_ylabel("share wrong")
        axes.legend(frameon=False, fontsize="small")

    listed = "; ".join(
        f"{name} area {found.area_under_risk_coverage:.3f}, "
        f"wrong overall {1 - found.share_right:.3f}"
        for name, found in judges.items()
    )
    return Figure(svg=draw_svg(draw, width=5.2), caption=f"Risk against coverage: {listed}.")


def _thin(curve: Sequence[float]) -> Points:
    """At most _MAX_POINTS points of a curve over k = 1..N, always with the last one."""
    total = len(curve)
    step = max(1, total // _MAX_POINTS)
    kept = [*range(step - 1, total, step)]
    if kept[-1] != total - 1:
        kept.append(total - 1)
    return [((place + 1) / total, curve[place]) for place in kept]
