"""A real small model behind Ray: 100 responses sampled from it, and 20 of them judged by it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from real_model_support import MODEL, serve

from schemas.files.jsonl import read_records
from schemas.records import Annotation, Response

TOWNS = ("Karsted", "Uldin", "Holm", "Brenn", "Ostwick")


def write_inputs(folder: Path) -> None:
    """Fifty people, a document and a question about each."""
    with (folder / "documents.jsonl").open("w") as documents:
        for n in range(50):
            text = f"Person {n} was born in {TOWNS[n % 5]} in {1900 + n}. Person {n} is a baker."
            documents.write(json.dumps({"id": f"d{n}", "text": text}) + "\n")
    with (folder / "questions.jsonl").open("w") as questions:
        for n in range(50):
            row = {"id": f"q{n}", "question": f"Where was person {n} born?", "language": "en"}
            questions.write(json.dumps(row | {"document_ids": [f"d{n}"]}) + "\n")


def maskdpo(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "maskdpo", *arguments], check=True)


def test_a_hundred_responses_of_a_real_model(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    run = ["--set", f"run.dir={tmp_path}", "--set", "ray.actors=2"]
    with serve(tmp_path / "server.log") as url:
        began = time.monotonic()
        maskdpo(
            "sample", *run, "--engine", "ray", "--model", MODEL,
            "--set", "sample.backend=openai", "--set", f"sample.base_url={url}/v1",
            "--set", "sample.num_responses=2", "--set", "sample.max_tokens=24",
        )  # fmt: skip
        sampled = time.monotonic()
        assert len(read_records(tmp_path / "responses.jsonl", Response)) == 100
        few = tmp_path / "few.jsonl"
        lines = (tmp_path / "responses.jsonl").read_text().splitlines(keepends=True)
        few.write_text("".join(lines[::5]))
        judge = [
            *run, "--responses", str(few),
            "--set", "annotate.judge=llm", "--set", f"annotate.llm.model={MODEL}",
            "--set", f"annotate.llm.base_url={url}/v1", "--set", "annotate.llm.protocol=sentence",
            "--set", "annotate.llm.max_tokens=64", "--set", "annotate.max_undetermined_share=1",
            "--set", "annotate.max_useless=0",
        ]  # fmt: skip
        maskdpo("annotate", *judge, "--engine", "ray")
        print(f"sampled in {sampled - began:.0f} s, judged in {time.monotonic() - sampled:.0f} s")
        rows = (tmp_path / "annotations.jsonl").read_bytes()
        assert len(read_records(tmp_path / "annotations.jsonl", Annotation)) == 20
        # One machine writes the same rows, from the stored calls.
        maskdpo("annotate", *judge)
        assert (tmp_path / "annotations.jsonl").read_bytes() == rows
