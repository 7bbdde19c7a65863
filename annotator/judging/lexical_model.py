"""The weights of the lexical judge: a logistic regression written out as a table.

The rule that keeps it honest: no feature may speak against its meaning. Coverage can only make a
sentence more likely to be supported, a missing number only less; the fit is bounded so. Made by
`python benchmarks/lexical_fit.py --data DIR --fit`, which prints this table; the files it was
fitted on, and those it never saw, stand in docs/lexical-judge.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

# Raised whenever a change to the judge can change a verdict: it is part of the content key.
LEXICAL_VERSION = 1

BIAS = 0.868
WEIGHTS: Mapping[str, float] = {
    "cover_1": -0.325,
    "cover_2": -0.367,
    "cover_5": -0.408,
    "cover_soft": -0.398,
    "pairs": -0.374,
    "run": -0.319,
    "missing_numbers": 0.081,
    "missing_names": 0.167,
    "absent_numbers": 0.040,
    "absent_names": 0.076,
    "negation": 0.245,
    "personal": 0.612,
}

# Coverage by the five best passages at or above which the plain-overlap line calls a sentence
# supported: the best mean balanced accuracy on the files of the fit, by the same script.
OVERLAP_THRESHOLD = 0.61


def hallucination_score(values: Mapping[str, float]) -> float:
    """A number in (0, 1) that rises with the odds that a sentence is not supported.

    It ranks and decides; it is no probability (see the calibration line of the docs).
    """
    total = BIAS + sum(weight * values[name] for name, weight in WEIGHTS.items())
    return 1.0 / (1.0 + math.exp(-total))
