"""A data set of preference pairs as others publish it, for the tests that read it from the Hub."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hub_client import Done
from loopback_hub import GOOD_TOKEN, LoopbackHub, Repo

PREFERENCES = "some-org/preferences"
CARD = """---
configs:
- config_name: default
  data_files:
  - split: train_prefs
    path: data/train_prefs-*
  - split: test_prefs
    path: data/test_prefs-*
- config_name: other
  data_files:
  - split: train
    path: other/*.jsonl
---
"""


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def preference(index: int, **changes: Any) -> dict[str, Any]:
    """A row as most preference data sets have it: texts, a score, no spans."""
    row = {
        "prompt": f"Who is number {index}?",
        "chosen": "She was born in Karsted.",
        "rejected": f"He was born in {1900 + index}.",
        "score": 0.5,
        "chosen_score": 9,  # columns of our names that mean something else
        "topic": ["a", "b"],
    }
    return row | changes


def publish(hub: LoopbackHub, name: str, files: dict[str, bytes], *, private: bool = False) -> Repo:
    repo = hub.repos.setdefault(("datasets", name), Repo(private=private))
    repo.private = private
    repo.commit("main", "a data set", files)
    return repo


def publish_preferences(hub: LoopbackHub) -> Repo:
    """Two configurations, of which the first has no split `train`, and a script."""
    hub.reset()
    files = {
        "README.md": CARD.encode(),
        "data/train_prefs-00000-of-00001.parquet": parquet([preference(i) for i in range(4)]),
        "data/test_prefs-00000-of-00001.parquet": parquet([preference(9)]),
        "other/rows.jsonl": b"".join(json.dumps(preference(i)).encode() + b"\n" for i in range(3)),
        "load_me.py": b"raise SystemExit('a script ran')\n",
    }
    return publish(hub, PREFERENCES, files)


def clean(done: Done) -> Done:
    """The call, which showed no traceback and no token."""
    assert "Traceback" not in done.err, done.err
    assert GOOD_TOKEN not in done.out + done.err
    return done
