"""Kills of the driver and of its workers, at random moments (`make test-ray`; some minutes)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ray_driver import NUM_PIECES
from ray_work import lines_of, make_pieces, text_of

TESTS = Path(__file__).resolve().parent.parent
GONE_S = 20.0  # two to five on an idle machine


class Driver:
    """A driver whose output is read from a file."""

    def __init__(self, folder: Path) -> None:
        self._log = folder.with_suffix(".out")
        self.folder = folder
        folder.mkdir(exist_ok=True)
        path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, TESTS / "ray_driver.py", folder],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )

    def lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    def num_done(self) -> int:
        return sum(line.startswith("done") for line in self.lines())

    def wait_for(self, is_so: Callable[[], bool], limit_s: float = 120.0) -> None:
        deadline = time.monotonic() + limit_s
        while not is_so():
            assert time.monotonic() < deadline, self.lines()
            time.sleep(0.05)

    def others(self) -> list[str]:
        """Processes of its session, apart from itself."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.process.pid and fields[0] != "Z":
                    found.append((folder / "comm").read_text().strip())
        return found


@contextmanager
def driver(folder: Path) -> Iterator[Driver]:
    started = Driver(folder)
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.kill(started.process.pid, signal.SIGKILL)
        started.process.wait()


def check_outputs(folder: Path) -> None:
    for piece in make_pieces(folder, NUM_PIECES):
        assert piece.output.read_text() == text_of(piece)


def test_ctrl_c_is_one_line_and_keeps_what_is_finished(tmp_path: Path) -> None:
    with driver(tmp_path / "run") as first:
        first.wait_for(lambda: first.num_done() >= 3)
        os.killpg(first.process.pid, signal.SIGINT)
        assert first.process.wait(GONE_S) == 0
        kept = first.num_done()
        assert [line for line in first.lines() if not line.startswith("done")] == [
            f"missing {NUM_PIECES}",
            "interrupted",
        ]
        first.wait_for(lambda: not first.others(), GONE_S)
    with driver(tmp_path / "run") as second:
        assert second.process.wait(120) == 0
        assert int(second.lines()[0].split()[1]) <= NUM_PIECES - kept
        assert second.lines()[-1] == "end"
    check_outputs(tmp_path / "run")


def test_nothing_outlives_a_killed_driver_and_the_next_one_continues(tmp_path: Path) -> None:
    with driver(tmp_path / "run") as first:
        first.wait_for(lambda: first.num_done() >= 3)
        assert len(first.others()) >= 5
        os.kill(first.process.pid, signal.SIGKILL)
        first.wait_for(lambda: not first.others(), GONE_S)
        first.process.wait()
        kept = first.num_done()
    with driver(tmp_path / "run") as second:
        assert second.process.wait(120) == 0
        assert int(second.lines()[0].split()[1]) <= NUM_PIECES - kept
    check_outputs(tmp_path / "run")
    # Only what was under way was done twice: at most one piece of each worker.
    assert len(lines_of(tmp_path / "run" / "log")) <= NUM_PIECES + 2


@pytest.mark.parametrize("seed", range(2))
def test_ten_workers_killed_at_random_moments_lose_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with driver(tmp_path / "run") as started:
        log = tmp_path / "run" / "log"
        started.wait_for(lambda: bool(lines_of(log)))
        for _ in range(10):
            time.sleep(chance.uniform(0.2, 1.5))
            pids = [int(line.split()[0]) for line in lines_of(log)[-2:]]
            with suppress(ProcessLookupError):
                os.kill(chance.choice(pids), signal.SIGKILL)
        assert started.process.wait(300) == 0
        assert started.lines()[-1] == "end"
        done = [line for line in started.lines() if line.startswith("done")]
        assert len(done) == len(set(done)) == NUM_PIECES
    check_outputs(tmp_path / "run")
