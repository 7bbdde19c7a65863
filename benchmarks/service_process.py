"""The service as a process, for its benchmarks: `maskdpo serve` with settings, and its figures.

The rule: the service runs as a user starts it, from this checkout; only its settings differ.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil

ROOT = Path(__file__).resolve().parent.parent
_ADDRESS = re.compile(r"maskdpo serves at (http://\S+)")
_START_S = 60


class ServiceProcess:
    """`maskdpo serve` in `folder`. Use it as a context manager.

    url     its address
    token   what its clients send
    """

    def __init__(self, folder: Path, settings: Sequence[str]) -> None:
        self._folder = folder
        self._settings = [f"run.dir={folder}", *settings]
        self.url = ""
        self.token = secrets.token_hex(16)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "maskdpo", "serve", "--port", "0"]
        for setting in self._settings:
            command += ["--set", setting]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT), "MASKDPO_TOKEN": self.token},
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        killer = threading.Timer(_START_S, self._process.kill)
        killer.start()
        said = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said.append(line)
            if found := _ADDRESS.match(line):
                self.url = found[1]
                break
        killer.cancel()
        if not self.url:
            raise SystemExit(f"the service did not start:\n{''.join(said)}")
        threading.Thread(target=self._process.stdout.read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def headers(self) -> dict[str, str]:
        """What every request needs."""
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

    def cpu_s(self) -> float:
        """CPU seconds of the service and its worker processes so far."""
        times = [process.cpu_times() for process in self._tree()]
        return sum(item.user + item.system for item in times)

    def memory_mb(self) -> float:
        """Resident memory of the service and its worker processes together."""
        return sum(process.memory_info().rss for process in self._tree()) / 1e6

    def _tree(self) -> list[psutil.Process]:
        top = psutil.Process(self._process.pid)
        return [top, *top.children(recursive=True)]


class OtherLoad:
    """How many CPU cores programs that are not part of a measurement use, from its start on."""

    def __init__(self) -> None:
        self._began, self._busy_s = time.monotonic(), _busy_s()

    def cores(self, own_s: float) -> float:
        """`own_s` is the CPU time of the measured programs since the start."""
        passed = time.monotonic() - self._began
        return round(max(0.0, _busy_s() - self._busy_s - own_s) / passed, 2)


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that `share` of them do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else 0.0
