"""A worker process: it does one task after another, on one core, until its connection closes.

The rule: a worker never outlives the program that started it, so no two processes write into one
task's folder; and what a task prints goes into the log in its folder, never to the terminal.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from pathlib import Path

from annotator.scale.piece_lock import only_writer
from maskdpo.study.lab.kinds import KINDS, Kind, find_kind, load_target
from maskdpo.study.lab.results import LOG_NAME, read_result, write_result, write_task
from maskdpo.study.lab.task import Impossible, Job, Task
from schemas.errors import MaskDpoError

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LOG_OF_WORKERS = "workers.log"


@dataclass(frozen=True, kw_only=True)
class Request:
    """A task to do, and the table of kinds, which the program may have extended."""

    task: Task
    kinds: dict[str, Kind]


def serve(requests: connection.Connection, lab: Path) -> None:
    """Do the tasks that come through `requests`; answer each with "" or the reason of its failure.

    The entry point of the process.
    """
    os.setpgid(0, 0)  # Ctrl-C is for the program, which ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in _ONE_THREAD:
        os.environ[name] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _print_to(lab / LOG_OF_WORKERS)
    while True:
        try:
            request: Request = requests.recv()
        except EOFError:
            return
        KINDS.update(request.kinds)
        requests.send(_do_logged(request.task, lab))


def _do_logged(task: Task, lab: Path) -> str:
    """Do a task with its output in its log; returns the reason of a failure, else ""."""
    folder = write_task(lab, task)
    with _logged(folder / LOG_NAME, back_to=lab / LOG_OF_WORKERS):
        try:
            with only_writer(folder / "task"):
                do_task(task, lab)
        except MaskDpoError as error:
            traceback.print_exc()
            return str(error) or type(error).__name__
        except Exception as error:  # any: a fault of one task must not stop the others
            traceback.print_exc()
            return f"{type(error).__name__}: {error}"
    return ""


def do_task(task: Task, lab: Path) -> None:
    """Do a task whose inputs are finished, in this process, and write its result."""
    inputs = {}
    for name, needed in task.inputs.items():
        result = read_result(lab, needed)
        if result is None:
            raise FileNotFoundError(f"{needed.name} has no result.json")
        inputs[name] = result
    job = Job(task=task, folder=write_task(lab, task), inputs=inputs)
    kind = find_kind(task.kind)
    started, cpu_started = time.monotonic(), time.process_time()
    values, impossible = {}, ""
    try:
        values = load_target(kind.run)(job)
    except Impossible as error:
        impossible = str(error)
    write_result(
        lab,
        task,
        values=values,
        seconds=time.monotonic() - started,
        cpu_seconds=time.process_time() - cpu_started,
        impossible=impossible,
    )


@contextmanager
def _logged(path: Path, *, back_to: Path) -> Iterator[None]:
    """Within the block, all output of this process is appended to `path`."""
    _print_to(path)
    try:
        yield
    finally:
        _print_to(back_to)


def _print_to(path: Path) -> None:
    """Append what is printed from here on to `path`, also what C code prints."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for number in (1, 2):
        os.dup2(descriptor, number)
    os.close(descriptor)


def _end_with_parent() -> None:
    """End this process at once when its parent has ended, even in the middle of a task."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
