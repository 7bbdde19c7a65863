"""Measures the review desk over HTTP: the time of each page and of a decision.

    python benchmarks/desk_rows.py /tmp/big --sentences 200000 --reviews 200000
    python benchmarks/desk_speed.py /tmp/big

starts `maskdpo review FOLDER` on a copy of the run (`--in-place`: on the run itself), once without
and, where the folder has a reviews.jsonl, once with reviews, and sends the requests of one person
on one connection. The last line is a JSON object: for each kind the median and the 99th percentile
in milliseconds, as the client sees them, and the seconds of both starts. The first request of a
kind is not in its figures; it is listed as `first`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TOKEN = "a-token-of-the-benchmark-of-the-desk"
FILES = ("annotations.jsonl", "documents.jsonl")
START_S = 600.0
WORD, TWO, ONE = "people", "北京", "北"


class Client:
    """One person with one connection."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        self._cookie = self._csrf = ""

    def send(self, method: str, path: str, fields: Mapping[str, str] | None = None) -> str:
        """The text of the reply, or the address to which it leads."""
        headers = {"Cookie": self._cookie} if self._cookie else {}
        body = None
        if fields is not None:
            body = urlencode(fields)
            headers |= {"X-CSRF-Token": self._csrf, "HX-Request": "true"}
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body, headers)
        reply = self._connection.getresponse()
        text = reply.read().decode()
        if reply.status not in (200, 303):
            raise SystemExit(f"{method} {path}: {reply.status}: {text[-300:]}")
        if cookie := reply.getheader("Set-Cookie"):
            self._cookie = cookie.partition(";")[0]
        if found := re.search(r'<meta name="csrf" content="([^"]+)"', text):
            self._csrf = found[1]
        return reply.getheader("Location") or text


class Desk:
    """`maskdpo review` as a process of its own; `start_s` until it answers."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "maskdpo", "review", str(folder), "--port", "0"]
        begin = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "MASKDPO_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = ""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"^open (http://[^/\s]+)/review", line):
                self.address = found[1]
            if line.startswith("Ctrl-C"):
                break
        self.start_s = round(time.perf_counter() - begin, 1)

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(30)


def measure(name: str, action: Callable[[int], object], count: int) -> dict[str, float]:
    """The times of `count` requests, in milliseconds."""
    times = []
    for number in range(count + 1):
        begin = time.perf_counter()
        action(number)
        times.append(1e3 * (time.perf_counter() - begin))
    rest = sorted(times[1:])
    figures = {
        "median": round(rest[len(rest) // 2], 1),
        "p99": round(rest[min(len(rest) - 1, int(0.99 * len(rest)))], 1),
        "first": round(times[0], 1),
    }
    print(f"  {name:24} {figures}", flush=True)
    return figures


def pages(base: str) -> dict[str, str]:
    """The address of each kind of page."""
    queries = {
        "list": "",
        "label": "label=contradictory",
        "reason": "reason=no_document",
        "topic": quote("topic") + "=topic+3",
        "language": "language=zh",
        "confidence": "confidence=0.5",
        "open": "status=open",
        "decided": "status=decided",
        "skipped": "status=skipped",
        "judge_differs": "judge_differs=1",
        "people_differ": "people_differ=1",
        "flagged": "flagged=1",
        "unreviewed": "unreviewed=1",
        "second": "second=1",
        "search_word": f"q={WORD}",
        "search_two_zh": f"q={quote(TWO)}",
        "search_one_zh": f"q={quote(ONE)}",
        "random": "order=random&seed=3&status=open",
        "least_sure": "order=least_sure",
        "far": "order=least_sure&after=100000",
    }
    found = {name: f"{base}?{query}" for name, query in queries.items()}
    others = {"runs": "/review", "people": f"{base}/people", "conflicts": f"{base}/conflicts"}
    return {**found, **others}


def measure_desk(folder: Path, count: int) -> dict[str, Any]:
    """All figures of one desk: it is started twice, and asked after the second start."""
    first = Desk(folder)
    first.stop()
    desk = Desk(folder)
    print(f"  start {first.start_s} s, again {desk.start_s} s", flush=True)
    try:
        client = Client(desk.address)
        client.send("GET", f"/review?token={TOKEN}")
        client.send("GET", "/review/settings")
        client.send("POST", "/review/name", {"who": "Dora"})
        found = re.search(r'href="(/review/s/[^"/?]+)', client.send("GET", "/review"))
        assert found is not None
        base = found[1]
        figures = {
            name: measure(name, lambda _, path=path: client.send("GET", path), count)  # type: ignore[misc]
            for name, path in pages(base).items()
        }
        reading = f"{base}/r/{{}}/0"
        figures["reading"] = measure(
            "reading", lambda n: client.send("GET", reading.format(1000 + 7 * n)), count
        )
        after = f"{base}/next?after={{}}"
        figures["next"] = measure(
            "next", lambda n: client.send("GET", after.format(999 * n)), count
        )
        figures["decide"] = measure_decide(client, base, count)
        conflict = re.search(
            rf'href="({re.escape(base)}/conflicts/\d+)"', client.send("GET", f"{base}/conflicts")
        )
        if conflict is not None:
            path = conflict[1]
            figures["conflict"] = measure("conflict", lambda _: client.send("GET", path), count)
    finally:
        desk.stop()
    return {"first_start_s": first.start_s, "second_start_s": desk.start_s, "ms": figures}


def measure_decide(client: Client, base: str, count: int) -> dict[str, float]:
    """Decisions one after the other, each from the page that the last one gave."""
    address = client.send("GET", f"{base}/next")
    page = client.send("GET", address)

    def decide(_: int) -> None:
        nonlocal page
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
        action = re.search(r'<form id="decision" method="post" action="([^"]+)"', page)
        assert action is not None
        page = client.send("POST", action[1], {**hidden, "label": "no_hallucination"})

    return measure("decide", decide, count)


def copied(folder: Path, target: Path, names: tuple[str, ...]) -> Path:
    """A copy of these files of a run."""
    target.mkdir()
    for name in names:
        if (folder / name).exists():
            shutil.copy(folder / name, target / name)
    return target


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=50, help="requests of each kind [50]")
    parser.add_argument("--in-place", action="store_true", help="write into FOLDER itself")
    given = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        runs: dict[str, Path] = {"run": given.folder}
        if not given.in_place:
            runs = {"without_reviews": copied(given.folder, Path(scratch, "without"), FILES)}
            if (given.folder / "reviews.jsonl").exists():
                names = (*FILES, "reviews.jsonl")
                runs["with_reviews"] = copied(given.folder, Path(scratch, "with"), names)
        for name, folder in runs.items():
            print(name, flush=True)
            results[name] = measure_desk(folder, given.count)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
