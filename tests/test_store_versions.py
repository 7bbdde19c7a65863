"""Stores of older versions: served as they are, migrated in one step, refused when newer."""

import signal
import sqlite3
import subprocess
import sys

import pytest
from old_store import KEYS, QUESTIONS, REPLY, write_old_store, write_store_of_version_3

from annotator.calls.store import Store
from annotator.calls.store_tables import SCHEMA_VERSION
from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample
from schemas.errors import InputError

NOWHERE = "http://127.0.0.1:9/v1"  # nothing listens: a call would fail


def version_of(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.close()


def test_replies_of_version_2_serve_a_run_of_today(tmp_path):
    """The keys of default settings are the same bytes as they were."""
    store = write_old_store(tmp_path / "store.sqlite")
    questions = tmp_path / "questions.jsonl"
    questions.write_text(QUESTIONS, encoding="utf-8")
    values = {"backend": "openai", "model": "policy", "base_url": NOWHERE, "num_responses": 2}
    result = run_sample(
        SampleConfig.parse(values, where="sample"),
        questions=questions,
        output=tmp_path / "responses.jsonl",
        store=store,
    )
    assert (result.counts["asked"], result.counts["from_store"]) == (4, 4)
    assert version_of(store) == SCHEMA_VERSION


def test_a_store_of_version_2_is_migrated_in_place(tmp_path):
    path = write_old_store(tmp_path / "store.sqlite")
    with Store(path) as calls:
        assert calls.get_many(KEYS) == dict.fromkeys(KEYS, REPLY)
        assert (calls.count("reply"), calls.count("verdict")) == (5, 1)
        assert calls.begin_run("sample", {})["model"] == "policy"
        assert calls.models_of_runs() == []
        calls.put_many("reply", {"new": {}}, failed={"new"})
    with Store(path, retry_failed=True) as calls:
        # The old failure counts as one of before, whatever clock stamped it.
        assert calls.present(["f" * 64, "new", *KEYS]) == set(KEYS)


def test_a_store_of_version_1_is_migrated_in_place(tmp_path):
    path = tmp_path / "calls.db"
    old = sqlite3.connect(path)
    old.execute(
        "CREATE TABLE calls (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL,"
        " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) WITHOUT ROWID"
    )
    old.execute("INSERT INTO calls (key, kind, value) VALUES ('k', 'reply', '{\"n\": 1}')")
    old.execute("PRAGMA user_version=1")
    old.commit()
    old.close()
    with Store(path) as calls:
        assert calls.get_many(["k"]) == {"k": {"n": 1}}
        calls.put_many("reply", {"new": {}}, failed={"new"})
        assert calls.count("reply", failed=True) == 1
        assert calls.claim(["other"]) == {"other"}


def test_claims_of_version_3_are_void_and_its_process_may_finish(tmp_path):
    path = tmp_path / "store.sqlite"
    old = write_store_of_version_3(path)
    with Store(path) as calls:
        assert version_of(path) == SCHEMA_VERSION
        assert calls.get_many(["k"]) == {"k": {"n": 1}}
        assert calls.begin_run("sample", {}) == {"a": 1}
        assert old.execute("SELECT count(*) FROM claims").fetchone() == (0,)
        assert calls.claim(["under way"]) == {"under way"}
        # What the former version's `put_many` does, in a process that had the file open.
        old.execute("BEGIN IMMEDIATE")
        old.execute(
            "INSERT INTO calls (key, kind, value, failed, failed_run) VALUES ('under way', 'reply',"
            " '{\"n\": 2}', 0, max(0, (SELECT coalesce(max(id), 0) FROM runs)))"
        )
        old.execute("DELETE FROM claims WHERE key = 'under way'")
        old.execute("COMMIT")
        found = calls.submit("reply", {"under way": {"n": 3}}).result()
        assert found == {"under way": {"n": 2}}
    old.close()


KILLED_MIGRATION = """
import os, signal, sqlite3, sys
from pathlib import Path
from annotator.calls import store_tables

connection = store_tables.connect(Path(sys.argv[1]))

def kill_at_the_moment(statement):
    if statement.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

connection.set_trace_callback(kill_at_the_moment)
store_tables.prepare(connection, Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    "moment", ["BEGIN", "ALTER TABLE runs", "ALTER TABLE calls", "PRAGMA user_version=", "COMMIT"]
)
def test_a_migration_killed_half_way_leaves_the_old_store(tmp_path, moment):
    path = write_old_store(tmp_path / "store.sqlite")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_MIGRATION, str(path), moment], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    old = sqlite3.connect(path)
    assert old.execute("PRAGMA user_version").fetchone() == (2,)
    assert old.execute("SELECT count(*), max(stamp) FROM calls").fetchone() == (6, 9e9)
    columns = {row[1] for row in old.execute("PRAGMA table_info(runs)")}
    assert "models" not in columns
    old.close()
    with Store(path) as calls:
        assert calls.present(KEYS) == set(KEYS)


def test_two_processes_migrate_one_store(tmp_path):
    path = write_old_store(tmp_path / "store.sqlite")
    program = "import sys; from annotator.calls.store import Store; Store(sys.argv[1]).close()"
    running = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert version_of(path) == SCHEMA_VERSION


def test_a_newer_store_is_refused_untouched(tmp_path):
    path = tmp_path / "calls.db"
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(InputError, match=r"has store version 5, newer .* upgrade maskdpo"):
        Store(path)
    assert path.read_bytes() == content
