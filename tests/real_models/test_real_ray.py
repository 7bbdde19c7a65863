"""A real small model behind Ray: 100 responses sampled from it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from real_model_support import MODEL, serve

from schemas.files.jsonl import read_records
from schemas.records import Response

TOWNS = ("Karsted", "Uldin", "Holm", "Brenn", "Ostwick")


def sample(folder: Path, url: str, *options: str) -> str:
    """What `maskdpo sample` prints: two responses to each of fifty questions."""
    command = [
        sys.executable, "-m", "maskdpo", "sample", "--set", f"run.dir={folder}", "--model", MODEL,
        "--set", "sample.backend=openai", "--set", f"sample.base_url={url}/v1",
        "--set", "sample.num_responses=2", "--set", "sample.max_tokens=24", *options,
    ]  # fmt: skip
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_a_hundred_responses_of_a_real_model(tmp_path: Path) -> None:
    with (tmp_path / "questions.jsonl").open("w") as questions:
        for n in range(50):
            text = f"Which towns are near {TOWNS[n % 5]}, where person {n} was born?"
            questions.write(json.dumps({"id": f"q{n}", "question": text}) + "\n")
    output = tmp_path / "responses.jsonl"
    with serve(tmp_path / "server.log") as url:
        began = time.monotonic()
        sample(tmp_path, url, "--engine", "ray", "--set", "ray.actors=2")
        print(f"100 responses in {time.monotonic() - began:.0f} s")
        rows = read_records(output, Response)
        assert [row.id for row in rows] == [f"q{n}-{k}" for n in range(50) for k in range(2)]
        assert len({row.text for row in rows}) > 50
        # One machine writes the same rows, from the stored calls.
        content = output.read_bytes()
        assert "from_store 100" in sample(tmp_path, url)
        assert output.read_bytes() == content
