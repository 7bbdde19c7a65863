"""`--engine ray`, as a user runs it: the rows of one machine, also where workers are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from ray_kills import annotate_command, asked_without_need, run_killed
from scale_server import serve_scale, write_world

from annotator.models.config import ModelConfig
from annotator.scale.config import RayConfig
from maskdpo.cli.engine_option import _with_gpus
from maskdpo.cli.main import cli


def test_a_killed_worker_loses_and_repeats_nothing(tmp_path: Path) -> None:
    write_world(tmp_path, 600)
    with serve_scale(tmp_path / "local.log") as server:
        output = ["--output", str(tmp_path / "local.jsonl"), "--store", str(tmp_path / "l.sqlite")]
        subprocess.run(annotate_command(tmp_path, server, *output), check=True, capture_output=True)
    run = tmp_path / "run"
    output = ["--output", str(run / "annotations.jsonl"), "--metrics", str(run / "metrics.prom")]
    with serve_scale(tmp_path / "ray.log") as server:
        command = annotate_command(tmp_path, server, "--engine", "ray", *output)
        outcome = run_killed(
            command,
            server,
            kills=[(150, "worker")],
            environment=dict(os.environ),
            timeout_s=300,
        )
        assert [kill.what for kill in outcome.kills] == ["worker"], outcome.printed
        assert asked_without_need(server, outcome.kills) == []
    assert (run / "annotations.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()
    assert sorted(path.name for path in run.iterdir()) == [
        "annotations.jsonl",
        "annotations.jsonl.meta.json",
        "metrics.prom",
        "store.sqlite",
    ]
    metrics = (run / "metrics.prom").read_text()
    assert 'maskdpo_rows_total{name="default",outcome="done",role="judge"} 600' in metrics
    assert "a worker ended; piece" in outcome.printed


def test_it_is_not_combined_with_a_part() -> None:
    result = CliRunner().invoke(cli, ["annotate", "--shard", "1/2", "--engine", "ray"])
    assert result.exit_code == 2
    assert "cannot be combined with --shard" in result.output
    result = CliRunner().invoke(cli, ["annotate", "--engine", "ray", "--shard", "1/2"])
    assert "cannot be combined with --shard" in result.output


@pytest.mark.parametrize(
    ("backend", "given", "expected"),
    [("openai", {}, 0.0), ("vllm", {}, 1.0), ("vllm", {"gpus_per_actor": 2}, 2.0)],
)
def test_a_worker_that_loads_a_model_gets_a_gpu(
    backend: str, given: dict[str, float], expected: float
) -> None:
    model = ModelConfig.model_validate(
        {"backend": backend, "model": "m"}
        | ({"base_url": "http://127.0.0.1:1/v1"} if backend == "openai" else {})
    )
    assert _with_gpus(RayConfig.model_validate(given), model).gpus_per_actor == expected


def test_ray_is_imported_only_where_it_is_used() -> None:
    code = "import sys, maskdpo.cli.main, annotator.scale.run; print('ray' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "False"
