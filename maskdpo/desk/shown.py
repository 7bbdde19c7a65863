"""Who was shown the judge's labels of which responses, before a decision of their own.

The rule: this is a fact about a person, not something that can be computed again, so it is in a
file of its own that is only appended to. A decision on such a response is never recorded as blind,
also after a restart, on another desk, or with a new index.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from schemas.files.appending import append_lines

NAME = "{}.shown.jsonl"  # next to the index


class Shown:
    """The pairs (person, response id) in a file, which need not exist; thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pairs: set[tuple[str, str]] = set()
        self._end = 0
        self._lock = Lock()

    def add(self, who: str, responses: Iterable[str]) -> None:
        """Keep that a person was shown labels of these responses."""
        with self._lock:
            fresh = [name for name in responses if (who, name) not in self._pairs]
            if fresh:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                append_lines(self._path, [json.dumps([who, name]) for name in fresh])
                self._pairs.update((who, name) for name in fresh)

    def has(self, who: str, response: str) -> bool:
        """Whether the person was shown labels of the response, on this desk or another."""
        with self._lock:
            self._read()
            return (who, response) in self._pairs

    def _read(self) -> None:
        """Take over whole lines that were appended since the last call."""
        try:
            with self._path.open("rb") as handle:
                handle.seek(self._end)
                data = handle.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._end += len(whole)
        for line in whole.splitlines():
            try:
                who, response = json.loads(line)
            except ValueError:  # a line that was cut off, and another after it
                continue
            self._pairs.add((str(who), str(response)))
