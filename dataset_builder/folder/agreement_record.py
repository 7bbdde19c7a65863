"""The part of a `maskdpo agreement` report that is added to a manifest.

The rule: only figures, counts and public names are taken, so that it names no path and no host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_builder.pairs import public_name
from schemas.errors import InputError

AGREEMENT_FIGURES = ("balanced_accuracy", "f1_hallucinated", "kappa", "coverage")
_COUNTS = ("num_sentences", "num_responses", "num_groups", "num_hallucinated")
_INTERVAL = ("balanced_accuracy_low", "balanced_accuracy_high")


def read_agreement(path: Path) -> dict[str, Any]:
    """The figures in a file of `maskdpo agreement --output`.

    Raises InputError when the file is not such a report.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        lines = {"": report, **report["baselines"]}
        counts = {key: int(report[key]) for key in _COUNTS}
        figures = {name: _figures(line) for name, line in lines.items()}
        judge = public_name(str(report["judge"]))
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        message = "is not an agreement report; make one with: maskdpo agreement --output FILE"
        raise InputError.of(path, message) from None
    own = figures.pop("")
    return {"judge": judge, **counts, **own, "baselines": figures}


def _figures(line: Mapping[str, Any]) -> dict[str, float | None]:
    names = (*AGREEMENT_FIGURES, *_INTERVAL)
    return {name: None if line.get(name) is None else round(float(line[name]), 6) for name in names}
