"""A child process that reads files, so that a bad file cannot stop the run.

The rule: foreign files are parsed only in a process that may fail. A 2 KB PDF can unpack to 2 GB,
a page nested 100,000 deep takes a minute to parse, and a fault in a parser written in C ends its
process: here only that file fails, and a new child reads the next one.

Protocol: a request is a line of JSON (with `size`) and the file's bytes; a reply is one line of
JSON: the fields of a FileText, {"reason", "detail"}, or {"missing"}, a package. The child opens
no file and no connection.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event, Timer
from typing import IO, Any, Self

from annotator.documents.readers.file_text import Dropped, FileText, UnreadableError
from annotator.documents.readers.read import read_bytes
from schemas.text.language_codes import AUTO

_MODULE = "annotator.documents.readers.worker"
_ROOT = Path(__file__).resolve().parents[3]


class ReaderProcess:
    """Reads one file after another in a child with limits on memory and time."""

    def __init__(self, *, memory_mb: int, seconds: float) -> None:
        self._memory_mb = memory_mb
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def read(
        self,
        data: bytes,
        *,
        format_name: str,
        max_chars: int,
        encoding: str = AUTO,
        language: str = AUTO,
    ) -> FileText:
        """`read_bytes` in the child.

        Raises UnreadableError, also with the reasons `too_slow` and `reader_died` (out of memory,
        or a crash); the child is then replaced.
        """
        request = {
            "size": len(data),
            "format_name": format_name,
            "max_chars": max_chars,
            "encoding": encoding,
            "language": language,
        }
        reply = self._ask(json.dumps(request).encode() + b"\n" + data)
        if "missing" in reply:
            raise ModuleNotFoundError(f"no module {reply['missing']}", name=reply["missing"])
        if "reason" in reply:
            raise UnreadableError(**reply)
        dropped = tuple(Dropped(**row) for row in reply.pop("dropped"))
        return FileText(**reply, dropped=dropped)

    def _ask(self, request: bytes) -> dict[str, Any]:
        child = self._child = self._child or self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        expired = Event()

        def expire() -> None:
            expired.set()
            child.kill()

        timer = Timer(self._seconds, expire)
        timer.start()
        line = b""
        try:
            with suppress(BrokenPipeError):
                child.stdin.write(request)
                child.stdin.flush()
            line = child.stdout.readline()
        finally:
            timer.cancel()
            if not line.endswith(b"\n"):
                self._stop()
        if line.endswith(b"\n"):
            reply: dict[str, Any] = json.loads(line)
            return reply
        if expired.is_set():
            raise UnreadableError("too_slow", f"reading it took longer than {self._seconds:g} s")
        raise UnreadableError(
            "reader_died", f"its reader needed more than {self._memory_mb} MB, or crashed"
        )

    def _start(self) -> subprocess.Popen[bytes]:
        paths = filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", "")))
        return subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(self._memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # One thread: each of numpy's threads reserves memory, which the limit would count.
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            },
        )

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Handle requests until there are none."""
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request.pop("size"))
        replies.write(json.dumps(_answer(data, request)).encode() + b"\n")
        replies.flush()


def _answer(data: bytes, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return asdict(read_bytes(data, **request))
    except UnreadableError as error:
        return {"reason": error.reason, "detail": error.detail}
    except ModuleNotFoundError as error:
        return {"missing": error.name}  # not a fault of the file: the parent says how to install it
    except MemoryError:
        return {"reason": "reader_died", "detail": "its reader ran out of memory"}
    except Exception as error:
        # A fault in a reader or its library must affect one file, not the whole folder.
        detail = f"its reader failed: {type(error).__name__}: {error}".splitlines()[0]
        return {"reason": "broken", "detail": detail[:300]}


def _limit_memory(megabytes: int) -> None:
    try:
        import resource
    except ImportError:
        return  # no such limits on this system; the time limit still holds
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """The child: replies go to what was standard output, which is closed to all other code."""
    _limit_memory(int(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
