"""The store of finished calls: first writer wins, batches are whole or absent."""

import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.calls.store import Store
from annotator.calls.store_faults import faults_at_opening
from schemas.errors import BackendError, InputError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "calls.db") as calls:
        yield calls


def test_a_stored_value_never_changes(store):
    store.put_many("reply", {"k": {"text": "first"}})
    store.put_many("reply", {"k": {"text": "second"}, "new": {"text": "third"}})
    assert store.get_many(["k", "new"]) == {"k": {"text": "first"}, "new": {"text": "third"}}
    assert store.count("reply") == 2


def test_only_what_is_there_is_found_beyond_one_lookup_batch(store):
    values = {f"k{n}": {"n": n} for n in range(1201)}
    store.put_many("reply", values)
    asked = [*values, "absent"]
    assert store.get_many(asked) == values
    assert store.present(asked) == set(values)


def test_kinds_are_counted_apart(store):
    store.put_many("reply", {"a": {}, "b": {}})
    store.put_many("verdict", {"c": {}})
    assert (store.count("reply"), store.count("verdict"), store.count("other")) == (2, 1, 0)


def test_nothing_to_store_is_no_write(store):
    store.put_many("reply", {})
    assert store.count("reply") == 0


@given(st.dictionaries(st.text(min_size=1), st.dictionaries(st.text(), json_values), max_size=4))
def test_values_come_back_as_they_went_in(tmp_path_factory, values):
    with Store(tmp_path_factory.mktemp("store") / "calls.db") as calls:
        calls.put_many("reply", values)
        assert calls.get_many(values) == values


def test_a_batch_with_a_value_json_cannot_hold_leaves_nothing(store):
    with pytest.raises(TypeError):
        store.put_many("reply", {"a": {"n": 1}, "b": {"n": object()}})
    assert store.count("reply") == 0


def test_two_stores_share_a_file(tmp_path):
    with Store(tmp_path / "calls.db") as first, Store(tmp_path / "calls.db") as second:
        first.put_many("reply", {"a": {"from": 1}})
        second.put_many("reply", {"a": {"from": 2}, "b": {"from": 2}})
        assert first.get_many(["a", "b"]) == {"a": {"from": 1}, "b": {"from": 2}}


def test_values_outlive_the_process(tmp_path):
    with Store(tmp_path / "deep" / "calls.db") as calls:
        calls.put_many("reply", {"a": {"text": "é 中"}})
    with Store(tmp_path / "deep" / "calls.db") as calls:
        assert calls.get_many(["a"]) == {"a": {"text": "é 中"}}


def test_a_file_that_is_no_store_is_named(tmp_path):
    path = tmp_path / "calls.db"
    path.write_text("this is a text file, and longer than a header of SQLite would be\n" * 9)
    with pytest.raises(InputError, match=r"calls\.db: is not a store that maskdpo can open"):
        Store(path)


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(InputError, match="is not a store"):
        Store(tmp_path)


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "runs").write_text("")
    for folder in (tmp_path / "runs", tmp_path / "runs" / "deep"):
        with pytest.raises(InputError, match="cannot be made a folder") as caught:
            Store(folder / "calls.db")
        assert str(caught.value).startswith(f"{folder}: ")


@pytest.mark.parametrize(
    "use",
    [
        lambda calls: calls.get_many(["k150"]),
        lambda calls: calls.present(["k150"]),
        lambda calls: calls.count("reply"),
        lambda calls: calls.put_many("reply", {"k150x": {}}),
    ],
    ids=["get_many", "present", "count", "put_many"],
)
def test_a_damaged_store_is_named_with_its_remedy(tmp_path, use):
    path = tmp_path / "calls.db"
    with Store(path) as calls:
        calls.put_many("reply", {f"k{n}": {"text": "x" * 500} for n in range(300)})
    content = path.read_bytes()
    page = 4096  # the first page, which names the tables, stays whole: the store opens
    path.write_bytes(content[:page] + b"\xa5" * (len(content) - page))
    with Store(path) as calls, pytest.raises(InputError, match=r"is damaged .*move it away"):
        use(calls)


def test_a_damaged_value_is_no_answer(store):
    store.put_many("reply", {"k": {"text": "first"}})
    store._connection.execute("UPDATE calls SET value = substr(value, 1, 5)")
    with pytest.raises(InputError, match="is damaged"):
        store.get_many(["k"])


def test_a_full_disk_is_a_backend_error_and_stores_nothing(store):
    store.put_many("reply", {"before": {}})
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(BackendError, match=r"cannot be stored .* rerun to continue"):
        store.put_many("reply", {f"k{n}": {"text": "x" * 4000} for n in range(50)})
    assert store.count("reply") == 1
    store._connection.execute("PRAGMA max_page_count=1000000")
    store.put_many("reply", {"after": {}})
    assert store.count("reply") == 2


KILLED_WRITER = """
import os, signal, sys
from annotator.calls.store import Store
from annotator.calls.store_faults import faults_at_opening

calls = Store(sys.argv[1])
calls.put_many("reply", {f"done{n}": {} for n in range(10)})

def kill_at_the_moment(statement):
    if statement.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

calls._connection.set_trace_callback(kill_at_the_moment)
calls.put_many("reply", {f"torn{n}": {} for n in range(10)})
"""


@pytest.mark.parametrize("moment", ["BEGIN", "INSERT", "COMMIT"])
def test_a_killed_batch_is_wholly_absent_and_the_one_before_it_whole(tmp_path: Path, moment):
    path = tmp_path / "calls.db"
    done = subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    with Store(path) as calls:
        assert calls.present(f"done{n}" for n in range(10)) == {f"done{n}" for n in range(10)}
        assert calls.count("reply") == 10
        calls.put_many("reply", {f"torn{n}": {} for n in range(10)})
        assert calls.count("reply") == 20


def test_failures_are_rows_until_a_retry(tmp_path):
    path = tmp_path / "calls.db"
    with Store(path) as calls:
        calls.begin_run("sample", {})
        calls.put_many("reply", {"good": {"n": 1}, "bad": {"n": 2}}, failed={"bad"})
        assert calls.present(["good", "bad"]) == {"good", "bad"}
        assert (calls.count("reply", failed=True), calls.count("reply", failed=False)) == (1, 1)
    with Store(path, retry_failed=True) as calls:
        calls.begin_run("sample", {})
        assert calls.present(["good", "bad"]) == {"good"}
        calls.put_many("reply", {"bad": {"n": 3}, "good": {"n": 4}}, failed={"bad"})
        # Failed again in this run: it is there now, and not asked a third time.
        assert calls.get_many(["good", "bad"]) == {"good": {"n": 1}, "bad": {"n": 3}}
    with Store(path, retry_failed=True) as calls:
        calls.begin_run("sample", {})
        calls.put_many("reply", {"bad": {"n": 5}})
        assert calls.get_many(["bad"]) == {"bad": {"n": 5}}
    with Store(path, retry_failed=True) as calls:
        calls.begin_run("sample", {})
        assert calls.present(["bad"]) == {"bad"}
        calls.mark_failed(["good"])
        assert calls.count("reply", failed=True) == 1


def test_a_run_gets_the_settings_of_the_last_one_of_its_stage(store):
    assert store.begin_run("sample", {"a": 1}) is None
    assert store.begin_run("annotate", {"b": 2}) is None
    assert store.begin_run("sample", {"a": 3}) == {"a": 1}


CLAIMER = """
import sys, time
from annotator.calls.store import Store
from annotator.calls.store_faults import faults_at_opening
store = Store(sys.argv[1])
print(sorted(store.claim(["a", "b"])), flush=True)
time.sleep(60)
"""


def test_claims_hold_while_their_owner_lives(tmp_path):
    path = tmp_path / "calls.db"
    command = [sys.executable, "-c", CLAIMER, str(path)]
    with Store(path) as calls:
        assert calls.claim(["b"]) == {"b"}
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline().strip() == "['a']"
        assert calls.claim(["a", "b", "c"]) == {"c"}
        other.kill()
        other.wait()
        assert calls.claim(["a"]) == {"a"}
        calls.put_many("reply", {"a": {}})
        calls.release(["c"])
        with sqlite3.connect(path) as look:
            assert look.execute("SELECT key FROM leases").fetchall() == [("b",)]
    with sqlite3.connect(path) as look:
        assert look.execute("SELECT count(*) FROM leases").fetchone() == (0,)


def test_two_stores_of_one_process_never_own_one_key(tmp_path):
    path = tmp_path / "calls.db"
    with Store(path) as first:
        assert first.claim(["a", "b"]) == {"a", "b"}
        with Store(path) as second:
            assert second.claim(["a", "b", "c"]) == {"c"}
            second.release(["a"])  # not its own: nothing happens
            assert second.claim(["a"]) == set()
            first.release(["b"])
            assert second.claim(["b"]) == {"b"}
        # Closing one lets go of its own claims, and of no other.
        assert first.claim(["a", "b", "c"]) == {"b", "c"}
        with Store(path) as third:
            assert third.claim(["a"]) == set()


def test_a_store_is_used_from_many_threads(tmp_path):
    with Store(tmp_path / "calls.db") as calls, ThreadPoolExecutor(8) as pool:

        def work(n):
            mine = calls.claim([f"k{n % 20}"])
            calls.put_many("reply", {f"k{n % 20}": {"n": n % 20}})
            return len(mine), calls.get_many([f"k{n % 20}"])

        results = list(pool.map(work, range(200)))
        assert all(found == {f"k{n % 20}": {"n": n % 20}} for n, (_, found) in enumerate(results))
        assert calls.count("reply") == 20


def test_a_mistake_of_the_program_is_not_called_damage(tmp_path):
    calls = Store(tmp_path / "calls.db")
    calls.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        calls.get_many(["k"])


def test_half_of_a_surrogate_pair_is_stored_and_comes_back(store):
    store.put_many("reply", {"k": {"text": "a \ud83d b", "other": "é"}})
    assert store.get_many(["k"]) == {"k": {"text": "a \ud83d b", "other": "é"}}


@pytest.mark.parametrize("step", [-1e7, 1e7])
def test_what_failed_before_is_retried_whatever_the_clock_does(tmp_path, monkeypatch, step):
    path = tmp_path / "calls.db"
    with Store(path) as calls:
        calls.begin_run("sample", {})
        calls.put_many("reply", {"k": {}}, failed={"k"})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + step)
    with Store(path, retry_failed=True) as calls:
        calls.begin_run("sample", {})
        assert calls.present(["k"]) == set()


def test_two_retrying_runs_ask_what_failed_once(tmp_path):
    path = tmp_path / "calls.db"
    with Store(path) as calls:
        calls.begin_run("sample", {})
        calls.put_many("reply", {"k": {}, "late": {}}, failed={"k", "late"})
    with Store(path, retry_failed=True) as first, Store(path, retry_failed=True) as second:
        first.begin_run("sample", {})
        second.begin_run("sample", {})
        first.put_many("reply", {"k": {"n": 1}}, failed={"k"})
        assert second.get_many(["k"]) == {"k": {"n": 1}}
        first.put_many("reply", {"late": {"n": 1}})
        first.mark_failed(["late"])
        assert second.present(["late"]) == {"late"}


def test_a_store_that_cannot_be_written_is_not_to_be_moved_away(tmp_path):
    path = tmp_path / "calls.db"
    Store(path).close()
    with pytest.raises(BackendError, match=r"cannot be opened for writing .* permissions"):
        _open_read_only(path)
    assert path.exists()


def _open_read_only(path):
    with faults_at_opening(path):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            connection.execute("CREATE TABLE other (a)")
        finally:
            connection.close()


def test_a_reply_of_use_after_all_is_good_and_a_call_without_one_stays_failed(store):
    failure = {"failure": {"reason": "timeout", "detail": ""}}
    store.put_many("judge", {"reply": {"text": "a"}, "lost": failure}, failed={"lost"})
    store.mark_failed(["reply"])
    assert store.count("judge", failed=True) == 2
    store.mark_good(["reply", "lost", "absent"])
    assert store.count("judge", failed=True) == 1
    assert store.get_many(["lost"]) == {"lost": failure}


def test_a_service_makes_calls_without_a_reply_again(tmp_path):
    lost, useless, good = {"failure": {"reason": "http_503"}}, {"text": "what?"}, {"text": "yes"}
    values = {"lost": lost, "useless": useless, "good": good}
    with Store(tmp_path / "store.sqlite") as store:
        store.put_many("judge", values, failed={"lost", "useless"})
        assert store.get_many(values) == values
    with Store(tmp_path / "store.sqlite", uses_lost=False) as store:
        with pickle.loads(pickle.dumps(store)) as copy:
            for each in (store, copy):
                assert each.get_many(values) == {"useless": useless, "good": good}
                assert each.present(values) == {"useless", "good"}
                claimed = each.claim_missing(values)
                assert claimed.mine == {"lost"}
                each.release(claimed.mine)
        store.put_many("judge", {"lost": {"text": "now"}})
        assert store.get_many(["lost"]) == {"lost": {"text": "now"}}


def test_a_claim_waits_no_longer_than_it_may(tmp_path):
    path, key = tmp_path / "store.sqlite", "0" * 64
    with Store(path, claim_wait_s=0.1) as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendError, match="locked"):  # the other program holds the file
            store.claim_missing([key])
        stored = store.submit("judge", {key: {"text": "paid"}})
        while not stored.running():  # the commit waits, and holds the lock of the store
            time.sleep(0.01)
        with pytest.raises(BackendError, match="locked"):
            store.claim_missing([key])
        other.execute("ROLLBACK")
        assert stored.result()[key] == {"text": "paid"}
        assert store.claim_missing([key]).stored == {key: {"text": "paid"}}
        with pickle.loads(pickle.dumps(store)) as again:
            assert again._claim_wait_s == 0.1
