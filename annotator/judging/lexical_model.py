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
LEXICAL_VERSION = 2

BIAS = 0.924
WEIGHTS: Mapping[str, float] = {
    "cover_1": -0.418,
    "cover_2": -0.488,
    "cover_5": -0.516,
    "cover_soft": -0.511,
    "missing_numbers": 0.103,
    "missing_names": 0.173,
    "absent_numbers": 0.101,
    "absent_names": 0.150,
    "negation": 0.098,
    "personal": 0.632,
}

# Balanced accuracy against people, each file judged with weights fitted without it (same script).
MEASURED: Mapping[str, float] = {
    "wice_dev": 0.73,
    "begin_wow_dev": 0.76,
    "storysumm_val": 0.56,
    "expertqa_rand_val": 0.58,
    "factcheck_bench": 0.52,
    "uhgeval_first500 (Chinese)": 0.98,
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
