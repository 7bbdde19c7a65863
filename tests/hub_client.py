"""A second process that speaks to the loopback Hub: maskdpo's command line, and load_dataset.

huggingface_hub reads its endpoint when it is imported, so the tests cannot do this themselves.
One process serves a whole test file; each call captures what goes to its outputs, whoever writes.
Retries of the library do not wait here.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Done:
    """One call: exit code, and all that was printed or logged."""

    code: int
    out: str
    err: str
    value: Any = None


class HubProcess:
    """Use as a context manager."""

    def __init__(self, url: str, home: Path, *, offline: bool = False) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "HF_ENDPOINT": url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(home),
            **({"HF_HUB_OFFLINE": "1"} if offline else {}),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def __enter__(self) -> "HubProcess":
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)

    def run(self, *arguments: object, token: str | None = None) -> Done:
        """`maskdpo ARGUMENTS` with this token in the environment."""
        return self._ask({"argv": [str(item) for item in arguments], "token": token})

    def load(self, repo: str, name: str | None, token: str | None, revision: str = "main") -> Done:
        """`load_dataset`: rows by split."""
        return self._ask({"load": [repo, name, revision], "token": token})

    def _ask(self, question: dict[str, Any]) -> Done:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return Done(**json.loads(self._process.stdout.readline()))


def _serve() -> None:
    import tempfile
    import time

    time.sleep = lambda seconds: None
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        question = json.loads(line)
        os.environ.pop("HF_TOKEN", None)
        if question["token"]:
            os.environ["HF_TOKEN"] = question["token"]
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code, value = _call(question)
            sys.stdout.flush()
            sys.stderr.flush()
            out.seek(0)
            err.seek(0)
            answer = {"code": code, "out": out.read(), "err": err.read(), "value": value}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _call(question: dict[str, Any]) -> tuple[int, Any]:
    import traceback

    try:
        if "load" in question:
            import datasets

            repo, name, revision = question["load"]
            data = datasets.load_dataset(repo, name, revision=revision)
            return 0, {split: [dict(row) for row in rows] for split, rows in data.items()}
        from maskdpo.cli.main import main

        sys.argv = ["maskdpo", *question["argv"]]
        main()
    except SystemExit as stop:
        return (stop.code if isinstance(stop.code, int) else 1), None
    except Exception:
        traceback.print_exc()
        return 99, None
    return 0, None


if __name__ == "__main__":
    _serve()
