"""Replies submitted together are committed together, and nothing is reported before its commit."""

import sqlite3
import threading
import time
from concurrent.futures import CancelledError
from contextlib import closing

import pytest

from annotator.calls import store_tables
from annotator.calls.store import Store
from schemas.errors import BackendError

WAIT_S = 60


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "calls.db") as calls:
        yield calls


def statements_of(store):
    """What the connection that writes executes from now on, the first word of each."""
    found = []
    store._connection.set_trace_callback(lambda text: found.append(text.split()[0]))
    return found


def test_what_is_submitted_during_a_commit_is_one_transaction(store):
    statements = statements_of(store)
    with store._lock:  # as a commit does
        futures = [store.submit("judge", {f"k{n}": {"n": n}}) for n in range(100)]
        assert not any(future.done() for future in futures)
    values = [future.result(WAIT_S) for future in futures]
    assert values == [{f"k{n}": {"n": n}} for n in range(100)]
    assert statements.count("COMMIT") <= 2  # the first may have been alone
    assert store.count("judge") == 100


def test_no_future_is_done_before_its_commit(store):
    futures, seen = [], []

    def look(statement):
        if statement.startswith("COMMIT"):
            seen.append(any(future.done() for future in futures))

    store._connection.set_trace_callback(look)
    with store._lock:
        futures += [store.submit("judge", {f"k{n}": {}}) for n in range(9)]
        futures[:1] = []
    for future in futures:
        future.result(WAIT_S)
    assert not any(seen[:1]) and seen


def test_the_value_of_the_first_writer_comes_back(store, tmp_path):
    with Store(tmp_path / "calls.db") as other:
        other.put_many("judge", {"a": {"from": "other"}, "none": {}})
        other.put_many("judge", {"failed": {"from": "other"}}, failed={"failed"})
        mine = {key: {"from": "me"} for key in ("a", "b", "none", "failed")}
        found = store.submit("judge", mine).result(WAIT_S)
        assert found == {
            "a": {"from": "other"},
            "b": {"from": "me"},
            "none": {},
            "failed": {"from": "me"},
        }
        assert found == other.get_many(mine)


def test_two_submissions_of_one_key_in_a_group_get_the_same_value(store):
    with store._lock:
        futures = [store.submit("judge", {"k": {"n": n}, f"k{n}": {}}) for n in range(20)]
    assert [future.result(WAIT_S)["k"] for future in futures] == [{"n": 0}] * 20


def test_values_come_back_as_json_keeps_them(store):
    found = store.submit("judge", {"k": {"pair": (1, "é \ud83d")}}).result(WAIT_S)
    assert found == {"k": {"pair": [1, "é \ud83d"]}} == store.get_many(["k"])


def test_submitted_failures_are_failures(store):
    store.submit("judge", {"good": {}, "bad": {}}, failed={"bad"}).result(WAIT_S)
    assert (store.count("judge", failed=True), store.count("judge", failed=False)) == (1, 1)


def test_the_leases_of_what_is_stored_end_in_the_same_step(store, tmp_path):
    store.claim(["a", "b"])
    store.submit("judge", {"a": {}}).result(WAIT_S)
    with closing(sqlite3.connect(tmp_path / "calls.db")) as look:
        assert look.execute("SELECT key FROM leases").fetchall() == [("b",)]
    assert store.claim(["a", "b"]) == {"a"}


def test_a_failing_transaction_fails_its_whole_group_and_stores_none_of_it(store):
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages + 1}")
    store.claim(["k0"])
    with store._lock:
        # The first may be alone in its group, so it is as large as all others together.
        values = [{f"k{n}": {"text": "x" * (40_000 if n == 0 else 4_000)}} for n in range(20)]
        futures = [store.submit("judge", item) for item in values]
    for future in futures:
        with pytest.raises(BackendError, match=r"cannot be stored .* rerun to continue"):
            future.result(WAIT_S)
    assert store.count("judge") == 0
    assert store.claim(["k0"]) == set()  # its reply may be submitted once more
    store._connection.execute("PRAGMA max_page_count=1000000")
    assert store.submit("judge", {"after": {}}).result(WAIT_S) == {"after": {}}


def test_a_file_locked_for_long_is_a_backend_error(tmp_path, monkeypatch):
    monkeypatch.setattr(store_tables, "LOCK_WAIT_S", 0.05)
    path = tmp_path / "calls.db"
    with Store(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendError, match="rerun to continue"):
            store.submit("judge", {"k": {}}).result(WAIT_S)
        holder.execute("ROLLBACK")
        store.submit("judge", {"k": {}}).result(WAIT_S)


def test_a_value_json_cannot_hold_is_refused_before_it_joins_a_group(store):
    with pytest.raises(TypeError):
        store.submit("judge", {"k": {"n": object()}})


def test_closing_commits_what_was_submitted(tmp_path):
    store = Store(tmp_path / "calls.db")
    with store._lock:
        first = store.submit("judge", {"first": {}})
        # In the thread that commits, and long: what closes the store has time to be too early.
        first.add_done_callback(lambda _: time.sleep(0.3))
        while not store._commits._queue.empty():
            time.sleep(0.01)
        futures = [store.submit("judge", {f"k{n}": {}}) for n in range(49)]
        closing_thread = threading.Thread(target=store.close)
        closing_thread.start()
    closing_thread.join(WAIT_S)
    assert [future.result(0) for future in futures] == [{f"k{n}": {}} for n in range(49)]
    with Store(tmp_path / "calls.db") as again:
        assert again.count("judge") == 50
    for use in (lambda: store.submit("judge", {"late": {}}), lambda: store.claim(["late"])):
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            use()


def test_a_cancelled_future_is_stored_all_the_same(store):
    with store._lock:
        first = store.submit("judge", {"first": {}})
        future = store.submit("judge", {"k": {}})
        future.cancel()
        last = store.submit("judge", {"last": {}})
    first.result(WAIT_S), last.result(WAIT_S)
    with pytest.raises(CancelledError):
        future.result(WAIT_S)
    assert store.present(["k"]) == {"k"}


def test_a_callback_may_use_the_store_and_close_it(tmp_path):
    store = Store(tmp_path / "calls.db")
    seen = []
    closed = threading.Event()

    def go_on(future):
        seen.append(store.get_many(future.result()))
        store.close()
        closed.set()

    with store._lock:
        store.submit("judge", {"k": {}}).add_done_callback(go_on)
    assert closed.wait(WAIT_S) and seen == [{"k": {}}]
