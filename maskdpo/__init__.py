"""What users import and type: the Python API below, the command line, and what composes the rest.

The rule: importing this package imports nothing else. A name of the API is imported when it is
first used, so that `maskdpo --help` stays quick. docs/library.md shows how they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from annotator.calls.store import Store
    from annotator.calls.usage import Budget, Limits
    from annotator.judging.annotator import Annotator
    from annotator.judging.config import AnnotateConfig
    from annotator.judging.stream_judge import JudgeProcesses
    from annotator.models.config import SampleConfig
    from annotator.sampling.sampler import Sampler

__all__ = [
    "AnnotateConfig",
    "Annotator",
    "Budget",
    "JudgeProcesses",
    "Limits",
    "SampleConfig",
    "Sampler",
    "Store",
]

_MODULES = {
    "AnnotateConfig": "annotator.judging.config",
    "Annotator": "annotator.judging.annotator",
    "Budget": "annotator.calls.usage",
    "JudgeProcesses": "annotator.judging.stream_judge",
    "Limits": "annotator.calls.usage",
    "SampleConfig": "annotator.models.config",
    "Sampler": "annotator.sampling.sampler",
    "Store": "annotator.calls.store",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
