"""Reads the annotations of a job while they are written, row by row, across attempts.

The rule: a reader is at a row number, not at a place in a file. All attempts write the same rows in
the same order, so it continues at its number in the file of a later attempt: every row comes once.
Only `retry-failed` adds rows in between; a reader that was at work before it begins again.
"""

from __future__ import annotations

from pathlib import Path

from annotator.service.jobs.job import Job
from annotator.service.jobs.jobs import Jobs, JobStateError

_CHUNK_BYTES = 1 << 18


class ResultReader:
    """The rows of one job, from row number `first` on (from 0). Used by one thread at a time."""

    def __init__(self, jobs: Jobs, job_id: str, *, first: int = 0) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._next = first
        self._path: Path | None = None
        self._offset = 0
        self._row = 0  # the number of the row at the offset

    def read(self) -> tuple[bytes, bool]:
        """More whole rows, possibly none yet, and whether there will be no more.

        Raises JobStateError where the results have expired, UnknownJobError where the job was
        removed.
        """
        job = self._jobs.get(self._job_id)
        if job.state == "expired":
            raise JobStateError("the results of the job have expired")
        path = self._find(job)
        if path != self._path:
            self._path, self._offset, self._row = path, 0, 0
        try:
            while chunk := self._read_chunk(path):
                if rows := self._from_next(chunk):
                    return rows, False
        except FileNotFoundError:  # not begun yet, or just put in its final place
            pass
        return b"", job.has_ended

    def _find(self, job: Job) -> Path:
        """The complete file of a job that has ended, else that of its last attempt."""
        whole = self._jobs.folders.annotations(job)
        if job.has_ended and whole.exists():
            return whole
        return self._jobs.folders.part(job)

    def _read_chunk(self, path: Path) -> bytes:
        """Whole rows from the offset on."""
        with path.open("rb") as handle:
            handle.seek(self._offset)
            data = handle.read(_CHUNK_BYTES)
            while b"\n" not in data and (more := handle.read(_CHUNK_BYTES)):
                data += more
        data = data[: data.rfind(b"\n") + 1]
        self._offset += len(data)
        return data

    def _from_next(self, data: bytes) -> bytes:
        """`data` without the rows before the next one."""
        count = data.count(b"\n")
        skipped = min(max(self._next - self._row, 0), count)
        self._row += count
        self._next = max(self._next, self._row)
        return data if not skipped else b"".join(data.splitlines(keepends=True)[skipped:])
