"""The long run: 20,000 responses, ten workers and the driver killed; sample and questions, too.

MASKDPO_RAY_RESPONSES gives another number of responses.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from ray_kills import annotate_command, asked_without_need, run_killed
from sample_server import ChatServer
from sample_support import write_questions
from scale_server import asked_twice, serve_scale, write_world

NUM_RESPONSES = int(os.environ.get("MASKDPO_RAY_RESPONSES", "20000"))
NUM_KILLS = 10


def test_ten_killed_workers_and_a_killed_driver(tmp_path: Path) -> None:
    write_world(tmp_path, NUM_RESPONSES)
    with serve_scale(tmp_path / "local.log") as server:
        output = ["--output", str(tmp_path / "local.jsonl"), "--store", str(tmp_path / "l.sqlite")]
        subprocess.run(annotate_command(tmp_path, server, *output), check=True, capture_output=True)
    chosen = random.Random()
    moments = chosen.sample(range(20, int(0.95 * NUM_RESPONSES)), NUM_KILLS + 1)
    kills = [(moments[0], "driver"), *((moment, "worker") for moment in moments[1:])]
    run = tmp_path / "run" / "annotations.jsonl"
    with serve_scale(tmp_path / "ray.log") as server:
        command = annotate_command(tmp_path, server, "--engine", "ray", "--output", str(run))
        outcome = run_killed(
            command, server, kills=kills, environment=dict(os.environ), timeout_s=3_000
        )
        replies = server.replies()
        print(f"kills {[(kill.what, round(kill.at)) for kill in outcome.kills]}")
        print(f"requests {len(replies):,}, of them again {len(asked_twice(replies)):,}")
        assert asked_without_need(server, outcome.kills) == []
    assert outcome.num_starts == 2
    assert len(outcome.kills) == NUM_KILLS + 1, "the run ended before all kills"
    assert run.read_bytes() == (tmp_path / "local.jsonl").read_bytes()
    assert len(run.read_bytes().splitlines()) == NUM_RESPONSES


def test_sample_makes_the_rows_of_one_machine(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "questions.jsonl", 300)
    with ChatServer() as server:
        common = [
            sys.executable, "-m", "maskdpo", "sample", "--questions", str(questions),
            "--model", "policy", "--set", "sample.backend=openai",
            "--set", f"sample.base_url={server.base_url}", "--set", "sample.num_responses=4",
        ]  # fmt: skip
        outputs = [tmp_path / name / "responses.jsonl" for name in ("local", "ray")]
        for output, engine in zip(outputs, ("local", "ray"), strict=True):
            subprocess.run([*common, "--engine", engine, "--output", str(output)], check=True)
        assert outputs[0].read_bytes() == outputs[1].read_bytes()
        assert len(server.asked) == 2 * 4 * 300
        # Everything is in the run's store: nothing is asked again.
        subprocess.run([*common, "--output", str(outputs[1])], check=True)
        assert len(server.asked) == 2 * 4 * 300
