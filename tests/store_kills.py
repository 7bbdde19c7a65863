"""Kills workers on one store at random moments and counts what was asked more than once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path

from store_worker import HOWS

from annotator.calls.store import Store

ROOT = Path(__file__).resolve().parent.parent
WAIT_S = 120
_UNSHARE = ["unshare", "--pid", "--fork"]


def has_namespaces() -> bool:
    """Whether this machine lets us run a process with process ids of its own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_UNSHARE, "true"], check=False, capture_output=True).returncode == 0


class Worker:
    """One process of a kind, started again after each kill; `host` has a pid namespace."""

    def __init__(self, how: str, arguments: list[str], *, in_namespace: bool) -> None:
        self.how = how
        self._arguments = arguments
        self._prefix = _UNSHARE if in_namespace else []
        self.num_starts = 0
        self.start()

    def start(self) -> None:
        self.num_starts += 1
        self.name = f"{self.how}-{self.num_starts}"
        path, log, num_keys, lease_s = self._arguments
        worker = Path(__file__).with_name("store_worker.py")
        values = [str(worker), self.how, path, log, self.name, num_keys, lease_s]
        self.process = subprocess.Popen(
            [*self._prefix, sys.executable, *values],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
        )

    def kill(self) -> bool:
        """Whether it was running, and is dead now."""
        target = self.process.pid
        if self._prefix:  # the process itself, by its id out here
            children = Path(f"/proc/{target}/task/{target}/children")
            with suppress(OSError, ValueError, IndexError):
                target = int(children.read_text().split()[0])
        if self.process.poll() is not None:
            return False
        with suppress(ProcessLookupError):
            os.kill(target, signal.SIGKILL)
        return self.process.wait(WAIT_S) != 0


def read_log(log: Path) -> list[list[str]]:
    """Event, key, worker and text of each whole line."""
    text = log.read_text() if log.exists() else ""
    return [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]


def kill_in_worlds(folder: Path, *, num_kills: int, num_keys: int, lease_s: float) -> Counter[str]:
    """Run worlds, each with a store of its own, until there were that many kills; prints counts.

    Fails where a call was asked again whose reply was committed, or more often than kills hit it.
    """
    totals: Counter[str] = Counter()
    while totals["kills"] < num_kills:
        name = f"world-{totals['worlds']}"
        (folder / name).mkdir()
        left = num_kills - totals["kills"]
        counts = _run_world(
            folder / name, num_kills=left, num_keys=num_keys, lease_s=lease_s, seed=name
        )
        assert counts["kills"], "the world ended before a worker could be killed"
        assert counts["asked_though_committed"] == 0
        assert counts["lost_in_flight"] <= counts["in_flight_at_kills"]
        totals += counts + Counter(worlds=1)
    shown = ", ".join(f"{name} {value:,}" for name, value in totals.items())
    print(f"\n{shown}, asked_though_committed 0; pid namespaces: {has_namespaces()}")
    return totals


def _run_world(
    folder: Path, *, num_kills: int, num_keys: int, lease_s: float, seed: str
) -> Counter[str]:
    """Run one world of keys to its end with at most `num_kills` kills; returns counts."""
    source = random.Random(seed)
    path, log = folder / "calls.db", folder / "server.log"
    arguments = [str(path), str(log), str(num_keys), str(lease_s)]
    in_namespace = has_namespaces()
    workers = [
        Worker(how, arguments, in_namespace=in_namespace and how in ("host", "stores"))
        for how in HOWS
    ]
    killed: list[str] = []
    try:
        while len(killed) < num_kills:
            running = [item for item in workers if item.process.poll() is None]
            if not running:
                break
            working = {line[2] for line in read_log(log)}
            ready = [item for item in running if item.name in working]
            time.sleep(source.uniform(0.0, 0.12) if ready else 0.01)
            if ready and (worker := source.choice(ready)).kill():
                killed.append(worker.name)
                worker.start()
        codes = [worker.process.wait(WAIT_S) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert codes == [0] * len(workers)
    return count(path, log, killed, num_keys=num_keys)


def count(path: Path, log: Path, killed: list[str], *, num_keys: int) -> Counter[str]:
    """Check the log against the store; returns how much of what happened."""
    asked: Counter[str] = Counter()
    in_flight: defaultdict[str, set[str]] = defaultdict(set)
    texts: dict[str, str] = {}
    events = read_log(log)
    for event, key, worker, text in events:
        if event == "asked":
            assert key not in texts, f"{key} was asked although its commit had been reported"
            asked[key] += 1
            in_flight[key].add(worker)
        elif event == "acked":
            in_flight[key].discard(worker)
            assert texts.setdefault(key, text) == text, f"{key} has two values"
    for key, num_asked in asked.items():
        lost = in_flight[key] & set(killed)
        assert num_asked <= 1 + len(lost), f"{key}: {num_asked} calls, under way at kills: {lost}"
    with Store(path) as store:
        values = store.get_many(f"k{n}" for n in range(num_keys))
    assert len(values) == num_keys == len(asked)
    assert all(values[key]["text"] == text for key, text in texts.items())
    return Counter(
        kills=len(killed),
        keys=num_keys,
        asked=asked.total(),
        lost_in_flight=asked.total() - num_keys,
        in_flight_at_kills=sum(len(names & set(killed)) for names in in_flight.values()),
        asked_though_committed=sum(event == "again" for event, *_ in events),
    )
