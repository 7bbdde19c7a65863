"""A command of maskdpo that serves until it is stopped, as a process, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "a-token-for-tests-that-is-long-enough"
START_S = 60


class CommandProcess:
    """`maskdpo ARGUMENTS` in `folder`. Use it as a context manager.

    address   http://127.0.0.1:PORT, which `see` finds in what it prints
    lines     what it printed so far, on both streams
    """

    LAST_LINE = ""  # how the line begins after which it serves

    def __init__(
        self, folder: Path, *arguments: str, environment: Mapping[str, str | None] | None = None
    ) -> None:
        changes = {
            "PYTHONPATH": str(ROOT), "MASKDPO_TOKEN": TOKEN, "HF_HUB_OFFLINE": "1",
            "PYTHONUNBUFFERED": "1", **(environment or {}),
        }  # fmt: skip
        values = {**os.environ, **changes}
        self._environment = {name: value for name, value in values.items() if value is not None}
        self._command = [sys.executable, "-m", "maskdpo", *arguments]
        self._folder = folder
        self.lines: list[str] = []
        self.address = ""
        self._is_up = threading.Event()

    def see(self, line: str) -> None:
        """Take what is needed from a line that was printed."""
        raise NotImplementedError

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._is_up.wait(START_S) and self.address, self.log

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.see(line)
            if line.startswith(self.LAST_LINE):
                self._is_up.set()
        self._is_up.set()

    def stop(self, how: int = signal.SIGTERM) -> int:
        """A signal, then the exit code."""
        self.process.send_signal(how)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL: nothing is closed."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        code = self.process.wait(START_S)
        self._reader.join()
        return code

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.kill()
