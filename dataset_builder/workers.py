"""Worker processes: one function over many tasks, results in the order of the tasks.

The rule: a worker is a new Python process that imports this project and nothing of the caller's
program, so a script without `if __name__ == "__main__"` works; what it needs is sent to it, and it
ends when the caller does. At most PER_WORKER tasks per worker are begun before the first result is
taken, which bounds memory. With one worker everything is done in the caller's process.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import queue
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from schemas.errors import BackendError

Task_contra = TypeVar("Task_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)
PER_WORKER = 3
_END_S = 30.0  # how long a worker that ended its output may take to end
_START = "import sys; sys.path[:] = {path!r}; from dataset_builder.workers import serve; serve()"


class Job(Protocol[Task_contra, Result_co]):
    """What one process does with its tasks."""

    def __call__(self, task: Task_contra, /) -> Result_co:
        """Do one task."""

    def close(self) -> None:
        """Release files; called where the tasks end."""


class Workers:
    """`number` processes, which start at the first use. Use it as a context manager."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._all: list[_Worker] = []
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            worker.end()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def map(
        self, make_job: Callable[[], Job[Task_contra, Result_co]], tasks: Iterable[Task_contra]
    ) -> Iterator[Result_co]:
        """The result of each task, in order.

        make_job    called once in each process; it is pickled, as are tasks and results

        An error of a task is raised in its turn, and one of `tasks` after the results of those
        before it. Raises BackendError when a process ends.
        """
        if self.number == 1:
            with contextlib.closing(make_job()) as job:
                yield from map(job, tasks)
            return
        self._start()
        assert self._threads is not None
        begin = pickle.dumps(make_job)
        source, failure = iter(tasks), None
        pending: deque[Future[Any]] = deque()
        is_open = True
        while is_open or pending:
            while is_open and len(pending) < PER_WORKER * self.number:
                try:
                    task = next(source)
                except StopIteration:
                    is_open = False
                except Exception as error:
                    is_open, failure = False, error
                else:
                    pending.append(self._threads.submit(self._ask, begin, task))
            if pending:
                yield pending.popleft().result()
        if failure is not None:
            raise failure

    def _start(self) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.number)
            for _ in range(self.number):
                self._all.append(_Worker())
                self._idle.put(self._all[-1])

    def _ask(self, begin: bytes, task: Any) -> Any:
        worker = self._idle.get()
        try:
            return worker.ask(begin, task)
        finally:
            self._idle.put(worker)


class _Worker:
    """One process, and the job that it was given last."""

    def __init__(self) -> None:
        self._job: bytes | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is the caller's: it ends its workers.
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def ask(self, begin: bytes, task: Any) -> Any:
        """The result of one task of the job `begin`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            # The job is sent with the first of its tasks.
            pickle.dump((None if self._job is begin else begin, task), self._process.stdin)
            self._job = begin
            self._process.stdin.flush()
            kind, value = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise BackendError(self._describe_end()) from None
        if kind == "error":
            raise value
        return value

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # the rest of a task that nobody reads
                if stream is not None:
                    stream.close()

    def _describe_end(self) -> str:
        try:
            status = self._process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:  # its results cannot be read, but it works on
            self._process.kill()
            status = self._process.wait()
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return (
            f"a worker process ended {how} before its work was done, and nothing was written; if "
            "memory ran out, use fewer workers (--workers 1), and run the command again"
        )


def serve() -> None:
    """The program of a worker: jobs and tasks from standard input, results to standard output."""
    source = sys.stdin.buffer
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything prints must not be among the results
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)  # rows have no cycles
    job: Any = None
    with contextlib.suppress(EOFError, BrokenPipeError):  # the caller has ended
        while True:
            begin, task = pickle.load(source)
            try:
                job = job if begin is None else pickle.loads(begin)()
                done = pickle.dumps(("result", job(task)), pickle.HIGHEST_PROTOCOL)
            except Exception as error:
                done = _pickle_error(error)
            target.write(done)
            target.flush()


def _pickle_error(error: Exception) -> bytes:
    """An error for the caller; one that cannot be sent becomes its traceback."""
    try:
        done = pickle.dumps(("error", error))
        pickle.loads(done)
    except Exception:
        return pickle.dumps(("error", RuntimeError("".join(traceback.format_exception(error)))))
    return done
