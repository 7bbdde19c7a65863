"""The lab of the study: keys, order, resuming, workers that die, and the real kinds end to end."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from study_lab_kinds import FAKE_KINDS

from maskdpo.study.lab.kinds import KINDS
from maskdpo.study.lab.lab import Lab
from maskdpo.study.lab.results import read_result, total_cpu_seconds
from maskdpo.study.lab.schedule import Schedule, find_missing
from maskdpo.study.lab.task import Result, Task
from schemas.errors import BackendError, ConfigError, InputError
from schemas.events import Advanced, Ended, Event, Noted, Started

TESTS = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def _fake_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kind in FAKE_KINDS.items():
        monkeypatch.setitem(KINDS, name, kind)


def number(value: int, **settings: object) -> Task:
    return Task("number", {"value": value, **settings})


def add(left: Task, right: Task, factor: int = 1) -> Task:
    return Task("sum", {"factor": factor}, {"left": left, "right": right})


def calls(folder: Path) -> Counter[str]:
    """How often each task was begun, by its folder's name."""
    path = folder / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(line.split()[0] for line in lines)


# Keys.


def test_a_key_depends_on_kind_version_settings_and_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    task = add(number(1), number(2))
    assert task.key == add(number(1), number(2)).key
    others = [
        add(number(2), number(1)),
        add(number(1), number(3)),
        add(number(1), number(2), factor=2),
        number(1),
    ]
    assert len({task, *others}) == 5
    before = task.key
    monkeypatch.setitem(KINDS, "number", replace(KINDS["number"], version=2))
    assert add(number(1), number(2)).key != before


def test_defaults_are_part_of_a_key() -> None:
    assert Task("number") == number(1)
    assert Task("number").settings == {"value": 1, "waits_for": None, "fails": ""}
    assert Task("number").name == f"number-{Task('number').key[:16]}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Task("numbr"), "did you mean 'number'"),
        (lambda: Task("number", {"valu": 1}), "did you mean 'value'"),
        (lambda: Task("sum"), r"inputs are none, but must be left \(number or sum\)"),
        (
            lambda: Task("sum", {}, {"left": Task("threads"), "right": number(1)}),
            r"left \(threads\), right \(number\), but",
        ),
    ],
)
def test_a_wrong_task_is_refused_when_it_is_made(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match=message):
        make()


# Order.


def test_inputs_come_first_and_the_longest_chain_before_the_rest() -> None:
    short, first = number(1), number(2)
    middle = add(first, number(3))
    last = add(middle, first)
    missing, found = find_missing([short, last, last], lambda task: None)
    assert not found and missing == [short, first, number(3), middle, last]
    schedule = Schedule(missing=missing, results={})
    order = []
    while (task := schedule.take()) is not None:
        order.append(task)
    assert order == [first, number(3), short]  # the others need results
    for task in order:
        assert schedule.end(task, Result(folder=Path(task.name), values={})) == [task]
    assert schedule.take() == middle and schedule.take() is None


def test_inputs_of_finished_tasks_are_not_done_again() -> None:
    done = add(number(1), number(2))
    results = {done: Result(folder=Path("x"), values={})}
    missing, found = find_missing([done, add(done, number(3))], results.get)
    assert missing == [number(3), add(done, number(3))] and found == results


def test_an_impossible_result_of_an_earlier_run_stops_what_needs_it() -> None:
    bad = number(1)
    above = add(bad, number(2))
    top = add(above, number(3))
    missing, found = find_missing([top], {bad: _impossible("no pair")}.get)
    schedule = Schedule(missing=missing, results=found)
    assert {schedule.take(), schedule.take()} == {number(2), number(3)} and schedule.num_open == 2
    assert schedule.results[top].impossible == "no pair"


def _impossible(reason: str) -> Result:
    return Result(folder=Path("x"), values={}, impossible=reason)


# Running.


def test_a_run_does_what_is_missing_and_reports_it(tmp_path: Path) -> None:
    events: list[Event] = []
    one, two = number(1), number(2)
    total = add(add(one, two), two, factor=10)
    results = Lab(folder=tmp_path, on_event=events.append).run([total])
    assert results[total].values == {"value": 50}
    assert set(results) == {one, two, add(one, two), total}
    assert calls(tmp_path) == {task.name: 1 for task in results}
    started = [event for event in events if isinstance(event, Started)]
    assert [event.total for event in started] == [4]
    assert sum(event.count for event in events if isinstance(event, Advanced)) == 4
    assert isinstance(events[-1], Ended) and isinstance(events[0], Noted)
    assert "4 tasks to do" in events[0].text
    described = json.loads((tmp_path / total.name / "task.json").read_text())
    assert described["inputs"]["right"] == two.name and described["settings"] == {"factor": 10}

    again = Lab(folder=tmp_path, workers=1).run([total, add(one, one)])
    assert again[total] == results[total] and again[add(one, one)].values == {"value": 2}
    assert calls(tmp_path) == {task.name: 1 for task in again}
    both = [*results.values(), *again.values()]
    assert total_cpu_seconds(both) == math.fsum(result.cpu_seconds for result in again.values())


def test_output_of_a_task_goes_into_its_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    task = number(5)
    Lab(folder=tmp_path).run([task])
    assert (tmp_path / task.name / "log.txt").read_text() == "output of 5\noutput of a child\n"
    assert capfd.readouterr() == ("", "")


def test_a_worker_has_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    task = Task("threads")
    found = Lab(folder=tmp_path).run([task])[task]
    assert found.values == {"threads": 1, "variable": "1"}


def test_a_task_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    bad, good = number(7, fails="raise"), add(number(1), number(2))
    with pytest.raises(BackendError) as caught:
        Lab(folder=tmp_path).run([add(add(bad, good), good), good])
    message = str(caught.value)
    assert "tasks failed: 1, 2 that need them were skipped" in message
    assert f"{bad.name} failed: ValueError: seven is not allowed (log: " in message
    log = tmp_path / bad.name / "log.txt"
    assert str(log) in message and "Traceback" in log.read_text()
    assert read_result(tmp_path, good) is not None


def test_nan_is_no_result(tmp_path: Path) -> None:
    task = number(1, fails="nan")
    with pytest.raises(BackendError, match="not JSON compliant"):
        Lab(folder=tmp_path).run([task])
    assert read_result(tmp_path, task) is None


def test_an_impossible_task_is_a_result_and_is_not_tried_again(tmp_path: Path) -> None:
    events: list[Event] = []
    bad = number(7, fails="impossible")
    above = add(add(bad, number(1)), number(1))
    for _ in range(2):
        results = Lab(folder=tmp_path, on_event=events.append).run([above])
        assert results[above].impossible == "there is no pair" and results[above].values == {}
    assert calls(tmp_path)[bad.name] == 1
    assert f"{bad.name} is impossible: there is no pair" in [
        event.text for event in events if isinstance(event, Noted)
    ]
    assert not (tmp_path / above.name).exists()


def test_a_worker_that_is_killed_is_reported_and_the_next_run_continues(tmp_path: Path) -> None:
    killed = number(7, fails="kill")
    others = [number(value) for value in range(3)]
    with pytest.raises(BackendError) as caught:
        Lab(folder=tmp_path, workers=1).run([killed, *others])
    log = tmp_path / killed.name / "log.txt"
    expected = (
        f"{killed.name} was not finished: its worker process was killed by signal 9 (log: {log})"
    )
    assert expected in str(caught.value)
    results = Lab(folder=tmp_path, workers=1).run([killed, *others])
    assert results[killed].values == {"value": 7}
    assert calls(tmp_path) == {killed.name: 2} | {task.name: 1 for task in others}


DRIVER = """
import sys
from pathlib import Path
from study_lab_kinds import FAKE_KINDS
from maskdpo.study.lab.kinds import KINDS
from maskdpo.study.lab.lab import Lab
from maskdpo.study.lab.task import Task

if __name__ == "__main__":
    KINDS.update(FAKE_KINDS)
    folder = Path(sys.argv[1])
    done = Task("number", {"value": 1})
    slow = Task("number", {"value": 2, "waits_for": str(folder / "go")})
    Lab(folder=folder).run([Task("sum", {}, {"left": done, "right": slow})])
"""


def test_a_program_that_is_killed_loses_only_what_was_in_progress(tmp_path: Path) -> None:
    script, folder = tmp_path / "driver.py", tmp_path / "lab"
    script.write_text(DRIVER)
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    environment = {**os.environ, "PYTHONPATH": path}
    first = subprocess.Popen([sys.executable, str(script), str(folder)], env=environment)
    done, slow = number(1), number(2, waits_for=str(folder / "go"))
    _wait(lambda: read_result(folder, done) is not None and calls(folder)[slow.name] == 1)
    with pytest.raises(BackendError, match="is being written by another process"):
        Lab(folder=folder).run([done])
    workers = {int(line.split()[2]) for line in (folder / "calls").read_text().splitlines()}
    first.send_signal(signal.SIGKILL)
    first.wait()
    _wait(lambda: not any(_is_alive(pid) for pid in workers))
    (folder / "go").touch()
    total = add(done, slow)
    assert Lab(folder=folder).run([total])[total].values == {"value": 3}
    assert calls(folder) == {done.name: 1, slow.name: 2, total.name: 1}


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _wait(is_true: object) -> None:
    assert callable(is_true)
    for _ in range(3000):
        if is_true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within 30 s")


def test_a_result_of_another_task_is_refused(tmp_path: Path) -> None:
    task = number(1)
    Lab(folder=tmp_path).run([task])
    path = tmp_path / task.name / "result.json"
    path.write_text(path.read_text().replace(task.key, "0" * 64))
    with pytest.raises(InputError, match="result of another task"):
        Lab(folder=tmp_path).run([task])
    path.write_text("{")
    with pytest.raises(InputError, match="is not a result of the study"):
        Lab(folder=tmp_path).run([task])
