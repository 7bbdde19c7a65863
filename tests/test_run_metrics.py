"""Metrics as data and as text: they add up, any process may count, and collectors read the text."""

from __future__ import annotations

import asyncio
import math
import os
import pickle
import re
import threading
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_text import faults_for_textfile, read_text
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from annotator.calls.metrics.counting import RunMetrics, listen
from annotator.calls.metrics.families import BOUNDS, FAMILIES
from annotator.calls.metrics.metrics_file import MetricsFile, is_metrics
from annotator.calls.metrics.rendering import to_openmetrics
from annotator.calls.metrics.snapshot import MetricsBoard, MetricsSnapshot, add_up
from annotator.calls.running.pace_reports import reporting_paces, server_name
from annotator.models.pacing.reports import PaceState
from schemas.errors import ConfigError, InputError, LimitReachedError
from schemas.events import (
    CallAnswered,
    CallAsked,
    CallDropped,
    CallFailed,
    CallRetried,
    CallsServed,
    Event,
    RowsFinished,
    RowsFound,
    ServerPace,
    ServersPaced,
    heard_by,
    ignore,
)


def answered(key: str = "k", *, seconds: float | None = 0.1, cost: float | None = 0.25) -> Event:
    return CallAnswered(
        key=key,
        prompt=100,
        cached=40,
        completion=7,
        cost=cost,
        currency="EUR",
        seconds=seconds,
    )


def paced(*, refused: int, rate: float | None = 40.0) -> Event:
    state = ServerPace(
        server="127.0.0.1:8000",
        under_way=3,
        room=5,
        rate=rate,
        waiting=2,
        sent=10 * refused,
        refused=refused,
    )
    return ServersPaced(servers=[state])


EVENTS: list[Event] = [
    CallAsked(key="a"),
    CallAsked(key="b"),
    answered("a"),
    answered("a", seconds=None, cost=None),
    answered("a", seconds=1000.0),
    CallFailed(key="b", reason="timeout", detail="a secret"),
    CallFailed(key="b", reason="no server at 10.0.0.7", detail=""),
    CallDropped(key="c"),
    CallRetried(key="b", reason="http_429", wait_s=1.0),
    CallsServed(count=3),
    RowsFound(count=5),
    RowsFinished(done=2, labels={"no_fact": 4, "unverifiable": 2}),
    RowsFinished(failed=1),
]


def count(
    *events: Event, role: Any = "judge", name: str = "default", at: float = 9.0
) -> RunMetrics:
    metrics = RunMetrics(clock=lambda: at)
    tell = metrics.listener(role, name)
    for event in events:
        tell(event)
    return metrics


def read(snapshot: MetricsSnapshot) -> dict[tuple[str, ...], float]:
    return read_text(to_openmetrics(snapshot))


def test_each_event_is_counted() -> None:
    found = read(count(*EVENTS).snapshot())
    judge = ("default", "judge")
    assert found["maskdpo_calls_total", *judge] == 2
    assert found["maskdpo_calls_from_store_total", *judge] == 3
    assert found["maskdpo_calls_failed_total", "default", "timeout", "judge"] == 1
    assert found["maskdpo_calls_failed_total", "default", "other", "judge"] == 1
    assert found["maskdpo_calls_retried_total", "default", "http_429", "judge"] == 1
    assert found["maskdpo_tokens_total", "prompt", *judge] == 300
    assert found["maskdpo_tokens_total", "cached", *judge] == 120
    assert found["maskdpo_tokens_total", "completion", *judge] == 21
    assert found["maskdpo_cost_total", "EUR", *judge] == 0.5
    assert found["maskdpo_calls_under_way", *judge] == 2 - 3 - 2 - 1
    assert found["maskdpo_call_seconds_count", *judge] == 2
    assert found["maskdpo_call_seconds_sum", *judge] == 1000.1
    assert found["maskdpo_rows_found_total", *judge] == 5
    assert found["maskdpo_rows_total", "default", "done", "judge"] == 2
    assert found["maskdpo_rows_total", "default", "failed", "judge"] == 1
    assert found["maskdpo_sentences_total", "no_fact", *judge] == 4
    assert found["maskdpo_sentences_total", "contradictory", *judge] == 0
    assert found["maskdpo_start_time_seconds",] == 9.0
    assert found["maskdpo_build_info", version("maskdpo")] == 1


def test_no_text_of_an_event_is_in_the_metrics() -> None:
    text = to_openmetrics(count(*EVENTS).snapshot())
    assert b"secret" not in text and b"10.0.0.7" not in text


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0.0, 0.005), (0.005, 0.005), (0.0051, 0.01), (300.0, 300.0), (301, None)],
)
def test_a_bucket_has_what_is_at_most_its_bound(seconds: float, bound: float | None) -> None:
    found = read(count(answered(seconds=seconds)).snapshot())
    for item in BOUNDS:
        has = bound is not None and item >= bound
        assert found["maskdpo_call_seconds_bucket", str(item), "default", "judge"] == has
    assert found["maskdpo_call_seconds_bucket", "+Inf", "default", "judge"] == 1


def test_what_is_known_to_exist_is_0_and_what_is_not_is_left_out() -> None:
    found = read(count(role="policy").snapshot())
    assert found["maskdpo_calls_total", "default", "policy"] == 0
    assert found["maskdpo_tokens_total", "cached", "default", "policy"] == 0
    assert found["maskdpo_call_seconds_bucket", "+Inf", "default", "policy"] == 0
    assert not any("cost" in key[0] or "server" in key[0] or "sent" in key[0] for key in found)


def test_servers_are_gauges_and_their_refusals_add_up_over_backends() -> None:
    metrics = RunMetrics()
    tell = metrics.listener("judge")
    server = ("default", "judge", "127.0.0.1:8000")
    tell(paced(refused=4))  # of an earlier piece of work
    tell(paced(refused=7))
    tell(paced(refused=10))
    found = read(metrics.snapshot())
    assert found["maskdpo_server_calls", *server] == 3
    assert found["maskdpo_server_room", *server] == 5
    assert found["maskdpo_server_rate", *server] == 40
    assert found["maskdpo_server_waiting", *server] == 2
    assert found["maskdpo_server_refused_total", *server] == 6
    assert found["maskdpo_server_sent_total", *server] == 60
    tell(paced(refused=1, rate=None))  # of a backend that was made later
    found = read(metrics.snapshot())
    assert found["maskdpo_server_refused_total", *server] == 7
    assert found["maskdpo_server_sent_total", *server] == 70
    assert ("maskdpo_server_rate", *server) not in found


def test_users_of_models_are_counted_apart() -> None:
    metrics = RunMetrics()
    metrics.listener("policy", "base")(CallAsked(key="a"))
    metrics.listener("policy", "dpo")(CallAsked(key="a"))
    metrics.listener("policy", "dpo")(CallAsked(key="b"))
    found = read(metrics.snapshot())
    assert found["maskdpo_calls_total", "base", "policy"] == 1
    assert found["maskdpo_calls_total", "dpo", "policy"] == 2


def test_without_metrics_nothing_listens() -> None:
    assert listen(None, "judge") is ignore
    heard: list[Event] = []
    assert heard_by(ignore, heard.append, ignore) == heard.append
    assert heard_by(ignore) is ignore
    heard_by(heard.append, heard.append)(CallsServed(count=1))
    assert len(heard) == 2


# Snapshots

events_of_a_process = st.lists(st.sampled_from([*EVENTS, paced(refused=2)]), max_size=12)


@given(st.lists(events_of_a_process, min_size=1, max_size=4), st.randoms())
def test_the_sum_of_processes_is_what_one_process_would_have_counted(
    parts: list[list[Event]], random: Any
) -> None:
    shares = [count(*events, at=float(n)).snapshot() for n, events in enumerate(parts)]
    random.shuffle(shares)
    total = add_up(pickle.loads(pickle.dumps(shares)))
    alone = count(*(event for events in parts for event in events), at=0.0).snapshot()
    counted = {key for key in alone.values if not key[0].startswith("server_")}
    for key in counted:
        assert math.isclose(total.values[key], alone.values[key]), key
    assert [item.counts for item in total.observed.values()] == [
        item.counts for item in alone.observed.values()
    ]


def test_an_empty_snapshot_changes_nothing() -> None:
    snapshot = count(*EVENTS, paced(refused=1)).snapshot()
    assert snapshot + MetricsSnapshot() == MetricsSnapshot() + snapshot == snapshot


def test_a_snapshot_does_not_change_when_counting_continues() -> None:
    metrics = count(*EVENTS)
    before = metrics.snapshot()
    kept = pickle.loads(pickle.dumps(before))
    metrics.listener("judge")(answered())
    assert before == kept != metrics.snapshot()


def test_the_counts_of_other_processes_are_included() -> None:
    metrics, other = count(CallAsked(key="a")), count(CallAsked(key="b"), role="policy")
    metrics.include(other.snapshot)
    assert read(metrics.snapshot())["maskdpo_calls_total", "default", "policy"] == 1
    other.listener("policy")(CallAsked(key="c"))
    assert read(metrics.snapshot())["maskdpo_calls_total", "default", "policy"] == 2
    assert read(metrics.snapshot())["maskdpo_calls_total", "default", "judge"] == 1


def test_a_board_keeps_what_an_ended_process_counted_but_not_its_present() -> None:
    board = MetricsBoard()
    board.put("piece 1", count(CallAsked(key="a")).snapshot())
    events = [paced(refused=3), CallAsked(key="a"), CallAsked(key="b"), paced(refused=4)]
    board.put("piece 1", count(*events).snapshot())
    board.put("piece 2", count(CallAsked(key="c")).snapshot())
    judge, server = ("default", "judge"), ("default", "judge", "127.0.0.1:8000")
    assert read(board.total())["maskdpo_calls_total", *judge] == 3
    assert read(board.total())["maskdpo_calls_under_way", *judge] == 3
    board.end("piece 1")
    board.end("piece 1")
    found = read(board.total())
    assert found["maskdpo_calls_total", *judge] == 3
    assert found["maskdpo_calls_under_way", *judge] == 1
    assert found["maskdpo_server_refused_total", *server] == 1
    assert ("maskdpo_server_room", *server) not in found


def test_the_rows_of_an_ended_process_stay() -> None:
    board = MetricsBoard()
    for piece in ("piece 1", "piece 2"):
        board.put(piece, count(RowsFound(count=5), RowsFinished(done=5)).snapshot())
        board.end(piece)
    assert read(board.total())["maskdpo_rows_total", "default", "done", "judge"] == 10


def test_the_rows_of_a_dead_process_are_counted_by_the_one_that_does_them_again() -> None:
    board = MetricsBoard()
    events = [CallAsked(key="a"), RowsFound(count=5), RowsFinished(done=2, labels={"no_fact": 4})]
    board.put("piece", count(*events).snapshot())
    board.end("piece", is_lost=True)
    board.put("piece", count(RowsFound(count=5)).snapshot())
    found = read(board.total())
    assert found["maskdpo_calls_total", "default", "judge"] == 1
    assert found["maskdpo_rows_found_total", "default", "judge"] == 5
    assert found["maskdpo_rows_total", "default", "done", "judge"] == 0
    assert found["maskdpo_sentences_total", "no_fact", "default", "judge"] == 0


def test_threads_lose_no_count() -> None:
    metrics = RunMetrics()

    def work() -> None:
        tell = metrics.listener("judge")
        for _ in range(2000):
            tell(CallAsked(key="a"))
            tell(answered())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        metrics.snapshot()
    found = read(metrics.snapshot())
    assert found["maskdpo_calls_total", "default", "judge"] == 8000
    assert found["maskdpo_call_seconds_count", "default", "judge"] == 8000
    assert found["maskdpo_calls_under_way", "default", "judge"] == 0


# Text

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(names)
def test_any_name_of_the_settings_can_be_read_again(name: str) -> None:
    found = read(count(CallAsked(key="a"), name=name).snapshot())
    assert found["maskdpo_calls_total", name, "judge"] == 1


def test_every_family_can_be_read_by_both_kinds_of_collectors() -> None:
    snapshot = count(*EVENTS, paced(refused=1)).snapshot()
    state = MetricsSnapshot(values={("run_state", "done"): 1.0})
    text = to_openmetrics(snapshot + state)
    assert text.endswith(b"# EOF\n") and text.count(b"# EOF") == 1
    families = {item.name: item for item in text_string_to_metric_families(text.decode())}
    assert list(families) == [f"maskdpo_{name}" for name in FAMILIES]
    for name, family in FAMILIES.items():
        found = families[f"maskdpo_{name}"]
        assert (found.type, found.documentation, found.unit) == (
            family.kind,
            family.text,
            family.unit,
        )
        labels = {tuple(sorted(set(item.labels) - {"le"})) for item in found.samples}
        assert labels == {tuple(sorted(family.label_names))}
        assert any(item.name == family.sample for item in found.samples)
    assert faults_for_textfile(text.decode()) == []


def test_the_check_for_the_textfile_collector_finds_what_it_refuses() -> None:
    lines = ["# TYPE a info", '# HELP a "quoted"', 'a{b="c"} 1 1700000000', "a 1 # {} 2"]
    assert faults_for_textfile("\n".join(lines)) == lines
    assert faults_for_textfile('# TYPE a counter\n# EOF\na{b="c d"} 1.5e+09\na 3') == []


# File


def state(path: Path) -> str:
    (found,) = [
        key[1]
        for key, value in read_text(path.read_bytes()).items()
        if key[0] == "maskdpo_run_state" and value
    ]
    return found


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, "done"),
        (LimitReachedError("max_calls"), "stopped"),
        (KeyboardInterrupt(), "stopped"),
        (ConfigError("bad"), "failed"),
        (SystemExit(0), "done"),
        (SystemExit(3), "failed"),
        (RuntimeError("a fault of the code"), "failed"),
    ],
)
def test_a_file_has_the_end_of_its_run(
    tmp_path: Path, error: BaseException | None, expected: str
) -> None:
    path, metrics = tmp_path / "run.prom", RunMetrics()
    tell = metrics.listener("judge")
    try:
        with MetricsFile(path, metrics.snapshot, every_s=60):
            assert state(path) == "running"
            tell(CallAsked(key="a"))
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    assert state(path) == expected
    assert read_text(path.read_bytes())["maskdpo_calls_total", "default", "judge"] == 1
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_caller_may_name_errors_that_stop_a_run(tmp_path: Path) -> None:
    path = tmp_path / "run.prom"
    with (
        pytest.raises(EOFError),
        MetricsFile(path, RunMetrics().snapshot, stops=(EOFError,)),
    ):
        raise EOFError
    assert state(path) == "stopped"


def test_a_second_ctrl_c_does_not_leave_a_running_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.prom"

    def join(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", join)
    with pytest.raises(KeyboardInterrupt), MetricsFile(path, RunMetrics().snapshot):
        raise KeyboardInterrupt
    assert state(path) == "stopped"


def test_a_file_is_written_again_while_the_run_works(tmp_path: Path) -> None:
    path, metrics, reads = tmp_path / "run.prom", RunMetrics(), threading.Semaphore(0)

    def snapshot() -> MetricsSnapshot:
        reads.release()
        return metrics.snapshot()

    with MetricsFile(path, snapshot, every_s=0.01):
        for _ in range(4):
            assert reads.acquire(timeout=60)
        assert state(path) == "running"
    num_left = 0
    while reads.acquire(blocking=False):
        num_left += 1
    assert num_left >= 1  # the last one


def test_a_former_file_of_metrics_is_replaced_and_another_file_is_not(tmp_path: Path) -> None:
    path, metrics = tmp_path / "run.prom", RunMetrics()
    for _ in range(2):
        with MetricsFile(path, metrics.snapshot):
            pass
    assert is_metrics(path)
    path.write_text("# my notes\n")
    with pytest.raises(ConfigError, match="--metrics FILE"), MetricsFile(path, metrics.snapshot):
        pass
    assert path.read_text() == "# my notes\n"
    assert not is_metrics(path) and not is_metrics(tmp_path / "missing")


def test_a_file_that_cannot_be_written_is_reported_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = MetricsFile(tmp_path / "file" / "run.prom", RunMetrics().snapshot)
    with pytest.raises(InputError, match=r"cannot be written \(.*\); choose another file"), file:
        raise AssertionError("the run began")


def test_a_disk_that_is_full_later_is_reported_once_and_ends_nothing(tmp_path: Path) -> None:
    folder, warnings = tmp_path / "metrics", list[str]()
    path, reads = folder / "run.prom", threading.Semaphore(0)

    def snapshot() -> MetricsSnapshot:
        if path.exists():
            path.unlink()
            folder.rmdir()
            folder.write_text("")  # a file, where the folder was
        reads.release()
        return RunMetrics().snapshot()

    with MetricsFile(path, snapshot, every_s=0.01, warn=warnings.append):
        for _ in range(4):
            assert reads.acquire(timeout=60)
    assert len(warnings) == 1
    assert f"metrics cannot be written to {path}" in warnings[0]
    assert warnings[0].endswith("; the run continues")


# Servers


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000"),
        ("https://user:key@Judge.example/v1?token=secret", "judge.example:443"),
        ("http://judge", "judge:80"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
    ],
)
def test_a_server_is_named_by_host_and_port(url: str, name: str) -> None:
    assert server_name(url) == name


class Paced:
    """A backend whose server is asked for its pace."""

    def __init__(self) -> None:
        self.in_flight = 1

    def paces(self) -> list[PaceState]:
        state = PaceState(
            url="http://a:1/v1",
            in_flight=self.in_flight,
            room=4,
            rate=None,
            num_sent=9,
            num_refused=2,
            num_waiting=3,
        )
        return [state]


def test_paces_are_reported_at_the_start_and_when_all_calls_have_ended() -> None:
    heard: list[Event] = []
    backend = Paced()

    async def run() -> None:
        async with reporting_paces(backend, heard.append):
            await asyncio.sleep(0)
            backend.in_flight = 0
        async with reporting_paces(backend, ignore), reporting_paces(object(), heard.append):
            await asyncio.sleep(0)

    asyncio.run(run())
    at_first = ServerPace(server="a:1", under_way=1, room=4, waiting=3, sent=9, refused=2)
    at_last = replace(at_first, under_way=0)
    assert heard == [ServersPaced(servers=[at_first]), ServersPaced(servers=[at_last])]


def test_a_file_can_be_read_by_other_users_as_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with MetricsFile(tmp_path / "run.prom", RunMetrics().snapshot):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "run.prom").stat().st_mode & 0o777 == 0o644


def test_the_page_lists_every_family() -> None:
    page = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(maskdpo_\w+)` \| (\w+) \| (.*) \| (.+) \|$", page, re.MULTILINE)
    assert listed == [
        (item.sample, item.kind, ", ".join(f"`{name}`" for name in item.label_names), item.text)
        for item in FAMILIES.values()
    ]
    named = set(re.findall(r"maskdpo_\w+", page))
    assert named <= {item.sample for item in FAMILIES.values()} | {"maskdpo_call_seconds"}
