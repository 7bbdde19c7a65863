"""The engine on Ray with a worker that writes a file per piece; one cluster for all tests."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_work import STAGE, MakeToy, Tallied, lines_of, make_pieces, text_of

from annotator.calls.usage import Limits
from annotator.scale.config import RayConfig
from annotator.scale.on_ray.actor import check_version, enter_folder
from annotator.scale.on_ray.cluster import ADDRESS_VARIABLE, find_address, ray_cluster
from annotator.scale.on_ray.engine import RayRun, run_on_ray
from annotator.scale.on_ray.local_cluster import local_folder, remove_left_folders
from annotator.scale.on_ray.outcome import PackedError
from annotator.scale.piece_lock import lock_path, only_writer, remove_locks
from annotator.scale.work import Piece, PieceReport
from schemas.errors import BackendError, ConfigError, Fault, InputError, LimitReachedError
from schemas.events import Advanced, Ended, Event, Noted, Started

TWO = RayConfig(address="local", actors=2, cpus_per_actor=0.5)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster that all tests use; its workers find the modules of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        folders = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(folders))
        with ray_cluster(RayConfig(address="local", actors=2)):
            yield


class Listener:
    """Keeps all events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def num_done(self) -> int:
        return sum(event.count for event in self.events if isinstance(event, Advanced))

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Noted)]


class Board:
    """The last snapshot of each attempt, by how it ended."""

    def __init__(self) -> None:
        self.present: dict[str, Any] = {}
        self.done: list[Any] = []
        self.lost: list[Any] = []

    def put(self, piece: str, snapshot: Any) -> None:
        self.present[piece] = snapshot

    def end(self, piece: str, *, is_lost: bool = False) -> None:
        (self.lost if is_lost else self.done).append(self.present.pop(piece))


def run(make: MakeToy, **given: Any) -> RayRun:
    started = Started(stage=STAGE, total=None, unit="row")
    return RayRun(make_worker=make, started=started, **{"config": TWO, **given})


def check_outputs(pieces: list[Piece]) -> None:
    for piece in pieces:
        assert piece.output.read_text() == text_of(piece)


def started_pieces(log: Path) -> Counter[int]:
    return Counter(int(line.split()[1]) for line in lines_of(log))


@pytest.mark.usefixtures("cluster")
def test_every_piece_is_done_once_and_reported(tmp_path: Path) -> None:
    pieces = make_pieces(tmp_path, 6)
    make, listener, board = MakeToy(log=tmp_path / "log", calls=2), Listener(), Board()
    found = list(run_on_ray(pieces, run(make, on_event=listener, make_tally=Tallied, board=board)))
    check_outputs(pieces)
    assert sorted(item.piece.shard.index for item in found) == [1, 2, 3, 4, 5, 6]
    assert started_pieces(make.log) == dict.fromkeys(range(1, 7), 1)
    assert len({line.split()[0] for line in lines_of(make.log)}) <= 2
    assert all(item.counts == {"rows": 10} and item.seconds > 0 for item in found)
    first, *_, last = listener.events
    assert isinstance(first, Started) and isinstance(last, Ended)
    assert listener.num_done == 60
    usage = [event.usage for event in listener.events if isinstance(event, Advanced)][-1]
    assert usage is not None and (usage.asked, usage.prompt) == (120, 120)
    assert sum(board.done) == 60 and not board.lost and not board.present
    assert len(listener.events) < 30  # sums, and nothing per row or call


@pytest.mark.usefixtures("cluster")
def test_an_error_of_a_worker_stops_the_run_and_keeps_what_is_finished(tmp_path: Path) -> None:
    pieces = make_pieces(tmp_path, 8)
    fault = InputError([Fault(path="rows.jsonl", line=3, message="is not a row")])
    make = MakeToy(log=tmp_path / "log", row_s=0.02, fail={4: fault})
    found: list[PieceReport] = []
    with pytest.raises(InputError) as error:
        for report in run_on_ray(pieces, run(make)):
            found.append(report)
    assert str(error.value) == "rows.jsonl:3: is not a row"
    assert error.value.faults == fault.faults
    done = [item.piece for item in found]
    assert 2 <= len(done) < 7  # those before, and what was under way
    check_outputs(done)
    assert {piece.output for piece in pieces if piece.output.exists()} == {
        piece.output for piece in done
    }


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_cannot_be_made_stops_the_run(tmp_path: Path) -> None:
    make = MakeToy(log=tmp_path / "log", fault=ConfigError("toy.size is 3"))
    with pytest.raises(ConfigError, match=r"^toy\.size is 3$"):
        list(run_on_ray(make_pieces(tmp_path, 3), run(make)))
    assert not lines_of(make.log)


@pytest.mark.usefixtures("cluster")
def test_three_workers_make_exactly_as_many_calls_as_allowed(tmp_path: Path) -> None:
    pieces = make_pieces(tmp_path, 9)
    config = RayConfig(address="local", actors=3, cpus_per_actor=0.5)
    make = MakeToy(log=tmp_path / "log", calls=3)
    with pytest.raises(LimitReachedError, match="max_calls=200: 200 calls were made"):
        list(run_on_ray(pieces, run(make, config=config, limits=Limits(max_calls=200))))
    assert len(lines_of(tmp_path / "log.calls")) == 200


@pytest.mark.usefixtures("cluster")
def test_workers_and_the_hub_may_be_killed(tmp_path: Path) -> None:
    import ray

    pieces = make_pieces(tmp_path, 8, num_rows=20)
    make = MakeToy(log=tmp_path / "log", row_s=0.05)
    listener, board, killed = Listener(), Board(), []
    reports = run_on_ray(pieces, run(make, on_event=listener, make_tally=Tallied, board=board))
    found = []
    for report in reports:
        found.append(report)
        if len(found) in (1, 3):
            killed.append(int(lines_of(make.log)[-1].split()[0]))
            os.kill(killed[-1], signal.SIGKILL)
        if len(found) == 2:
            (name,) = [
                item["name"]
                for item in ray.util.list_named_actors(all_namespaces=True)
                if item["name"].startswith("maskdpo-")
            ]
            ray.kill(ray.get_actor(name, namespace="maskdpo"))
    assert sorted(item.piece.shard.index for item in found) == list(range(1, 9))
    check_outputs(pieces)
    assert listener.num_done == 160
    assert any("is done again" in note for note in listener.notes)
    assert sum(board.done) == 160 and not board.present
    assert sum(started_pieces(make.log).values()) > 8


@pytest.mark.usefixtures("cluster")
def test_a_piece_that_ends_every_worker_stops_the_run(tmp_path: Path) -> None:
    pieces = make_pieces(tmp_path, 2)
    config = RayConfig(address="local", actors=1, cpus_per_actor=0.5, max_deaths=2)
    make = MakeToy(log=tmp_path / "log", deadly=1)
    with pytest.raises(BackendError, match=r"piece 1/2 ended its worker 2 times"):
        list(run_on_ray(pieces, run(make, config=config)))


@pytest.mark.usefixtures("cluster")
def test_no_pieces_are_no_run(tmp_path: Path) -> None:
    listener = Listener()
    assert list(run_on_ray([], run(MakeToy(log=tmp_path / "log"), on_event=listener))) == []
    assert listener.events == []


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_fits_nowhere_is_refused(tmp_path: Path) -> None:
    config = RayConfig(address="local", gpus_per_actor=1)
    with pytest.raises(ConfigError, match=r"1 GPUs, but the cluster has .* lower ray\.cpus"):
        list(run_on_ray(make_pieces(tmp_path, 1), run(MakeToy(log=tmp_path / "l"), config=config)))


# ---------------------------------------------------------------- without a cluster


@pytest.mark.parametrize(
    "error",
    [
        BackendError("the server is gone"),
        LimitReachedError("max_calls=3"),
        InputError([Fault(path="a.jsonl", line=2, message="is wrong")]),
        OSError(28, "No space left on device", "store.sqlite"),
        ModuleNotFoundError("No module named 'vllm'", name="vllm"),
    ],
)
def test_an_error_arrives_as_it_was_raised(error: Exception) -> None:
    found = PackedError.of(error).unpack()
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert getattr(found, "name", None) == getattr(error, "name", None)


class OwnError(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_a_fault_of_the_code_keeps_its_traceback() -> None:
    try:
        raise OwnError(1, 2)
    except OwnError as caught:
        found = PackedError.of(caught).unpack()
    assert str(found) == "OwnError: 1 and 2"
    assert "test_a_fault_of_the_code" in found.__notes__[0]


def test_the_address_of_the_config_has_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    assert find_address(RayConfig()) == "local"
    monkeypatch.setenv(ADDRESS_VARIABLE, "10.0.0.1:6379")
    assert find_address(RayConfig()) == "10.0.0.1:6379"
    assert find_address(RayConfig(address="local")) == "local"
    monkeypatch.setenv(ADDRESS_VARIABLE, "http://10.0.0.1:8265")
    with pytest.raises(ConfigError, match=r"RAY_ADDRESS: .*is not the address of a head node"):
        find_address(RayConfig())


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:", "a b:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"ray: address: .*HOST:PORT"):
        RayConfig.parse({"address": address}, where="run.yaml: ray")


def test_an_address_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr("annotator.scale.on_ray.cluster._is_connected", lambda: False)
    with (
        pytest.raises(BackendError, match=f"no cluster of Ray answers at 127.0.0.1:{port}"),
        ray_cluster(RayConfig(address=f"127.0.0.1:{port}")),
    ):
        pass


def test_another_version_on_a_node_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"but the command runs 0\.0\.0; install the same"):
        check_version("0.0.0")


def test_a_worker_works_in_the_folder_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    enter_folder(str(tmp_path / "missing"))  # on another node, as a job's own working directory
    assert Path.cwd() == Path("/")
    enter_folder(str(tmp_path))
    assert Path.cwd() == tmp_path


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    output, order = tmp_path / "new" / "part.jsonl", []
    entered = threading.Event()

    def write() -> None:
        with only_writer(output):
            order.append("second")

    with only_writer(output):
        thread = threading.Thread(target=write)
        thread.start()
        with (
            pytest.raises(BackendError, match="is being written by another process"),
            only_writer(output, wait_s=0.1),
        ):
            entered.set()
        order.append("first")
        remove_locks(output.parent)
        assert lock_path(output).exists()
    thread.join()
    assert order == ["first", "second"] and not entered.is_set()
    remove_locks(output.parent)
    assert not lock_path(output).exists()


def test_folders_of_killed_drivers_are_removed(tmp_path: Path) -> None:
    (tmp_path / "maskdpo-ray-dead").mkdir()
    (tmp_path / "maskdpo-ray-dead" / "driver.lock").touch()
    (tmp_path / "maskdpo-ray-new").mkdir()
    (tmp_path / "other").mkdir()
    with local_folder() as folder:
        assert (folder / "driver.lock").exists()
        remove_left_folders(folder.parent)
        assert folder.exists()
    assert not folder.exists()
    remove_left_folders(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"maskdpo-ray-new", "other"}


def test_without_the_extra_the_command_is_named() -> None:
    # In another process: this one has imported ray.
    import subprocess

    script = """
import sys, importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "ray" else found(name, *rest)
from annotator.scale.config import RayConfig
from annotator.scale.on_ray.cluster import ray_cluster
try:
    with ray_cluster(RayConfig()):
        pass
except Exception as error:
    print(type(error).__name__, error, "ray" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "MissingPackageError --engine ray needs the package 'ray'" in done.stdout
    assert "[ray]'" in done.stdout and done.stdout.strip().endswith("False")
