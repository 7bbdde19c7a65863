"""The real service as a process, for tests of its API."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TOKEN = "a-token-for-tests-only-0123456789"


def _on(folder: Path) -> list[str]:
    return ["--set", f"run.dir={folder}", "--set", "serve.processes=1"]


class ServiceProcess:
    """One `maskdpo serve` process; `log` holds its standard error."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.log = folder / f"service-{len(list(folder.glob('service-*')))}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "maskdpo", "serve", "--port", "0", *_on(folder), *options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "MASKDPO_TOKEN": TOKEN},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line + self.log.read_text()
        self.url = found[0]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


@contextmanager
def service(folder: Path, *options: str) -> Iterator[ServiceProcess]:
    """A service on the run in `folder`."""
    process = ServiceProcess(folder, *options)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.stop()


def client(url: str, **options: Any) -> Any:
    """An HTTP client with the token."""
    import httpx2

    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx2.Client(base_url=url, headers=headers, timeout=60.0, trust_env=False, **options)


def read_events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """(name, data) of server-sent events."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
