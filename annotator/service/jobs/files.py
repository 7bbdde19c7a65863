"""The folders of jobs: RUN/jobs/ID/, and what is removed from them.

The rule: a folder gets its final name when its files are complete, and before its row exists. Only
folders that this module named, and those of expired jobs, are ever removed: others may be a
person's, or those of jobs in another store.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from annotator.service.jobs.job import ANNOTATIONS, Job

FOLDER = "jobs"
_LEFT_OVER_S = 86400.0
_NO_JOBS = re.compile(r"\.(new|old)-[0-9a-f]{16}")  # folders that no job has (yet, or any more)


class JobFolders:
    """The folders of the jobs of the run in `run`."""

    def __init__(self, run: Path) -> None:
        self.root = run / FOLDER

    def of(self, job_id: str) -> Path:
        """The folder of a job."""
        return self.root / job_id

    def annotations(self, job: Job) -> Path:
        """The complete annotations of a job."""
        return self.of(job.id) / ANNOTATIONS

    def part(self, job: Job) -> Path:
        """The rows that the last attempt has written so far.

        Each attempt has a file of its own: a process that lost the job never writes into that of
        another.
        """
        return self.of(job.id) / f"annotations.{job.attempts}.part"

    def begin(self) -> Path:
        """A new folder that is not a job's yet."""
        folder = self.root / f".new-{secrets.token_hex(8)}"
        folder.mkdir(parents=True)
        return folder

    def adopt(self, folder: Path, job_id: str) -> None:
        """Make a new folder that of a job."""
        folder.rename(self.of(job_id))

    def remove(self, job_id: str) -> None:
        """Remove the folder of a job; nothing where there is none."""
        aside = self.root / f".old-{secrets.token_hex(8)}"
        with suppress(FileNotFoundError):
            self.of(job_id).rename(aside)
            discard(aside)

    def remove_parts(self, job: Job) -> None:
        """Remove what earlier attempts had written."""
        for path in self.of(job.id).glob("annotations.*.part"):
            if path != self.part(job):
                path.unlink(missing_ok=True)

    def clear(self, expired: Collection[str]) -> None:
        """Remove the folders of `expired` jobs, and what crashes left a day ago."""
        if not self.root.is_dir():
            return
        for folder in self.root.iterdir():
            with suppress(FileNotFoundError):
                if folder.name in expired:
                    self.remove(folder.name)
                elif _NO_JOBS.fullmatch(folder.name) and _age_s(folder) > _LEFT_OVER_S:
                    discard(folder)


def _age_s(folder: Path) -> float:
    return time.time() - folder.stat().st_mtime


def discard(folder: Path) -> None:
    """Remove a folder and all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)
