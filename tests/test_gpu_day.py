"""The script for one GPU: how it divides its time, what a cut leaves, what it prints."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gpu_day
import pytest
from gpu_day import END_S, Budget, Part

from maskdpo.study.real.config import RealConfig

ONE, TWO = Part(name="one", share=1.0, least_s=10.0), Part(name="two", share=3.0, least_s=10.0)


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def options(folder: Path, **more: Any) -> argparse.Namespace:
    values = {"minutes": 1.0, "output": folder, "work": folder / "work", "model": None}
    return argparse.Namespace(**values | {"seeds": 1, "dry_run": True, "only": None} | more)


def test_what_a_part_does_not_use_goes_to_the_next() -> None:
    clock = Clock()
    budget = Budget(total_s=80 + END_S, clock=clock)
    assert budget.limit(ONE, [TWO]) == 20.0
    clock.now += 5
    assert budget.limit(TWO, []) == 75.0
    clock.now += 500
    assert budget.limit(TWO, []) == budget.left_s == 0.0


def test_a_part_that_would_get_too_little_is_skipped_with_the_reason(tmp_path: Path) -> None:
    clock = Clock()
    begun: list[tuple[str, float]] = []

    def start(part: Part, limit: float, _: argparse.Namespace) -> dict[str, Any]:
        begun.append((part.name, limit))
        clock.now += 52
        return {"state": "done", "seconds": 52.0}

    parts = [Part(name="steps", share=1.0, least_s=10.0), Part(name="real", share=1.0, least_s=10)]
    day = gpu_day.run_day(options(tmp_path), parts, start=start, clock=clock)
    assert begun == [("steps", (60 - END_S) / 2)]
    assert day["parts"]["real"]["state"] == "skipped"
    assert day["parts"]["real"]["reason"] == "3 s are left for it, and it needs 10 s"
    assert json.loads((tmp_path / "day.json").read_text()) == day
    table = (tmp_path / "table.md").read_text()
    assert "| real | skipped | - | 3 s are left" in table and "Step table: not measured." in table
    assert "no figure above is a measurement" in table


def test_a_part_without_its_packages_is_skipped_with_their_names(tmp_path: Path) -> None:
    part = Part(name="steps", share=1.0, least_s=1.0, packages=("json", "no_such_one"))
    day = gpu_day.run_day(options(tmp_path), [part], clock=Clock())
    assert day["parts"]["steps"] == {"state": "skipped", "reason": "not installed: no_such_one"}
    assert "no seed was finished" in (tmp_path / "table.md").read_text()
    assert [item.missing() for item in gpu_day.PARTS] == [[], []]


def test_each_part_is_on_the_disk_before_the_next_begins(tmp_path: Path) -> None:
    def start(part: Part, limit: float, given: argparse.Namespace) -> dict[str, Any]:
        if part.name == "two":
            assert list(json.loads((given.output / "day.json").read_text())["parts"]) == ["one"]
            raise KeyboardInterrupt  # as a machine that is taken away
        return {"state": "done", "seconds": limit}

    with pytest.raises(KeyboardInterrupt):
        gpu_day.run_day(options(tmp_path), [ONE, TWO], start=start, clock=Clock())
    assert "| one | done | " in (tmp_path / "table.md").read_text()


def test_a_part_is_killed_at_its_limit_and_its_results_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "work" / "real-dry"
    real.mkdir(parents=True)
    (real / "results.json").write_text('{"seeds": [1]}')
    (real / "seed-0" / "stages").mkdir(parents=True)
    (real / "seed-0" / "stages" / "base.json").write_text('{"stage": "base"}')
    script = "import sys, time\nif '--seconds' in sys.argv: time.sleep(60)\n"
    (tmp_path / "child.py").write_text(script)
    monkeypatch.setattr(gpu_day, "__file__", str(tmp_path / "child.py"))
    part = Part(name="real", share=1.0, least_s=1.0)
    found = gpu_day.run_part(part, 0.5, options(tmp_path))
    assert found["state"] == "cut" and found["reason"] == "its limit was 0 s"
    assert json.loads((tmp_path / "real-dry.json").read_text()) == {"seeds": [1]}
    kept = json.loads((tmp_path / "real-dry_stages.json").read_text())
    assert kept == {"seed-0/base": {"stage": "base"}}
    (tmp_path / "child.py").write_text("import sys\nsys.exit(3)\n")
    assert gpu_day.run_part(part, 60.0, options(tmp_path))["reason"] == "exit code 3; see above"


def test_a_real_run_uses_nothing_of_a_dry_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies: list[tuple[Path, int, Path]] = []

    def study(config: RealConfig, folder: Path, **_: Any) -> None:
        size = json.loads((Path(config.model) / "config.json").read_text())["hidden_size"]
        studies.append((Path(config.model), size, folder))

    monkeypatch.setattr("maskdpo.study.real.run.run_real_study", study)
    for dry_run in (True, False):
        gpu_day.run_real(options(tmp_path, dry_run=dry_run))
    (first, small, _), (second, large, _) = studies
    assert (small, large) == (64, 576)
    assert first != second and studies[0][2] != studies[1][2]
    (second / "config.json").write_text((first / "config.json").read_text())
    gpu_day.make_start(second, dry_run=False)  # a tiny one that is there in spite of its name
    assert json.loads((second / "config.json").read_text())["hidden_size"] == 576
    (tmp_path / "real-dry.md").write_text("| tiny |")
    day = {"parts": {}, "dry_run": False}
    assert "no seed was finished" in gpu_day.render(day, tmp_path)
    assert "| tiny |" in gpu_day.render(day | {"dry_run": True}, tmp_path)


# A day whose only part is the script CHILD; its process has one of its own.
STOPPED = """
import sys
import gpu_day
gpu_day.__file__ = sys.argv[1]
gpu_day.choose_parts = lambda options: [gpu_day.Part(name="steps", share=1.0, least_s=1.0)]
sys.argv = ["gpu_day.py", "--dry-run", "--output", sys.argv[2]]
gpu_day.main()
"""
CHILD = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
print("begun", flush=True)
import time; time.sleep(100)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_day_leaves_no_process(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    command = [sys.executable, "-c", STOPPED, str(tmp_path / "child.py"), str(tmp_path / "out")]
    paths = os.pathsep.join(sys.path)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths}
    ) as day:
        assert day.stdout is not None
        assert "begun\n" in iter(day.stdout.readline, "")
        day.send_signal(number)
        day.communicate(timeout=60)  # until all processes have closed their output
    assert day.returncode == code


@pytest.mark.parametrize("name", ["day.json", "steps.json"])
def test_a_dry_run_replaces_no_measurement(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text('{"dry_run": false, "rows": [1]}')
    monkeypatch.setattr("sys.argv", ["gpu_day.py", "--dry-run", "--output", str(tmp_path)])
    with pytest.raises(SystemExit):
        gpu_day.main()
    assert f"{name}: is of a real run; name another folder with --output" in capsys.readouterr().err
    assert gpu_day.other_kind(tmp_path, dry_run=False) is None


def measured(**more: Any) -> dict[str, Any]:
    row = {"shape": "0.5b-full", "lengths": "64/256/256", "errors": {}, "trl_cached_pairs_s": 131.0}
    return row | {"ours_pairs_s": 121.0, "vs_trl_best": 0.9237, "trl_cached_mfu": None} | more


def test_the_step_table_shows_what_was_measured_skipped_and_failed(tmp_path: Path) -> None:
    skipped = {"shape": "8b-lora", "lengths": "64/256/256", "skipped": "9 s were left"}
    failed = measured(errors={"ours": "out of memory"}, vs_trl_best=None)
    rows = [measured(), failed, skipped]
    path = tmp_path / "steps.json"
    path.write_text(json.dumps({"device": "CPU", "torch": "2", "dry_run": True, "rows": rows}))
    lines = gpu_day.render_steps(path)
    assert "| 0.5b-full | 64/256/256 | 131, 121 | 0.924 | - | -, - | -, - |  |" in lines
    assert lines[-2].endswith("| ours: out of memory |") and "| - | - |" in lines[-2]
    assert lines[-1].endswith("| 9 s were left |")
    # The same command continues: only rows without an error stay, of the same device and size.
    head = {"device": "CPU", "torch": "2", "dry_run": True}
    assert gpu_day.rows_of_before(path, head) == [measured()]
    assert gpu_day.rows_of_before(path, head | {"device": "a GPU"}) == []
    assert gpu_day.rows_of_before(tmp_path / "none.json", head) == []


def test_the_code_fits_beside_a_model_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(3 * 2**20))
    sizes = gpu_day.carried(tmp_path)
    assert sizes["model"] == 3.0 and 1.0 < sizes["code"] < gpu_day.CARRIED_MIB / 2
    assert "MiB, fits into 64 MiB" in gpu_day.describe_carried(sizes)
    assert "does not fit into" in gpu_day.describe_carried(sizes | {"model": 60.0})


def test_it_refuses_to_measure_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_day, "has_gpu", lambda: False)
    for more, code in (([], 1), (["--minutes", "0"], 2), (["--seeds", "0"], 2)):
        monkeypatch.setattr("sys.argv", ["gpu_day.py", "--output", str(tmp_path / "out"), *more])
        with pytest.raises(SystemExit) as stop:
            gpu_day.main()
        assert stop.value.code == code
    shown = capsys.readouterr().err
    assert "--dry-run runs tiny sizes on a CPU" in shown
    assert shown.endswith("error: --seeds 0: must be 1 or more\n")
    assert not (tmp_path / "out").exists()
