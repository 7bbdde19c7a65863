"""Leases: what is under way is asked once, whoever shares the store; a dead owner blocks nobody."""

import asyncio
import multiprocessing
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from store_kills import kill_in_worlds

from annotator.calls import store_tables
from annotator.calls.leases import Watch
from annotator.calls.owner_lock import lock_path
from annotator.calls.store import Claimed, Store
from annotator.calls.store_removal import remove_calls

WAIT_S = 60


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calls.db"


def wait_until(is_true):
    deadline = time.monotonic() + WAIT_S
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def change(path, statement, values=()):
    with closing(sqlite3.connect(path, isolation_level=None, timeout=WAIT_S)) as connection:
        return connection.execute(statement, values).fetchall()


def forge(path, *keys, owner="elsewhere", lease_s=3600.0):
    """Leases of an owner on another host, of whom this machine has nothing but its rows."""
    change(path, "INSERT OR REPLACE INTO owners VALUES (?, 0, ?)", (owner, lease_s))
    for key in keys:
        change(path, "INSERT INTO leases VALUES (?, ?)", (key, owner))


def heartbeats():
    return [item for item in threading.enumerate() if item.name == "store-heartbeat"]


def locks_of(path):
    return sorted(path.parent.glob("*.lock"))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_an_owner_is_dead_after_a_whole_lease_without_a_heartbeat():
    clock = Clock()
    watch = Watch(clock)
    silent = []
    for clock.now in (0.0, 3.0, 6.0, 9.0, 9.9, 10.0):
        silent.append(watch.is_silent("a", 7, 10.0))
    assert silent == [False, False, False, False, False, True]


def test_a_heartbeat_starts_the_lease_again():
    clock = Clock()
    watch = Watch(clock)
    for clock.now, beats in ((0.0, 1), (3.0, 1), (6.0, 1), (9.0, 2), (12.0, 2), (15.0, 2)):
        assert not watch.is_silent("a", beats, 10.0)
    assert not watch.is_silent("another", 2, 10.0)


def test_an_observer_that_was_stopped_itself_looks_again_before_it_calls_an_owner_dead():
    clock = Clock()
    watch = Watch(clock)
    watch.is_silent("a", 1, 10.0)
    clock.now = 86_400.0
    assert not watch.is_silent("a", 1, 10.0)
    clock.now += 1.0
    assert not watch.is_silent("a", 2, 10.0)


def test_a_lease_of_a_living_host_holds_and_of_a_silent_one_is_taken(path):
    with Store(path) as store:
        forge(path, "a", "b", lease_s=0.5)
        for beats in range(1, 40):  # two seconds
            assert store.claim(["a"]) == set()
            change(path, "UPDATE owners SET beats = ? WHERE owner = 'elsewhere'", (beats,))
            time.sleep(0.05)
        wait_until(lambda: store.claim(["a"]) == {"a"})
        # All of a dead owner's leases are void, and it is cleared away.
        assert store.claim(["b"]) == {"b"}
        assert change(path, "SELECT count(*) FROM owners") == [(1,)]


def test_a_lease_whose_owner_is_not_in_the_table_is_free_at_once(path):
    with Store(path) as store:
        forge(path, "a")
        assert store.claim(["a", "b"]) == {"b"}
        change(path, "DELETE FROM owners WHERE owner = 'elsewhere'")
        assert store.claim(["a"]) == {"a"}


@pytest.mark.parametrize("step", [-1e7, 1e7])
def test_clock_steps_change_nothing(path, monkeypatch, step):
    real = time.time
    steps = iter(range(1, 10**6))
    with Store(path) as first, Store(path) as second:
        assert first.claim(["a"]) == {"a"}
        forge(path, "b", lease_s=0.3)
        monkeypatch.setattr(time, "time", lambda: real() + step * next(steps))
        assert second.claim(["a", "b"]) == set()
        assert second.claim(["a", "b"]) == set()
        wait_until(lambda: second.claim(["a", "b"]) == {"b"})
        first.release(["a"])
        assert second.claim(["a"]) == {"a"}


def test_a_key_is_handed_out_once_to_all_threads_and_loops_of_one_store(path):
    keys = [f"k{n}" for n in range(60)]
    asked = Counter()

    async def run(store):
        async def ask(key):
            while True:
                found = store.claim_missing([key])
                if key in found.stored:
                    return found.stored[key]["text"]
                if found.mine:
                    asked[key] += 1
                    await asyncio.sleep(0.002)
                    future = store.submit("judge", {key: {"text": f"{key} {id(future_of)}"}})
                    return (await asyncio.wrap_future(future))[key]["text"]
                await asyncio.sleep(0.002)

        future_of = object()
        return await asyncio.gather(*map(ask, keys))

    with Store(path) as store, Store(path) as other, ThreadPoolExecutor(6) as pool:
        stores = [store, store, store, other, other, other]
        answers = list(pool.map(lambda item: asyncio.run(run(item)), stores))
        assert asked == Counter(keys)
        assert all(item == answers[0] for item in answers)
        assert store.count("judge") == 60


def test_stored_values_come_with_the_claim_of_the_rest(path):
    with Store(path) as store, Store(path) as other:
        store.put_many("judge", {"stored": {"n": 1}})
        other.claim(["elsewhere"])
        found = store.claim_missing(["stored", "elsewhere", "missing", "missing"])
        assert found == Claimed(mine={"missing"}, stored={"stored": {"n": 1}})
        other.put_many("judge", {"elsewhere": {"n": 2}})
        found = store.claim_missing(["elsewhere"])
        assert found == Claimed(mine=set(), stored={"elsewhere": {"n": 2}})


def test_what_failed_before_is_missing_to_a_store_that_retries(path):
    with Store(path) as store:
        store.put_many("judge", {"k": {"n": 1}}, failed={"k"})
        assert store.claim_missing(["k"]).stored == {"k": {"n": 1}}
    with Store(path, retry_failed=True) as store:
        assert store.claim_missing(["k"]) == Claimed(mine={"k"}, stored={})


def test_the_heart_beats_from_the_first_lease_until_the_store_is_closed(path):
    before = len(heartbeats())
    with Store(path, lease_s=0.1) as store:
        store.put_many("judge", {"k": {}})
        store.get_many(["k"])
        assert len(heartbeats()) == before and locks_of(path) == []
        store.claim(["a"])
        assert len(heartbeats()) == before + 1 and len(locks_of(path)) == 1
        wait_until(lambda: change(path, "SELECT beats FROM owners") > [(3,)])
    assert len(heartbeats()) == before and locks_of(path) == []
    assert change(path, "SELECT count(*) FROM owners") == [(0,)]


CLAIMER = """
import sys
from annotator.calls.store import Store

store = Store(sys.argv[1], lease_s=float(sys.argv[2]))
print(sorted(store.claim(["a", "b"])), flush=True)
sys.stdin.readline()
print(store.submit("judge", {"a": {"by": "child"}}).result()["a"]["by"], flush=True)
print(sorted(store.claim(["a2"])), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def claimer(path):
    """Starts a process that leases a and b; its lock is seen, or not, as on another host."""
    running = []

    def start(*, lease_s, has_lock):
        process = subprocess.Popen(
            [sys.executable, "-c", CLAIMER, str(path), str(lease_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout.readline() == "['a', 'b']\n"
        if not has_lock:
            for file in locks_of(path):
                file.unlink()
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_killed_owner_of_this_machine_blocks_nobody(path, claimer):
    with Store(path) as store:
        process = claimer(lease_s=3600, has_lock=True)
        assert store.claim(["a"]) == set()
        process.kill()
        process.wait()
        assert store.claim(["a", "b"]) == {"a", "b"}
        assert len(locks_of(path)) == 1  # this store's own


def test_a_killed_owner_of_another_host_blocks_for_one_lease(path, claimer):
    with Store(path) as store:
        process = claimer(lease_s=0.5, has_lock=False)
        process.kill()
        process.wait()
        assert store.claim(["a"]) == set()
        wait_until(lambda: store.claim(["a"]) == {"a"})


def test_a_dead_owner_without_leases_is_cleared_away_by_any_heart(path):
    with Store(path, lease_s=0.1) as store:
        forge(path, lease_s=0.1)
        store.claim(["k"])
        wait_until(lambda: change(path, "SELECT count(*) FROM owners") == [(1,)])


@pytest.mark.parametrize("is_asked_elsewhere", [True, False])
def test_an_owner_that_comes_back_after_its_lease_changes_no_data(
    path, claimer, is_asked_elsewhere
):
    with Store(path, lease_s=0.5) as store:
        process = claimer(lease_s=0.5, has_lock=True)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: store.claim(["a"]) == {"a"})
        if is_asked_elsewhere:
            store.put_many("judge", {"a": {"by": "parent"}})
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        winner = "parent" if is_asked_elsewhere else "child"
        assert process.stdout.readline() == f"{winner}\n"
        assert store.submit("judge", {"a": {"by": "late"}}).result() == {"a": {"by": winner}}
        assert store.get_many(["a"]) == {"a": {"by": winner}}
        # It is an owner again: what it leases from now on is its own.
        assert process.stdout.readline() == "['a2']\n"
        assert store.claim(["a2"]) == set()


def test_an_owner_that_cannot_write_its_heartbeat_loses_no_reply(path, monkeypatch):
    monkeypatch.setattr(store_tables, "LOCK_WAIT_S", 0.05)
    with Store(path, lease_s=0.2) as store:
        store.claim(["a"])
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            time.sleep(0.5)
            holder.execute("ROLLBACK")
        store.put_many("judge", {"a": {"n": 1}})
        assert store.get_many(["a"]) == {"a": {"n": 1}}
        assert len(heartbeats()) >= 1


def test_a_pickled_store_is_another_owner_of_the_same_run(path, monkeypatch):
    with Store(path) as store:
        store.put_many("judge", {"k": {}}, failed={"k"})
    monkeypatch.chdir(path.parent)
    with Store(path.name, retry_failed=True, lease_s=7.0) as store:
        store.begin_run("annotate", {})
        store.put_many("judge", {"late": {}}, failed={"late"})
        store.claim(["a"])
        monkeypatch.chdir("/")
        with pickle.loads(pickle.dumps(store)) as copy:
            assert copy.claim(["a", "b"]) == {"b"}
            assert store.claim(["b"]) == set()
            # What failed in this run is there, as it is for the store that was pickled.
            assert copy.present(["k", "late"]) == store.present(["k", "late"]) == {"late"}
            assert sorted(change(path, "SELECT lease_s FROM owners")) == [(7.0,), (7.0,)]
        assert copy.path == path


def use_in_child(store, results):
    errors = []
    for use in (
        lambda: store.get_many(["k"]),
        lambda: store.claim(["k"]),
        lambda: store.submit("judge", {"k": {}}),
        lambda: store.put_many("judge", {"k": {}}),
    ):
        try:
            use()
            errors.append("")
        except RuntimeError as error:
            errors.append(str(error))
    store.close()
    results.put(errors)


def test_a_forked_child_cannot_use_its_parents_store_and_does_not_release_it(path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    with Store(path) as store, Store(path) as other:
        store.claim(["a"])
        child = context.Process(target=use_in_child, args=(store, results))
        child.start()
        errors = results.get(timeout=WAIT_S)
        child.join(WAIT_S)
        assert len(errors) == 4
        assert all("open it again in the child" in error for error in errors)
        assert other.claim(["a"]) == set()
        assert lock_path(path, change(path, "SELECT owner FROM leases")[0][0]).exists()
        store.put_many("judge", {"a": {}})


def test_leases_do_not_wait_for_the_disk_and_never_move_the_log_into_the_file(path):
    with Store(path) as store:
        leases = store._leases._connection
        assert leases.execute("PRAGMA synchronous").fetchone() == (0,)
        assert leases.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_calls_of_a_silent_host_can_be_removed_after_its_lease(path):
    with Store(path) as store:
        store.put_many("judge", {"k": {}})
        forge(path, "a", lease_s=0.3)
    assert remove_calls(path, {"k"}) == 1


def test_a_lease_must_last(path):
    for lease_s in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="positive number of seconds"):
            Store(path, lease_s=lease_s)
    assert not path.exists()


def test_five_kills_of_threads_loops_stores_and_hosts_ask_nothing_twice(tmp_path):
    """The quick form of tests/faults/test_store_kills.py."""
    totals = kill_in_worlds(tmp_path, num_kills=5, num_keys=400, lease_s=2.0)
    assert totals["kills"] == 5
