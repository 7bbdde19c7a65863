"""A run on Ray whose workers and driver are killed: what it writes, and what it asks twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scale_server import Reply, ScaleServer, asked_twice

COMMIT_S = 1.5
"""A reply that was sent this long before a kill is in the store, also on a busy machine."""
DEATH_S = {"worker": 0.0, "driver": 5.0}
"""How long workers may go on after a kill: those of a killed driver end a moment later."""


@dataclass(frozen=True, kw_only=True)
class Killed:
    """One process that was killed."""

    what: str
    pid: int
    at: float


@dataclass(kw_only=True)
class Outcome:
    """What happened: the kills, how often the command was started, and its last output."""

    kills: list[Killed] = field(default_factory=list)
    num_starts: int = 0
    printed: str = ""


def processes() -> Iterator[tuple[int, str]]:
    """(pid, command line) of all processes."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            yield int(entry.name), text.decode("utf-8", "replace").strip()


def descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return found


def workers_of(pid: int) -> list[int]:
    """The processes below `pid` that are Ray actors which run pieces."""
    names = dict(processes())
    return [child for child in descendants(pid) if "MapWorker" in names.get(child, "")]


def run_killed(
    command: Sequence[str],
    server: ScaleServer,
    *,
    kills: Sequence[tuple[int, str]],
    environment: dict[str, str],
    timeout_s: float,
) -> Outcome:
    """Run `command` until it ends well, with kills after these numbers of replies of `server`.

    "worker" kills one of the workers, "driver" the command, which is then started again.
    """
    outcome = Outcome()
    owed = sorted(kills)
    deadline = time.monotonic() + timeout_s
    chosen = random.Random(7)
    while True:
        outcome.num_starts += 1
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        try:
            while process.poll() is None:
                assert time.monotonic() < deadline, "the run takes too long"
                time.sleep(0.05)
                if not owed or server.count() < owed[0][0]:
                    continue
                workers = workers_of(process.pid)
                if not workers:
                    continue
                _, what = owed.pop(0)
                pid = process.pid if what == "driver" else chosen.choice(workers)
                os.kill(pid, signal.SIGKILL)
                outcome.kills.append(Killed(what=what, pid=pid, at=time.time()))
                if what == "driver":
                    process.wait()
        finally:
            if process.poll() is None:
                process.kill()
        assert process.stdout is not None
        outcome.printed = process.stdout.read()
        if process.returncode == -signal.SIGKILL:
            continue
        assert process.returncode == 0, outcome.printed[-4000:]
        return outcome


def asked_without_need(server: ScaleServer, kills: Sequence[Killed]) -> list[Reply]:
    """Requests for a reply that was sent before, and not shortly before a kill."""
    return [
        again
        for first, again in asked_twice(server.replies())
        if not any(
            first.came - DEATH_S[kill.what] <= kill.at <= first.answered + COMMIT_S
            for kill in kills
        )
    ]


def annotate_command(folder: Path, server: ScaleServer | None, *options: str) -> list[str]:
    """`maskdpo annotate` of the world in `folder`, by the server's judge or the baseline."""
    judge = []
    if server is not None:
        judge = [
            "--set", "annotate.judge=llm",
            "--set", "annotate.llm.model=judge",
            "--set", f"annotate.llm.base_url={server.base_url}",
            "--set", "annotate.llm.protocol=response",
        ]  # fmt: skip
    return [
        sys.executable, "-m", "maskdpo", "annotate",
        "--responses", str(folder / "responses.jsonl"),
        "--documents", str(folder / "documents.jsonl"),
        *judge, *options,
    ]  # fmt: skip
