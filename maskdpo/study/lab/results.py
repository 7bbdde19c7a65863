"""The folder of a task: what it is (task.json), what it gave (result.json), its log (log.txt).

The rule: result.json is written last, and atomically. A folder without it is unfinished, whatever
else is in it, and its task is done again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from maskdpo.study.lab.task import Result, Task
from schemas.errors import InputError
from schemas.files.jsonl import read_records
from schemas.files.writing import write_json

LOG_NAME = "log.txt"
RecordT = TypeVar("RecordT", bound=BaseModel)
_TASK_NAME, _RESULT_NAME = "task.json", "result.json"


def folder_of(lab: Path, task: Task) -> Path:
    """The folder of a task inside the folder of a lab."""
    return lab / task.name


def read_result(lab: Path, task: Task) -> Result | None:
    """The result of a finished task; None for an unfinished one.

    Raises InputError for a result.json that cannot be read, or that is of another task.
    """
    path = folder_of(lab, task) / _RESULT_NAME
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        key, values = found["key"], dict(found["values"])
        seconds, impossible = float(found["cpu_seconds"]), str(found["impossible"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError.of(
            path, "is not a result of the study; remove its folder to do the task again"
        ) from None
    if key != task.key:
        raise InputError.of(path, f"is the result of another task ({key}); remove its folder")
    return Result(folder=path.parent, values=values, cpu_seconds=seconds, impossible=impossible)


def write_task(lab: Path, task: Task) -> Path:
    """Make the folder of a task and write its task.json; returns the folder."""
    folder = folder_of(lab, task)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / _TASK_NAME, task.describe())
    return folder


def write_result(
    lab: Path,
    task: Task,
    *,
    values: Mapping[str, Any],
    seconds: float,
    cpu_seconds: float,
    impossible: str = "",
) -> None:
    """Finish a task. Raises ValueError for NaN and infinity, which no result may hold."""
    write_json(
        folder_of(lab, task) / _RESULT_NAME,
        {
            "key": task.key,
            "kind": task.kind,
            "values": dict(values),
            "impossible": impossible,
            "seconds": round(seconds, 3),
            "cpu_seconds": round(cpu_seconds, 3),
        },
    )


def read_all(path: Path, model: type[RecordT]) -> list[RecordT]:
    """The records of a file of a task, of which there may be none."""
    return read_records(path, model) if path.stat().st_size else []


def total_cpu_seconds(results: Iterable[Result]) -> float:
    """CPU seconds of all tasks, each once, whichever run did them."""
    return math.fsum({result.folder: result.cpu_seconds for result in results}.values())
