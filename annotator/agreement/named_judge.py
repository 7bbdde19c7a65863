"""A judge to be measured, with the name it has in the report.

The rule: it is measured under its own settings, which decide the documents that it reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from annotator.calls.estimate import Estimator
from annotator.calls.usage import Meter
from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import Judge


@dataclass(frozen=True, kw_only=True)
class NamedJudge:
    """A judge, its name in this run, and the file it came from, if any.

    settings   the section `annotate` that it is measured with: it decides the documents
    meter      counts its calls; None where it calls no model
    estimator  counts the calls it would make, where no call may be made
    protocol   how its model is asked; empty where it asks none
    """

    name: str
    judge: Judge
    settings: AnnotateConfig
    path: Path | None = None
    meter: Meter | None = None
    estimator: Estimator | None = None
    protocol: str = ""
