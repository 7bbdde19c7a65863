"""Summaries of counted whole numbers: mean, quantiles, histogram, correlation.

The rule: all sums are of whole numbers, so a summary does not depend on the order of counting.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NUM_BINS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """The scale of a summary's whole numbers (value = number / steps) and its histogram's range."""

    steps: int
    low: float | None = None
    high: float | None = None


def summarise(counted: Mapping[int, int], scale: Scale) -> dict[str, Any]:
    """Mean, quantiles and histogram of counted numbers {whole number: how often}."""
    numbers = sorted(number for number, count in counted.items() if count)
    count = sum(counted.values())
    if not count:
        names = ("mean", "min", "p10", "median", "p90", "max")
        return {"count": 0, **dict.fromkeys(names), "edges": [], "counts": []}
    cumulative: list[int] = []
    for number in numbers:
        cumulative.append((cumulative[-1] if cumulative else 0) + counted[number])

    def quantile(share: float) -> float:
        """The least value such that this share of all values is at most as large."""
        rank = max(1, math.ceil(share * count))
        return numbers[bisect_right(cumulative, rank - 1)] / scale.steps

    edges = _edges(numbers, scale)
    bins = [0] * (len(edges) - 1)
    for number in numbers:
        place = bisect_right(edges, number / scale.steps) - 1
        bins[max(0, min(place, len(bins) - 1))] += counted[number]
    return {
        "count": count,
        "mean": _round(sum(number * counted[number] for number in numbers) / count / scale.steps),
        "min": numbers[0] / scale.steps,
        "p10": quantile(0.1),
        "median": quantile(0.5),
        "p90": quantile(0.9),
        "max": numbers[-1] / scale.steps,
        "edges": edges,
        "counts": bins,
    }


def _edges(numbers: Sequence[int], scale: Scale) -> list[float]:
    """Equal bins over the scale's range; lengths: two bins per doubling (32, 48, 64, 96 ...)."""
    if scale.low is not None and scale.high is not None:
        width = (scale.high - scale.low) / NUM_BINS
        return [round(scale.low + width * index, 6) for index in range(NUM_BINS + 1)]
    power = 1 << max(0, max(1, numbers[0]).bit_length() - 1)
    edges: list[float] = [0, 1] if numbers[0] == 0 else [power]
    while edges[-1] <= numbers[-1]:
        edges += [power * 3 // 2, power * 2] if power > 1 else [2]
        power *= 2
    return edges


@dataclass(kw_only=True, slots=True)
class Products:
    """The sums of whole numbers that give a correlation; those of two parts add up."""

    count: int = 0
    x: int = 0
    y: int = 0
    xx: int = 0
    yy: int = 0
    xy: int = 0

    @classmethod
    def of(cls, x: Any, y: Any) -> Products:
        """The sums of two arrays of 64-bit whole numbers."""
        return cls(
            count=len(x),
            x=int(x.sum()),
            y=int(y.sum()),
            xx=int((x * x).sum()),
            yy=int((y * y).sum()),
            xy=int((x * y).sum()),
        )

    def add(self, other: Products) -> None:
        """Add the sums of another part."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def correlation(self) -> float | None:
        """Pearson's correlation, in whole numbers up to the last step; None if one is constant."""
        spread = (self.count * self.xx - self.x**2) * (self.count * self.yy - self.y**2)
        if not spread:
            return None
        return _round((self.count * self.xy - self.x * self.y) / math.sqrt(spread))


def _round(value: float) -> float:
    return round(value, 6)
