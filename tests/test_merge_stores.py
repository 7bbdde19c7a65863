"""Merging the stores of parts: every reply once, in small batches, and stoppable anywhere."""

import multiprocessing
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from old_store import KEYS, REPLY, write_old_store
from open_files import few_open_files

from annotator.calls import store_tables as tables
from annotator.calls.store import Store
from annotator.scale import merge_stores as module
from annotator.scale.merge_stores import MergedStores, merge_stores
from schemas.errors import BackendError, InputError
from schemas.events import Advanced

LOST = {"failure": {"reason": "timeout", "detail": ""}}


def key(number):
    return f"{number:064x}"


def fill(path, replies=(), failed=(), *, text="reply", kind="judge"):
    with Store(path) as store:
        store.put_many(kind, {key(n): {"text": f"{text} {n}"} for n in replies})
        store.put_many(kind, {key(n): LOST for n in failed}, failed={key(n) for n in failed})
    return path


def content(path):
    """(value, failed) by key."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT key, value, failed FROM calls")
        return {name: (value, bool(failed)) for name, value, failed in rows}


def test_the_target_has_all_calls_and_the_sources_are_as_before(tmp_path):
    sources = [fill(tmp_path / f"{n}.sqlite", range(n, 40, 4), text=f"of {n}") for n in range(4)]
    before = [path.read_bytes() for path in sources]
    target = tmp_path / "deep" / "store.sqlite"
    assert merge_stores(target, sources) == MergedStores(num_read=40, num_new=40)
    assert [path.read_bytes() for path in sources] == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["deep", *(path.name for path in sources)]
    )
    with Store(target) as store:
        found = store.get_many(map(key, range(40)))
        assert found == {key(n): {"text": f"of {n % 4} {n}"} for n in range(40)}
        assert store.claim_missing([key(3)]).mine == set()


Calls = st.dictionaries(st.integers(0, 8), st.booleans(), max_size=6)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(own=Calls, others=st.lists(Calls, min_size=1, max_size=4), rows=st.integers(1, 4))
def test_the_first_reply_wins_and_a_reply_wins_over_a_failure(own, others, rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")

    def write(path, calls):
        good = [n for n, is_good in calls.items() if is_good]
        return fill(path, good, [n for n in calls if n not in good], text=path.stem)

    target = write(folder / "target.sqlite", own)
    sources = [write(folder / f"s{place}.sqlite", calls) for place, calls in enumerate(others)]
    expected = content(target)
    for source in sources:
        for name, (value, failed) in content(source).items():
            if name not in expected or (expected[name][1] and not failed):
                expected[name] = (value, failed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_READ_ROWS", rows)
        patch.setattr(module, "_BATCH_BYTES", 1 if rows == 1 else 200)
        merge_stores(target, sources)
    assert content(target) == expected


def test_sources_that_have_not_changed_are_not_read_again(tmp_path):
    one, two = fill(tmp_path / "1.sqlite", [1, 2]), fill(tmp_path / "2.sqlite", [3])
    target = tmp_path / "store.sqlite"
    assert merge_stores(target, [one, two]).num_read == 3
    assert merge_stores(target, [two, one]) == MergedStores()
    fill(two, [4, 5])
    assert merge_stores(target, [one, two]) == MergedStores(num_read=3, num_new=2)


def test_a_store_in_use_is_merged_with_its_log(tmp_path):
    target = tmp_path / "store.sqlite"
    with Store(tmp_path / "live.sqlite") as live:
        live.put_many("judge", {key(1): {}})
        assert live.claim([key(2)]) == {key(2)}
        assert merge_stores(target, [tmp_path / "live.sqlite"]).num_new == 1
        live.put_many("judge", {key(2): {}})
        assert merge_stores(target, [tmp_path / "live.sqlite"]).num_new == 1
    with Store(target) as store:  # leases are not copied
        assert store.count("judge") == 2
        assert store.claim([key(9)]) == {key(9)}


def test_the_target_may_be_in_use_and_among_the_sources(tmp_path):
    target, source = tmp_path / "store.sqlite", fill(tmp_path / "1.sqlite", [1])
    with Store(target) as store:
        store.put_many("judge", {key(7): {}})
        assert merge_stores(target, [target, source]).num_new == 1
        assert store.present([key(1), key(7)]) == {key(1), key(7)}


def test_failures_are_retried_on_request_after_a_merge(tmp_path):
    source = fill(tmp_path / "1.sqlite", [1], [2])
    merge_stores(tmp_path / "store.sqlite", [source])
    with Store(tmp_path / "store.sqlite") as store:
        assert store.present([key(1), key(2)]) == {key(1), key(2)}
    with Store(tmp_path / "store.sqlite", retry_failed=True) as store:
        assert store.present([key(1), key(2)]) == {key(1)}


def test_a_later_run_is_compared_with_the_last_runs_of_the_parts(tmp_path):
    sources = [tmp_path / f"{number}.sqlite" for number in range(3)]
    for number, path in enumerate(sources):
        with Store(path) as store:
            store.begin_run("sample", {"of": "sample"}, models=[{"role": "reply"}])
            store.begin_run("annotate", {"old": number})
            store.begin_run("annotate", {"seed": number == 1}, models=[{"role": "judge"}])
        with closing(sqlite3.connect(path)) as connection, connection:
            time_of = f"2026-01-0{3 - number} 00:00:00"  # the first source is the newest
            connection.execute("UPDATE runs SET created = ?", (time_of,))
    merge_stores(tmp_path / "store.sqlite", sources)
    with Store(tmp_path / "store.sqlite") as store:
        roles = [models[0]["role"] for models in store.models_of_runs()]
        assert sorted(roles) == ["judge", "reply"]
        assert store.begin_run("annotate", {}) == {"seed": False}
        assert store.begin_run("sample", {}) == {"of": "sample"}


class StopError(Exception):
    pass


def test_a_stopped_merge_continues_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH_BYTES", 400)
    monkeypatch.setattr(module, "_READ_ROWS", 3)
    sources = [fill(tmp_path / f"{n}.sqlite", range(n, 60, 3)) for n in range(3)]
    target = tmp_path / "store.sqlite"
    seen = []

    def stop(event):
        if isinstance(event, Advanced):
            seen.append(event.count)
            if len(seen) == 5:
                raise StopError

    with pytest.raises(StopError):
        merge_stores(target, sources, on_event=stop)
    num_before = sum(seen)
    assert 0 < num_before < 60
    assert len(content(target)) == num_before
    result = merge_stores(target, sources)
    assert (result.num_read, result.num_new) == (60 - num_before, 60 - num_before)
    assert len(content(target)) == 60
    with closing(sqlite3.connect(target)) as connection:
        stages = connection.execute("SELECT stage FROM runs").fetchall()
        assert stages == [("merged",)] * 3


def test_a_source_that_changed_meanwhile_is_read_from_its_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH_BYTES", 1)
    source = fill(tmp_path / "1.sqlite", range(10, 20))
    target = tmp_path / "store.sqlite"

    def stop(event):
        if isinstance(event, Advanced):
            raise StopError

    with pytest.raises(StopError):
        merge_stores(target, [source], on_event=stop)
    fill(source, [1])  # before the key that was merged
    merge_stores(target, [source])
    assert content(target).keys() == content(source).keys()


def _merge_slowly(target, sources):
    module._BATCH_BYTES = 2_000
    merge_stores(target, sources, on_event=lambda event: time.sleep(0.002))


def test_kills_lose_nothing(tmp_path):
    sources = [fill(tmp_path / f"{n}.sqlite", range(n, 2000, 4), text="x" * 50) for n in range(4)]
    target = tmp_path / "store.sqlite"
    context = multiprocessing.get_context("spawn")
    for pause in (0.9, 1.1, 1.3):
        process = context.Process(target=_merge_slowly, args=(target, sources))
        process.start()
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    merge_stores(target, sources)
    with Store(target) as store:
        assert store.count("judge") == 2000


def test_a_full_disk_is_one_sentence_and_what_was_merged_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH_BYTES", 20_000)
    source = fill(tmp_path / "1.sqlite", range(2000), text="x" * 100)
    target = fill(tmp_path / "store.sqlite", [5000])
    connect = tables.connect

    def connect_to_a_small_disk(path, **options):
        connection = connect(path, **options)
        connection.execute("PRAGMA max_page_count = 60")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(tables, "connect", connect_to_a_small_disk)
        with pytest.raises(BackendError, match=r"store\.sqlite: .*full.*free the disk") as error:
            merge_stores(target, [source])
    assert "\n" not in str(error.value)
    num_before = len(content(target))
    assert 1 < num_before < 2001
    assert merge_stores(target, [source]).num_read == 2001 - num_before
    assert len(content(target)) == 2001


def test_more_stores_than_open_files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_OPEN", 20)
    sources = [fill(tmp_path / f"{n}.sqlite", range(n, 600, 120)) for n in range(120)]
    with few_open_files(50):
        result = merge_stores(tmp_path / "store.sqlite", sources)
    assert result == MergedStores(num_read=600, num_new=600)


def test_files_that_are_no_stores_are_named(tmp_path):
    good = fill(tmp_path / "good.sqlite", [1])
    with pytest.raises(InputError, match=r"none\.sqlite: not found"):
        merge_stores(tmp_path / "store.sqlite", [good, tmp_path / "none.sqlite"])
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(InputError, match=r"empty\.sqlite: is not a store of maskdpo"):
        merge_stores(tmp_path / "store.sqlite", [good, tmp_path / "empty.sqlite"])
    (tmp_path / "text.sqlite").write_bytes(b"not a store" * 500)
    with pytest.raises(InputError, match=r"text\.sqlite: is not a store that maskdpo can open"):
        merge_stores(tmp_path / "store.sqlite", [good, tmp_path / "text.sqlite"])
    with closing(sqlite3.connect(good)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="store version 99"):
        merge_stores(tmp_path / "store.sqlite", [good])


def test_a_damaged_source_is_named(tmp_path):
    source = fill(tmp_path / "1.sqlite", range(500), text="x" * 200)
    with source.open("r+b") as handle:
        handle.seek(source.stat().st_size // 2 // 4096 * 4096)
        handle.write(b"\xff" * 8192)
    with pytest.raises(InputError, match=r"1\.sqlite: is damaged"):
        merge_stores(tmp_path / "store.sqlite", [source])


def test_an_old_store_is_merged_without_its_verdicts(tmp_path):
    old = write_old_store(tmp_path / "old.sqlite")
    assert merge_stores(tmp_path / "store.sqlite", [old]).num_new == 5
    with Store(tmp_path / "store.sqlite") as store:
        assert store.get_many(KEYS) == dict.fromkeys(KEYS, REPLY)
        assert store.count("verdict") == 0


def test_a_network_store_in_use_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "is_on_network", lambda path: True)
    source = fill(tmp_path / "1.sqlite", [1])
    with Store(source), pytest.raises(InputError, match=r"it has a log, NAME-wal"):
        merge_stores(tmp_path / "store.sqlite", [source])
    assert merge_stores(tmp_path / "store.sqlite", [source]).num_new == 1
    assert not Path(f"{source}-wal").exists()
