"""Krippendorff's alpha: how far any number of people agree beyond chance, nominal labels.

The contract: `counts` [U, V] holds how many people gave each of V labels to each of U units; who
gave which does not matter. Missing values are people who did not decide: a unit with fewer than two
labels is compared with nothing and is left out.

    alpha = 1 - observed / expected disagreement

    observed    of the pairs of labels that one unit got, the share that differs; a unit with m
                labels weighs m, whatever the number of its pairs
    expected    the same share among all pairs of all labels, without regard to units

1 is full agreement, 0 is what chance gives, below 0 people differ systematically. With two people,
who decided the same units, alpha is close to kappa; it differs because it takes the shares of
labels from both people together.

| degenerate case                                  | alpha                                      |
|--------------------------------------------------|--------------------------------------------|
| no unit with two labels                          | None                                       |
| only one label in all units that count           | None: chance alone would agree always      |
| one unit, with two different labels              | 0.0                                        |

Sources: Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section D (nominal,
missing values); Hayes and Krippendorff, "Answering the Call for a Standard Reliability Measure for
Coding Data" (2007).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MIN_LABELS = 2  # of a unit that counts


def nominal_alpha(counts: NDArray[np.int64] | Sequence[Sequence[int]]) -> float | None:
    """Alpha of whole, non-negative counts [U, V]; None where it is not defined."""
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        return None
    table = table[table.sum(axis=1) >= _MIN_LABELS]
    of_unit, of_label = table.sum(axis=1), table.sum(axis=0)
    num_labels = of_label.sum()
    expected = num_labels**2 - (of_label**2).sum()
    if not expected:
        return None
    # sum over units of (pairs that differ) / (m - 1), in ordered pairs
    observed = ((of_unit**2 - (table**2).sum(axis=1)) / (of_unit - 1)).sum()
    return float(1 - (num_labels - 1) * observed / expected)
