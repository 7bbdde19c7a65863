"""A store as version 2 wrote it: four replies of `sample`, a failure, an unused verdict."""

import json
import os
import sqlite3
from pathlib import Path

QUESTIONS = (
    '{"id": "q1", "messages": [{"role": "user", "content": "Where is Karsted?"}]}\n'
    '{"id": "q2", "messages": [{"role": "user", "content": "Wo liegt Überlingen?"}]}\n'
)
# The keys that version 2 made of those questions: model `policy`, two responses, all else default.
KEYS = (
    "2aa6ee73bd29f7006e97b9cfd80dd5ce68cc306b48ae40feb7a8eff5f7d04e42",
    "575ee63441c4ca54871b511f33d36d9ee9d5d3723fa6ba839c9e65175d43ea7c",
    "f1c59cacb9adf3a894e088be98dd28a3a24dee956ff62c3583acec0c96578efe",
    "fc77409d9072c40dd515142e0d53a01b9f9864dd160279b2732cc39f48009f17",
)
REPLY = {
    "completion_tokens": 5,
    "finish_reason": "stop",
    "prompt_tokens": 3,
    "reasoning": "",
    "text": "In the north.",
}
FAILURE = {"failure": {"reason": "timeout", "detail": "600 s"}}
SETTINGS = {
    "backend": "openai",
    "chat_template_kwargs": {},
    "max_tokens": 512,
    "model": "policy",
    "revision": None,
    "seed": 0,
    "system_prompt": None,
    "temperature": 1.0,
    "top_p": 1.0,
}
_TABLES = """
CREATE TABLE calls ( key TEXT PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL,
 created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, failed INTEGER NOT NULL DEFAULT 0,
 stamp REAL NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE claims ( key TEXT PRIMARY KEY, process INTEGER NOT NULL, started REAL NOT NULL)
 WITHOUT ROWID;
CREATE TABLE runs ( id INTEGER PRIMARY KEY, stage TEXT NOT NULL, settings TEXT NOT NULL,
 created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
PRAGMA user_version=2;
"""


def write_old_store(path: Path) -> Path:
    """Make the file; its failure was stamped by a clock that is ahead of ours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode=WAL;" + _TABLES)
    insert = "INSERT INTO calls (key, kind, value, failed, stamp) VALUES (?, ?, ?, ?, 9e9)"
    for key in KEYS:
        connection.execute(insert, (key, "reply", json.dumps(REPLY, sort_keys=True), 0))
    connection.execute(insert, ("f" * 64, "reply", json.dumps(FAILURE, sort_keys=True), 1))
    connection.execute(insert, ("0" * 64, "verdict", '{"verdicts": []}', 0))
    connection.execute(
        "INSERT INTO runs (stage, settings) VALUES ('sample', ?)", (json.dumps(SETTINGS),)
    )
    connection.commit()
    connection.close()
    return path


def write_store_of_version_3(path: Path) -> sqlite3.Connection:
    """A store that a process of version 3 has open, and asks `under way` through."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL;"
        "CREATE TABLE calls ( key TEXT PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL,"
        " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, failed INTEGER NOT NULL DEFAULT 0,"
        " failed_run INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
        "CREATE TABLE runs ( id INTEGER PRIMARY KEY, stage TEXT NOT NULL, settings TEXT NOT NULL,"
        " models TEXT NOT NULL DEFAULT '[]', created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);"
        "CREATE TABLE claims ( key TEXT PRIMARY KEY, process INTEGER NOT NULL,"
        " started REAL NOT NULL, owner TEXT NOT NULL DEFAULT '') WITHOUT ROWID;"
        "PRAGMA user_version=3;"
    )
    connection.execute("INSERT INTO calls (key, kind, value) VALUES ('k', 'reply', '{\"n\": 1}')")
    connection.execute("INSERT INTO runs (stage, settings) VALUES ('sample', '{\"a\": 1}')")
    connection.execute(
        "INSERT INTO claims (key, process, started, owner) VALUES ('under way', ?, 0, 'old')",
        (os.getpid(),),
    )
    return connection
