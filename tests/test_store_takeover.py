"""A store next to an output of an earlier version: its calls serve the run directory."""

import hashlib
import os
import sqlite3
from contextlib import closing

import pytest
from old_store import KEYS, REPLY, write_old_store

from annotator.calls.store import Store
from annotator.calls.store_tables import SCHEMA_VERSION
from annotator.calls.store_takeover import take_over
from schemas.errors import InputError


def content_of(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_calls_are_copied_once_and_the_former_file_is_untouched(tmp_path):
    former = write_old_store(tmp_path / "elsewhere" / "store.sqlite")
    before = content_of(former.parent)
    store = tmp_path / "run" / "store.sqlite"
    assert take_over(store, former) == 5  # all but the verdict
    assert content_of(former.parent) == before
    with Store(store) as calls:
        assert calls.get_many(KEYS) == dict.fromkeys(KEYS, REPLY)
        assert (calls.count("reply", failed=True), calls.count("verdict")) == (1, 0)
    assert take_over(store, former) == 0
    with closing(sqlite3.connect(store)) as look:  # recorded once: it was not read again
        assert look.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    with Store(store, retry_failed=True) as calls:
        assert calls.present(["f" * 64]) == set()


def test_what_the_run_directory_has_stays_unless_it_failed(tmp_path):
    former = write_old_store(tmp_path / "former.sqlite")
    store = tmp_path / "store.sqlite"
    with Store(store) as calls:
        calls.put_many("reply", {KEYS[0]: {"text": "mine"}, KEYS[1]: {"f": 1}}, failed={KEYS[1]})
        calls.put_many("reply", {"f" * 64: {"text": "good"}})
    take_over(store, former)
    with Store(store) as calls:
        found = calls.get_many([KEYS[0], KEYS[1], "f" * 64])
        assert found == {KEYS[0]: {"text": "mine"}, KEYS[1]: REPLY, "f" * 64: {"text": "good"}}
        assert calls.count("reply", failed=True) == 0


def test_calls_that_came_later_are_taken_over_later(tmp_path):
    former, store = tmp_path / "former.sqlite", tmp_path / "store.sqlite"
    with Store(former) as calls:
        calls.put_many("judge", {"a": {}})
    assert take_over(store, former) == 1
    with Store(former) as calls:
        calls.put_many("judge", {"b": {}})
        assert take_over(store, former) == 1  # while it is open, from its log
    with Store(store) as calls:
        assert calls.count("judge") == 2


def test_the_models_of_a_former_store_come_along(tmp_path):
    former, store = tmp_path / "former.sqlite", tmp_path / "store.sqlite"
    with Store(former) as calls:
        calls.begin_run("annotate", {"a": 1}, models=[{"role": "judge"}])
    take_over(store, former)
    with Store(store) as calls:
        assert calls.models_of_runs() == [[{"role": "judge"}]]
        assert calls.begin_run("annotate", {}) == {"a": 1}


def test_a_store_of_version_1_is_taken_over(tmp_path):
    former = tmp_path / "a b%20#?.sqlite"  # a name that a URI must quote
    old = sqlite3.connect(former)
    old.execute(
        "CREATE TABLE calls (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL,"
        " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) WITHOUT ROWID"
    )
    old.execute("INSERT INTO calls (key, kind, value) VALUES ('k', 'reply', '{\"n\": 1}')")
    old.execute("PRAGMA user_version=1")
    old.commit()
    old.close()
    assert take_over(tmp_path / "store.sqlite", former) == 1


def test_a_newer_or_foreign_file_is_named(tmp_path):
    former, store = tmp_path / "former.sqlite", tmp_path / "store.sqlite"
    Store(former).close()
    connection = sqlite3.connect(former)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(InputError, match=r"former\.sqlite: has store version 5"):
        take_over(store, former)
    former.write_text("no store at all, and longer than a header of SQLite would be\n" * 9)
    with pytest.raises(InputError, match=r"former\.sqlite: is not a store"):
        take_over(store, former)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_former_store_in_a_folder_of_others_is_read(tmp_path):
    former = write_old_store(tmp_path / "elsewhere" / "store.sqlite")
    former.parent.chmod(0o500)
    try:
        assert take_over(tmp_path / "store.sqlite", former) == 5
    finally:
        former.parent.chmod(0o700)
