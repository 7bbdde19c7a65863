"""`maskdpo forget` in a run with jobs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, make_run
from core_support import judge_config
from jobs_support import add_job, open_jobs, run_jobs, upload_lines
from sample_server import ChatServer
from test_forget import World

from annotator.service.jobs.job import lease_key


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(monkeypatch, capsys)


@pytest.fixture
def jobs_world(tmp_path: Path, run: Run) -> Any:
    """A run with responses, a finished job with documents of its own, and one that is paused."""
    world = World(tmp_path, run)
    world("sample")
    with ChatServer(world._answer) as server, open_jobs(world.folder) as (store, jobs):
        lines = [
            line.replace(b"was born in", b"was in fact born in")
            for line in upload_lines(world.folder)
        ]
        job = add_job(jobs, lines)
        assert run_jobs(jobs, store, judge_config(server.base_url), job.id).state == "succeeded"
        paused = add_job(jobs, upload_lines(world.folder))
        jobs.pause(paused.id)
        whole = (world.folder / "jobs" / job.id / "annotations.jsonl").read_bytes()
        jobs.folders.part(paused).write_bytes(whole[:-100])
    return world


def test_a_response_leaves_the_jobs_of_a_run(jobs_world: Any) -> None:
    world = jobs_world
    assert sum(name.startswith("jobs/") for name in world.holders()) == 4
    before = world.files()
    dry, _ = world("forget", "--response", "q1-0", "--dry-run")
    assert world.files() == before
    out, _ = world("forget", "--response", "q1-0")
    assert world.holders() == []
    assert "4 stored calls" in dry and "4 stored calls removed (judge 3, reply 1)" in out
    for name, content in world.files().items():
        if name.startswith("jobs/") and name.endswith(("/responses.jsonl", "/annotations.jsonl")):
            rows = content.splitlines(keepends=True)
            left = [row for row in before[name].splitlines(keepends=True) if b'"q1-0"' not in row]
            assert rows == left and len(rows) == 5
    with open_jobs(world.folder) as (store, jobs):
        paused = jobs.newest(state="paused")[0]
        jobs.resume(paused.id)
        with ChatServer(world._answer) as server:
            job = run_jobs(jobs, store, judge_config(server.base_url), paused.id)
        assert (job.state, job.progress.total) == ("succeeded", 5)
    assert world.holders() == []


def test_nothing_is_removed_while_a_job_runs(jobs_world: Any) -> None:
    world = jobs_world
    with open_jobs(world.folder) as (store, _):
        store.claim([lease_key("a job")])
        _, err = world("forget", "--response", "q1-0", code=3)
        assert "another program is calling models" in err
        assert "responses.jsonl" in world.holders()
    world("forget", "--response", "q1-0")
    assert world.holders() == []


def test_a_removed_job_folder_hides_nothing(jobs_world: Any) -> None:
    world = jobs_world
    folder = next((world.folder / "jobs").iterdir())
    shutil.copytree(folder, folder.with_name(".new-left-by-a-crash"))
    world("forget", "--response", "q1-0")
    assert world.holders() == []
