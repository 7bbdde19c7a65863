"""Parts of the engine on Ray that need no cluster: progress of attempts, and the reaper."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ray_work import STAGE, make_pieces

from annotator.scale.on_ray import reaper
from annotator.scale.on_ray.hub import AttemptState
from annotator.scale.on_ray.progress import Progress, add_usage
from schemas.events import Advanced, Event, Usage


class Run:
    """The progress of four pieces of ten rows each."""

    def __init__(self, tmp_path: Path) -> None:
        self.events: list[Advanced] = []
        self.board: list[tuple[Any, ...]] = []
        self.progress = Progress(
            make_pieces(tmp_path, 4), stage=STAGE, on_event=self._keep, board=self
        )

    def _keep(self, event: Event) -> None:
        assert isinstance(event, Advanced)
        self.events.append(event)

    def put(self, piece: str, snapshot: Any) -> None:
        self.board.append(("put", piece, snapshot))

    def end(self, piece: str, *, is_lost: bool = False) -> None:
        self.board.append(("end", piece, is_lost))

    def report(self, *states: AttemptState) -> list[int]:
        again = self.progress.update(states)
        self.progress.emit()
        return again

    @property
    def num_done(self) -> int:
        return sum(event.count for event in self.events)


def state(attempt: str, piece: int, num_done: int, **given: Any) -> AttemptState:
    return AttemptState(attempt=attempt, piece=piece, num_done=num_done, **given)


def test_rows_of_a_lost_attempt_count_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.report(state("0-1", 2, 7, tally=7), state("1-1", 3, 2)) == []
    assert run.num_done == 9
    assert run.report(state("2-1", 2, 1, tally=1)) == [2]
    assert run.num_done == 9
    run.report(state("2-1", 2, 9))
    assert run.num_done == 11
    run.progress.finish(2)
    run.progress.emit()
    assert run.num_done == 12 and run.progress.num_done == 10
    assert run.progress.attempts[2] == 2
    assert run.board == [
        ("put", "3/4", 7),
        ("end", "3/4", True),
        ("put", "3/4", 1),
        ("end", "3/4", False),
    ]


def test_calls_of_a_lost_attempt_were_made(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.report(state("0-1", 0, 5, usage=Usage(asked=20, labels={"supported": 9})))
    run.report(state("1-1", 0, 1, usage=Usage(asked=3, labels={"supported": 1})))
    usage = run.events[-1].usage
    assert usage is not None
    assert usage.asked == 23
    assert usage.labels == {"supported": 1}


def test_nothing_is_reported_without_news(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for _ in range(3):
        run.report(state("0-1", 0, 5, usage=Usage(asked=20)))
    assert len(run.events) == 1
    run.report(state("0-1", 0, 5, usage=Usage(asked=21)))
    assert [event.count for event in run.events] == [5, 0]
    other = Run(tmp_path)
    other.report(state("0-1", 0, 5))
    assert other.events[0].usage is None


def test_usage_is_added() -> None:
    one = Usage(asked=1, prompt=2, cost=0.5, currency="USD", failures={"timeout": 1})
    two = Usage(asked=2, served=3, is_estimated=True, failures={"timeout": 2})
    assert add_usage(one, two) == Usage(
        asked=3,
        served=3,
        prompt=2,
        cost=0.5,
        currency="USD",
        is_estimated=True,
        failures={"timeout": 3},
    )


SLEEP = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]


def test_the_reaper_kills_what_it_was_given(tmp_path: Path) -> None:
    with (
        subprocess.Popen(SLEEP, stdout=subprocess.PIPE) as one,
        subprocess.Popen(SLEEP, stdout=subprocess.PIPE) as two,
    ):
        for process in (one, two):
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        below = reaper.processes_below(os.getpid())
        assert {one.pid, two.pid} <= below.keys() and os.getpid() not in below
        # A number that another process has by now is left alone.
        given = {one.pid: below[one.pid], two.pid: str(int(below[two.pid]) - 1)}
        (tmp_path / "session").mkdir()
        command = [sys.executable, "-I", "-S", reaper.__file__, str(tmp_path / "session")]
        subprocess.run(command, input=json.dumps(given) + "\n", text=True, check=True)
        assert one.wait(60) != 0
        assert two.poll() is None and not (tmp_path / "session").exists()
        (tmp_path / "session").mkdir()
        kept = json.dumps({two.pid: below[two.pid]})
        subprocess.run(command, input=f"{kept}\nend\n", text=True, check=True)
        assert two.poll() is None and (tmp_path / "session").exists()
        two.kill()
