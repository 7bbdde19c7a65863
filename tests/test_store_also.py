"""A store that reads the stores of the run's other parts: no committed reply is asked again."""

import os
import pickle
import sqlite3
import threading
from contextlib import closing

import pytest
from old_store import KEYS, REPLY, write_old_store
from open_files import few_open_files

from annotator.calls import store_tables as tables
from annotator.calls.estimate import look_into
from annotator.calls.store import Store
from annotator.calls.store_others import OtherStores, _kind_of_mount
from schemas.errors import InputError

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
LOST = {"failure": {"reason": "timeout", "detail": ""}}


@pytest.fixture
def other(tmp_path):
    """A store with a reply, a reply that could not be used, and a call without a reply."""
    path = tmp_path / "other.sqlite"
    with Store(path) as store:
        store.put_many("judge", {A: {"text": "a"}})
        store.put_many("judge", {B: {"text": "b"}, C: LOST}, failed={B, C})
    return path


def test_a_missing_call_is_copied_before_it_is_leased(tmp_path, other):
    with Store(tmp_path / "own.sqlite", also=[other]) as store:
        claimed = store.claim_missing([A, D])
        assert (claimed.stored, claimed.mine) == ({A: {"text": "a"}}, {D})
        store.release([D])
    with Store(tmp_path / "own.sqlite") as store:  # it is in the file now
        assert store.get_many([A, D]) == {A: {"text": "a"}}
        assert store.count("judge", failed=False) == 1


def test_what_the_store_has_is_not_replaced(tmp_path, other):
    with Store(tmp_path / "own.sqlite", also=[other]) as store:
        store.put_many("judge", {A: {"text": "mine"}})
        assert store.claim_missing([A]).stored == {A: {"text": "mine"}}


def test_failed_calls_are_copied_as_failed(tmp_path, other):
    with Store(tmp_path / "own.sqlite", also=[other]) as store:
        assert store.claim_missing([A, B, C]).stored == {
            A: {"text": "a"},
            B: {"text": "b"},
            C: LOST,
        }
        assert store.count("judge", failed=True) == 2
    with Store(tmp_path / "own.sqlite", retry_failed=True) as store:
        assert store.present([A, B, C]) == {A}


def test_failed_calls_are_asked_again_with_retry_failed(tmp_path, other):
    with Store(tmp_path / "own.sqlite", also=[other], retry_failed=True) as store:
        claimed = store.claim_missing([A, B, C])
        assert (set(claimed.stored), claimed.mine) == ({A}, {B, C})


def test_a_reply_elsewhere_replaces_a_failure_that_is_retried(tmp_path, other):
    with Store(tmp_path / "own.sqlite") as store:
        store.put_many("judge", {A: LOST}, failed={A})
    with Store(tmp_path / "own.sqlite", also=[other]) as store:  # a failure counts as present
        assert store.claim_missing([A]).stored == {A: LOST}
    with Store(tmp_path / "own.sqlite", also=[other], retry_failed=True) as store:
        assert store.claim_missing([A]).stored == {A: {"text": "a"}}
        assert store.count("judge", failed=True) == 0


def test_calls_without_a_reply_are_absent_for_a_service(tmp_path, other):
    with Store(tmp_path / "own.sqlite", also=[other], uses_lost=False) as store:
        claimed = store.claim_missing([B, C])
        assert (set(claimed.stored), claimed.mine) == ({B}, {C})
        assert store.count("judge") == 1  # B


def test_a_reply_of_any_store_comes_before_a_failure(tmp_path, other):
    second = tmp_path / "second.sqlite"
    with Store(second) as store:
        store.put_many("judge", {C: {"text": "c"}})
    with Store(tmp_path / "own.sqlite", also=[other, second]) as store:
        assert store.claim_missing([C]).stored == {C: {"text": "c"}}


def test_others_may_appear_and_grow_while_the_store_is_open(tmp_path, monkeypatch):
    monkeypatch.setattr("annotator.calls.store_others.RETRY_S", 0.0)
    late = tmp_path / "late.sqlite"
    with Store(tmp_path / "own.sqlite", also=[late]) as store:
        assert store.claim_missing([A]).mine == {A}
        store.release([A])
        with Store(late) as another:
            another.put_many("judge", {A: {"text": "late"}})
            assert store.claim_missing([A]).stored == {A: {"text": "late"}}
            another.put_many("judge", {B: {"text": "later"}})
            assert store.claim_missing([B]).stored == {B: {"text": "later"}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["late.sqlite", "own.sqlite"]


def test_a_file_that_is_being_made_counts_as_empty(tmp_path, other):
    (tmp_path / "new.sqlite").touch()
    folder = tmp_path / "folder.sqlite"
    folder.mkdir()
    others = [tmp_path / "new.sqlite", tmp_path / "none.sqlite", folder, other]
    with Store(tmp_path / "own.sqlite", also=others) as store:
        assert store.claim_missing([A]).stored == {A: {"text": "a"}}


def test_a_damaged_file_is_named(tmp_path):
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"not a store" * 500)
    with (
        Store(tmp_path / "own.sqlite", also=[damaged]) as store,
        pytest.raises(InputError, match=r"damaged\.sqlite.* is damaged"),
    ):
        store.claim_missing([A])


def test_a_newer_file_is_named(tmp_path, other):
    with sqlite3.connect(other) as connection:
        connection.execute("PRAGMA user_version = 99")
    with (
        Store(tmp_path / "own.sqlite", also=[other]) as store,
        pytest.raises(InputError, match="store version 99"),
    ):
        store.claim_missing([A])


def test_an_old_file_is_read(tmp_path):
    old = write_old_store(tmp_path / "old.sqlite")
    with Store(tmp_path / "own.sqlite", also=[old]) as store:
        assert store.claim_missing([KEYS[0]]).stored == {KEYS[0]: REPLY}


def test_a_store_of_a_part_has_an_index_of_its_keys(tmp_path, other, monkeypatch):
    part = tmp_path / "part.sqlite"
    with Store(part, also=[other]) as store:
        store.begin_run("annotate", {})
        store.put_many("judge", {D: {"text": "d"}})
        store.put_many("judge", {C: LOST}, failed={C})
    for path, expected in ((part, 1), (other, 0)):
        with closing(sqlite3.connect(path)) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE name = 'calls_by_key'")
            assert len(names.fetchall()) == expected
    with Store(other, also=[part]) as store:  # it has calls: making an index would take long
        store.begin_run("annotate", {})
    searched = []
    find_keys = tables.find_keys
    monkeypatch.setattr(
        tables, "find_keys", lambda *given: searched.append(given[1]) or find_keys(*given)
    )
    with Store(tmp_path / "own.sqlite", also=[other, part]) as store:
        assert set(store.claim_missing([A, C, D]).stored) == {A, C, D}
    assert [set(keys) for keys in searched] == [{C, D}]


def test_others_are_read_only(tmp_path, other):
    before = other.read_bytes()
    with Store(tmp_path / "own.sqlite", also=[other]) as store:
        store.claim_missing([A, D])
        store.put_many("judge", {D: {"text": "d"}})
        store.mark_failed([A])
    assert other.read_bytes() == before
    assert not other.with_name("other.sqlite-wal").exists()


def test_a_file_without_permission_to_write_is_read(tmp_path, other):
    if os.geteuid() == 0:
        pytest.skip("root may write everything")
    other.chmod(0o400)
    with Store(tmp_path / "own.sqlite", also=[other]) as store:
        assert store.claim_missing([A]).stored == {A: {"text": "a"}}


def test_its_own_file_is_left_out(tmp_path, other):
    with Store(other, also=[other, tmp_path / "x" / ".." / "other.sqlite"]) as store:
        assert not store._others


def test_present_searches_the_others_once(tmp_path, other, monkeypatch):
    searched = []
    find = OtherStores.find
    monkeypatch.setattr(
        OtherStores,
        "find",
        lambda self, keys, **o: find(self, searched.append(set(keys)) or keys, **o),
    )
    with Store(tmp_path / "own.sqlite", also=[other]) as store:
        assert store.present(iter([A, D])) == {A}
        assert store.present([A, D]) == {A}
    assert [keys for keys in searched if keys] == [{A, D}]


def test_a_pickled_store_keeps_them(tmp_path, other):
    with Store(tmp_path / "own.sqlite", also=[other]) as store:
        copy = pickle.loads(pickle.dumps(store))
        with copy:
            assert copy.claim_missing([A]).stored == {A: {"text": "a"}}


def test_an_estimate_counts_them_and_writes_nothing(tmp_path, other):
    with Store(tmp_path / "own.sqlite"):
        pass
    before = (tmp_path / "own.sqlite").read_bytes()
    with look_into(tmp_path / "own.sqlite", also=[other]) as store:
        assert store.peek_many([A, D]) == {A: {"text": "a"}}
    assert (tmp_path / "own.sqlite").read_bytes() == before
    with look_into(tmp_path / "none.sqlite", also=[other]) as store:
        assert store.peek_many([A, D]) == {A: {"text": "a"}}
    assert not (tmp_path / "none.sqlite").exists()


def test_models_of_other_stores_are_compared(tmp_path):
    other = tmp_path / "other.sqlite"
    with Store(other) as store:
        store.begin_run("annotate", {}, models=[{"role": "judge"}])
        store.put_many("judge", {A: {}})
    with Store(tmp_path / "own.sqlite", also=[other]) as store:
        assert store.models_of_runs() == [[{"role": "judge"}]]
        assert (store.has_kind("judge"), store.has_kind("reply")) == (True, False)
        store.begin_run("annotate", {}, models=[{"role": "own"}])
        assert store.models_of_runs() == [[{"role": "own"}], [{"role": "judge"}]]


def test_sixty_four_stores_from_many_threads(tmp_path):
    paths = [tmp_path / f"part-{number}.sqlite" for number in range(64)]
    for number, path in enumerate(paths):
        with Store(path) as store:
            store.put_many("judge", {f"{number:064x}": {"n": number}})
    with Store(tmp_path / "own.sqlite", also=paths) as store:
        found: dict = {}

        def claim(first):
            for number in range(first, 64, 4):
                found.update(store.claim_missing([f"{number:064x}"]).stored)

        threads = [threading.Thread(target=claim, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {f"{number:064x}": {"n": number} for number in range(64)}


def test_more_stores_than_open_files(tmp_path, monkeypatch):
    import resource

    paths = [tmp_path / f"part-{number}.sqlite" for number in range(40)]
    for number, path in enumerate(paths):
        with Store(path) as store:
            store.put_many("judge", {f"{number:064x}": {}})
    keys = [f"{number:064x}" for number in range(40)]
    with few_open_files(70) as limit:
        monkeypatch.setattr("annotator.calls.store_others._FILES_LEFT", limit)
        with Store(tmp_path / "own.sqlite", also=paths) as store:
            raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            assert raised == limit + 120
            assert len(store.claim_missing(keys).stored) == 40
    monkeypatch.setattr("annotator.calls.store_others.make_room", lambda number: False)
    with few_open_files(70), Store(tmp_path / "other-own.sqlite", also=paths) as store:
        assert len(store.claim_missing(keys).stored) == 40


def test_on_a_network_file_system_a_store_in_use_is_left_out(tmp_path, other, monkeypatch):
    monkeypatch.setattr("annotator.calls.store_others.is_on_network", lambda path: True)
    with Store(other) as writer:
        writer.put_many("judge", {D: {"text": "d"}})  # in the log
        with Store(tmp_path / "own.sqlite", also=[other]) as store:
            assert store.claim_missing([A]).mine == {A}
    with Store(tmp_path / "own.sqlite", also=[other]) as store:  # closed: no log
        assert set(store.claim_missing([A, D]).stored) == {A, D}


def test_the_kind_of_a_mount(tmp_path):
    lines = [
        "/dev/sda1 / ext4 rw 0 0",
        "server:/home /home nfs4 rw 0 0",
        "/dev/sdb /home/local xfs rw 0 0",
        "lustre@tcp:/work /big\\040work lustre rw 0 0",
        "broken",
    ]
    found = [
        _kind_of_mount(lines, tmp_path.__class__(path))
        for path in ("/home/me/store", "/home/local/store", "/homes", "/big work/x")
    ]
    assert found == ["nfs4", "xfs", "ext4", "lustre"]
