"""What training curves show, in sentences computed from their values.

The rule: a caption states what the data of its panel show, never what is expected, so that it
cannot contradict the picture above it. A reading takes the runs of a panel and returns sentences;
runs with the same result share one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

Points = Sequence[tuple[float, float]]
Curves = Mapping[str, Points]
Reading = Callable[[Mapping[str, Curves]], str]

EVAL = "eval_"  # before the keys of the test split


def read_loss(runs: Mapping[str, Curves]) -> str:
    """Whether the test split's loss rose again after its lowest value."""
    return _collect(runs, _loss)


def read_accuracy(runs: Mapping[str, Curves]) -> str:
    """Whether all pairs had a margin above zero from the first step on, or none at first."""
    return _collect(runs, _accuracy)


def read_sides(runs: Mapping[str, Curves]) -> str:
    """Which side rose and which fell."""
    return _collect(runs, _sides)


def read_displaced(runs: Mapping[str, Curves]) -> str:
    """Whether the chosen side fell in most pairs."""
    return _collect(runs, _displaced)


def read_masked(side: str) -> Reading:
    """For `chosen` or `rejected`: whether masked tokens moved less than active ones."""

    def read(runs: Mapping[str, Curves]) -> str:
        return _collect(runs, lambda curves: _masked(curves, side))

    return read


def read_speed(runs: Mapping[str, Curves]) -> str:
    """The median, because single steps vary widely."""
    return _collect(runs, _speed)


def _loss(curves: Curves) -> str | None:
    points = curves.get(EVAL + "loss", ())
    if len(points) < 2:
        return None
    step, lowest = min(points, key=lambda point: point[1])
    last = points[-1][1]
    if last > lowest:
        return (
            f"on the test split the loss was lowest at step {step:.0f} ({lowest:.3g}) and rose to "
            f"{last:.3g}, a sign of overfitting"
        )
    return "on the test split the loss was lowest at the end"


def _accuracy(curves: Curves) -> str | None:
    points = curves.get("rewards/accuracies", ())
    margins = curves.get("rewards/margins", ())
    if margins and points and margins[0][1] == points[0][1] == 0:
        return "it starts at 0, as the model is still the reference and no margin is above zero"
    if len(points) < 2 or points[0][1] < 1:
        return None
    return (
        "every pair had a margin above zero from the first logged step: either the learning "
        "rate is too high, or length alone separates the sides"
    )


def _sides(curves: Curves) -> str | None:
    chosen, rejected = _last(curves, "rewards/chosen"), _last(curves, "rewards/rejected")
    if chosen is None or rejected is None:
        return None
    if chosen < 0 and rejected < 0:
        return "both sides fell, so the model moved away from the chosen side too"
    if chosen >= 0 and rejected < 0:
        return "the chosen side rose and the rejected side fell"
    if chosen < 0:
        return "the chosen side fell and the rejected side rose"
    return "no side fell"


def _displaced(curves: Curves) -> str | None:
    last = _last(curves, "displaced")
    if last is None:
        return None
    if last > 0.5:
        return (
            "most chosen sides fell below the reference; a lower learning rate or nll_weight "
            "may help"
        )
    return "at the end, at most half of the chosen sides were below the reference"


def _masked(curves: Curves, side: str) -> str | None:
    active = _last(curves, f"logratios/{side}_active")
    masked = _last(curves, f"logratios/{side}_masked")
    if active is None or masked is None:
        return None
    values = f"({masked:+.3g} against {active:+.3g})"
    if abs(masked) <= abs(active):
        return f"masked tokens, which have weight 0, moved less than active ones {values}"
    return (
        f"masked tokens, which have weight 0, moved further than active ones {values}: training "
        "on some sentences changed the others"
    )


def _speed(curves: Curves) -> str | None:
    values = [value for _, value in curves.get("tokens_per_s", ())]
    return f"median {median(values):,.0f}" if values else None


def _last(curves: Curves, key: str) -> float | None:
    points = curves.get(key) or curves.get(EVAL + key)
    return points[-1][1] if points else None


def _collect(runs: Mapping[str, Curves], read: Callable[[Curves], str | None]) -> str:
    """One sentence per finding, with the runs that share it if there are several runs."""
    found: dict[str, list[str]] = {}
    for run, curves in runs.items():
        text = read(curves)
        if text:
            found.setdefault(text, []).append(run)
    if len(runs) == 1:
        return " ".join(f"{text[:1].upper()}{text[1:]}." for text in found)
    return " ".join(f"{', '.join(names)}: {text}." for text, names in found.items())
