"""Kinds of tasks for tests of the lab: numbers to add, tasks that fail, wait or kill their worker.

Every call leaves a line in the file `calls` of the lab, so that tests can count the calls.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from maskdpo.study.lab.kinds import Kind
from maskdpo.study.lab.task import Impossible, Job
from schemas.config import Section


class NumberSettings(Section):
    value: int = 1
    waits_for: str | None = None
    fails: str = ""


class SumSettings(Section):
    factor: int = 1


def number(job: Job) -> dict[str, Any]:
    settings = job.settings(NumberSettings)
    with (job.folder.parent / "calls").open("a") as handle:
        handle.write(f"{job.task.name} {settings.value} {os.getpid()}\n")
    print("output of", settings.value)
    os.system("echo output of a child")
    while settings.waits_for and not Path(settings.waits_for).exists():
        time.sleep(0.01)
    if settings.fails == "raise":
        raise ValueError("seven is not allowed")
    if settings.fails == "impossible":
        raise Impossible("there is no pair")
    if settings.fails == "kill" and not (job.folder / "tried").exists():
        (job.folder / "tried").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": float("nan") if settings.fails == "nan" else settings.value}


def add(job: Job) -> dict[str, Any]:
    with (job.folder.parent / "calls").open("a") as handle:
        handle.write(f"{job.task.name} sum {os.getpid()}\n")
    factor = job.settings(SumSettings).factor
    return {"value": factor * sum(result.values["value"] for result in job.inputs.values())}


def threads(job: Job) -> dict[str, Any]:
    import torch

    return {"threads": torch.get_num_threads(), "variable": os.environ["OMP_NUM_THREADS"]}


def _kind(function: str, settings: str, inputs: dict[str, tuple[str, ...]]) -> Kind:
    return Kind(
        version=1,
        run=f"study_lab_kinds:{function}",
        settings=f"study_lab_kinds:{settings}",
        inputs=inputs,
        seconds=1.0,
    )


FAKE_KINDS = {
    "number": _kind("number", "NumberSettings", {}),
    "sum": _kind("add", "SumSettings", {"left": ("number", "sum"), "right": ("number", "sum")}),
    "threads": _kind("threads", "SumSettings", {}),
}
