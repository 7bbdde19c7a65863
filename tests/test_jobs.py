"""Jobs without HTTP: the same bytes as the command, states, limits, retries, expiry."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from core_support import LEXICAL, judge_config
from jobs_support import (
    CALLS_A_RESPONSE,
    add_job,
    command_output,
    has_ended,
    has_stopped,
    open_jobs,
    run_jobs,
    running,
    upload_lines,
    wait_for,
    world,
)
from judge_server import ScriptedJudge
from sample_server import ChatServer, as_json, completion

from annotator.calls.running.handover import end_task
from annotator.calls.store import Store
from annotator.calls.store_faults import StoreError
from annotator.calls.usage import Limits
from annotator.judging.config import AnnotateConfig, CascadeConfig
from annotator.judging.stream_judge import JudgeProcesses
from annotator.models.openai.openai_backend import OpenAIBackend
from annotator.service.jobs.attempt import Attempt, JobJudge, LostJobError
from annotator.service.jobs.ending import end_of
from annotator.service.jobs.job import Job, JobRequest, Progress, Spent, State, lease_key
from annotator.service.jobs.jobs import JobStateError, TooManyJobsError, UnknownJobError
from annotator.service.jobs.results import ResultReader
from annotator.service.jobs.runner import JobRunner
from annotator.service.jobs.status import status_of
from annotator.service.jobs.threads import Threads
from annotator.service.jobs.upload import TooLargeError
from schemas.errors import BackendError, ConfigError, InputError
from schemas.events import ignore
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Failure


def results(folder: Path, job_id: str) -> bytes:
    return (folder / "jobs" / job_id / "annotations.jsonl").read_bytes()


def bodies(server: ChatServer) -> Counter[str]:
    return Counter(json.dumps(call.body, sort_keys=True) for call in server.asked)


def test_a_job_writes_the_bytes_of_the_command(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=12))
    with ChatServer(judge) as server:
        config = judge_config(server.base_url)
        expected = command_output(tmp_path / "command", config, run)
        with open_jobs(run) as (store, jobs):
            job = add_job(jobs, upload_lines(run))
            job = run_jobs(jobs, store, config, job.id)
    assert job.state == "succeeded", job.outcome
    assert results(run, job.id) == expected
    status = status_of(job)
    assert status.rows.model_dump() == {"total": 12, "done": 12, "failed": 0}
    assert sum(status.labels.values()) == 12 * 4
    assert status.usage.calls == 12 * CALLS_A_RESPONSE
    assert status.annotations == f"jobs/{job.id}/annotations.jsonl"
    assert not list((run / "jobs" / job.id).glob("*.part"))
    sidecar = json.loads((run / "jobs" / job.id / "annotations.jsonl.meta.json").read_text())
    assert str(tmp_path) not in json.dumps(sidecar)


def test_a_judge_that_computes_runs_in_processes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=40)
    expected = command_output(tmp_path / "command", LEXICAL, run)
    with open_jobs(run) as (store, jobs), JudgeProcesses(1) as processes:
        job = add_job(jobs, upload_lines(run))
        job = run_jobs(jobs, store, LEXICAL, job.id, processes=processes)
    assert job.state == "succeeded"
    assert results(run, job.id) == expected


def test_a_cascade_writes_the_bytes_of_the_command(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=40))
    with ChatServer(judge) as server, JudgeProcesses(1) as processes:
        config = judge_config(server.base_url).model_copy(
            update={"judge": "cascade", "cascade": CascadeConfig(min_confidence=0.7)}
        )
        expected = command_output(tmp_path / "command", config, run)
        num_asked = len(server.asked)
        with open_jobs(run) as (store, jobs):
            job = add_job(jobs, upload_lines(run))
            job = run_jobs(jobs, store, config, job.id, processes=processes)
        assert job.state == "succeeded", job.outcome
        assert results(run, job.id) == expected
        assert 0 < num_asked < 40 * CALLS_A_RESPONSE
        assert job.spent.calls == len(server.asked) - num_asked == num_asked


def test_one_backend_serves_jobs_and_others(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=6))

    async def work(config: AnnotateConfig) -> None:
        assert config.llm is not None
        backend = OpenAIBackend(config.llm)
        with open_jobs(run) as (store, jobs):
            first, second = (add_job(jobs, upload_lines(run)) for _ in range(2))
            async with running(store, jobs, config, backend=backend):
                for job in (first, second):
                    assert (await wait_for(jobs, job.id, has_ended)).state == "succeeded"
            assert results(run, first.id) == results(run, second.id)

    with ChatServer(slow(judge, 0.02)) as server:
        asyncio.run(work(judge_config(server.base_url, concurrency=3)))
        assert server.most_in_flight <= 3
        assert max(bodies(server).values()) == 1


def test_a_job_without_documents_gets_a_copy_of_those_of_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=3)
    expected = command_output(tmp_path / "command", LEXICAL, run)
    with open_jobs(run) as (store, jobs):
        job = add_job(jobs, (run / "responses.jsonl").read_bytes().splitlines(keepends=True))
        (run / "documents.jsonl").write_text('{"id": "d0", "text": "Something else."}\n')
        job = run_jobs(jobs, store, LEXICAL, job.id)
    assert results(run, job.id) == expected


def test_a_job_of_files_of_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=3)
    (tmp_path / "outside.jsonl").write_bytes((run / "responses.jsonl").read_bytes())
    (run / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    expected = command_output(tmp_path / "command", LEXICAL, run)
    with open_jobs(run) as (store, jobs):
        for name in ("../outside.jsonl", "link.jsonl", "none.jsonl", "store.sqlite", "/etc/passwd"):
            new = jobs.begin(JobRequest(source=name))
            with pytest.raises(InputError, match="file in the run's folder"):
                new.read_files()
            new.discard()
        new = jobs.begin(JobRequest(source="responses.jsonl", documents="documents.jsonl"))
        new.read_files()
        job, is_new = jobs.add(new)
        (run / "responses.jsonl").unlink()
        assert is_new
        job = run_jobs(jobs, store, LEXICAL, job.id)
    assert results(run, job.id) == expected
    assert len(list((run / "jobs").iterdir())) == 1


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        ([], ["upload: holds no response"]),
        ([b"\n", b"{\n"], ["upload:2: not valid JSON"]),
        ([b'{"id": "a"}\n'], ["upload:1: required key 'question_id' is missing"]),
        ([b'{"document": {"id": "d"}}\n'], ["upload:1: required key 'text' is missing"]),
        (
            [b'{"document": {"id": "d", "text": "a"}, "document": {"id": "e", "text": "b"}}\n'],
            ["upload:1: key 'document' is given twice; send one document per line"],
        ),
        ([b"\xff\xfe\n"], ["upload:1: "]),
        ([b"[" * 100_000 + b"\n"], ["upload:1: "]),
    ],
)
def test_a_faulty_upload_is_refused_whole(
    tmp_path: Path, lines: list[bytes], faults: list[str]
) -> None:
    run = tmp_path / "run"
    world(run, num_responses=2)
    with open_jobs(run) as (_, jobs):
        with pytest.raises(InputError) as caught:
            add_job(jobs, lines)
        assert all(fault in str(caught.value) for fault in faults), str(caught.value)
        assert jobs.newest() == []
    assert list((run / "jobs").iterdir()) == []


def test_all_faults_are_named_up_to_twenty(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=2)
    good = (run / "responses.jsonl").read_bytes().splitlines(keepends=True)[0]
    with open_jobs(run) as (_, jobs):
        with pytest.raises(InputError) as caught:
            add_job(jobs, [good, good, b"{}\n"])
        shown = [str(fault) for fault in caught.value.faults]
        assert shown[0].startswith("upload:2: duplicate id 'r0', first used on line 1")
        assert all(line.startswith("upload:3: required key") for line in shown[1:])
        with pytest.raises(InputError) as caught:
            add_job(jobs, [good, *[b"x\n"] * 30])
        assert len(caught.value.faults) == 20


def test_limits_of_an_upload(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=4)
    with open_jobs(run, max_job_rows=3) as (_, jobs), pytest.raises(TooLargeError, match="at most"):
        add_job(jobs, upload_lines(run))
    with (
        open_jobs(run, max_upload_bytes=500) as (_, jobs),
        pytest.raises(TooLargeError, match="longer than 500 bytes"),
    ):
        add_job(jobs, upload_lines(run))
    with open_jobs(run) as (_, jobs), pytest.raises(TooLargeError, match="line 1 is longer"):
        add_job(jobs, [b"x" * 1_000_000] * 17)
    with open_jobs(run, max_jobs=1) as (_, jobs):
        add_job(jobs, upload_lines(run))
        with pytest.raises(TooManyJobsError, match="1 job already waits"):
            add_job(jobs, upload_lines(run))
    assert len(list((run / "jobs").iterdir())) == 1


def test_a_chunk_may_end_anywhere(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=3)
    whole = b"\xef\xbb\xbf" + (run / "responses.jsonl").read_bytes().rstrip(b"\n")
    with open_jobs(run) as (_, jobs):
        for size in (1, 7, 4096):
            chunks = [whole[at : at + size] for at in range(0, len(whole), size)]
            job = add_job(jobs, chunks)
            kept = run / "jobs" / job.id / "responses.jsonl"
            assert kept.read_bytes() == (run / "responses.jsonl").read_bytes()


def test_an_idempotency_key_makes_one_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=2)
    lines = list(upload_lines(run))
    with open_jobs(run) as (_, jobs):
        first = add_job(jobs, lines, key="k")
        assert add_job(jobs, lines, key="k").id == first.id
        assert add_job(jobs, lines, key="other").id != first.id
        with pytest.raises(JobStateError, match="Idempotency-Key was used for another request"):
            add_job(jobs, lines[:-1], key="k")
        with pytest.raises(JobStateError, match="Idempotency-Key"):
            add_job(jobs, lines, key="k", limits=Limits(max_calls=1))
        assert len(jobs.newest()) == len(list((run / "jobs").iterdir())) == 2


def slow(judge: ScriptedJudge, seconds: float = 0.05) -> Any:
    def answer(body: dict[str, Any]) -> Any:
        time.sleep(seconds)
        return judge(body)

    return answer


def test_pause_resume_cancel(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=20))

    async def work(config: AnnotateConfig) -> str:
        with open_jobs(run) as (store, jobs):
            job = add_job(jobs, upload_lines(run))
            other = add_job(jobs, upload_lines(run))
            jobs.pause(other.id)
            async with running(store, jobs, config):
                await wait_for(jobs, job.id, lambda job: job.progress.done > 2)
                jobs.pause(job.id)
                await wait_for(jobs, job.id, lambda job: job.state == "paused")
                asked = len(server.asked)
                await asyncio.sleep(0.3)
                assert len(server.asked) == asked < 20 * CALLS_A_RESPONSE
                assert jobs.pause(job.id).state == "paused"  # a client that did not get the reply
                jobs.resume(job.id)
                ended = await wait_for(jobs, job.id, has_ended)
                assert ended.state == "succeeded"
                assert ended.attempts == 2
                assert jobs.get(other.id).state == "paused"
                ended = jobs.cancel(other.id)
                assert jobs.cancel(other.id) == ended
                assert (ended.state, ended.attempts) == ("cancelled", 0)
                with pytest.raises(JobStateError, match="is cancelled and cannot be resumed"):
                    jobs.resume(other.id)
            return job.id

    with ChatServer(slow(judge)) as server:
        config = judge_config(server.base_url, concurrency=4)
        job_id = asyncio.run(work(config))
        assert max(bodies(server).values()) <= 2  # those that the pause cancelled
        assert results(run, job_id) == command_output(tmp_path / "command", config, run)


def test_cancel_of_a_running_job_keeps_what_is_written(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=20))

    async def work(config: AnnotateConfig) -> str:
        with open_jobs(run) as (store, jobs):
            job = add_job(jobs, upload_lines(run))
            async with running(store, jobs, config):
                await wait_for(jobs, job.id, lambda job: job.progress.done > 3)
                jobs.cancel(job.id)
                ended = await wait_for(jobs, job.id, has_ended)
            assert ended.state == "cancelled"
            assert ended.expires is not None
            part = jobs.folders.part(ended).read_bytes()
            assert 0 < part.count(b"\n") < 20
            return job.id

    with ChatServer(slow(judge)) as server:
        asyncio.run(work(judge_config(server.base_url, concurrency=4)))


def test_a_stopped_runner_gives_its_jobs_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=20))

    async def begin(config: AnnotateConfig) -> str:
        with open_jobs(run) as (store, jobs):
            job = add_job(jobs, upload_lines(run))
            async with running(store, jobs, config):
                await wait_for(jobs, job.id, lambda job: job.progress.done > 2)
            stopped = jobs.get(job.id)
            assert (stopped.state, stopped.owner) == ("queued", "")
            assert 0 < stopped.spent.calls < 20 * CALLS_A_RESPONSE
            return job.id

    with ChatServer(slow(judge, 0.02)) as server:
        config = judge_config(server.base_url, concurrency=4)
        job_id = asyncio.run(begin(config))
        with open_jobs(run) as (store, jobs):
            job = run_jobs(jobs, store, config, job_id)
        assert (job.state, job.attempts) == ("succeeded", 2)
        assert results(run, job_id) == command_output(tmp_path / "command", config, run)


@pytest.mark.parametrize(("wanted", "state"), [("pause", "paused"), ("cancel", "cancelled")])
@pytest.mark.parametrize("before", ["running", "waiting", "queued"])
def test_a_wish_outlives_the_process_that_should_fulfil_it(
    tmp_path: Path, wanted: str, state: str, before: State
) -> None:
    run = tmp_path / "run"
    world(run, num_responses=2)
    with open_jobs(run) as (store, jobs):
        job = add_job(jobs, upload_lines(run))
        values = {"state": before, "wanted": wanted, "owner": "a dead one", "retry_at": 1e12}
        jobs.table.change(job.id, values, states=("queued",))
        is_done = lambda job: job.state in (state, "succeeded")  # noqa: E731
        job = run_jobs(jobs, store, LEXICAL, job.id, is_done=is_done)
        assert (job.state, job.wanted, job.attempts) == (state, "run", 0)
        if state == "paused":
            jobs.resume(job.id)
            assert run_jobs(jobs, store, LEXICAL, job.id).state == "succeeded"


def test_a_process_that_lost_a_job_changes_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=12))

    async def work(config: AnnotateConfig) -> None:
        with open_jobs(run) as (store, jobs), Store(run / "store.sqlite") as other:
            job = add_job(jobs, upload_lines(run))
            async with running(store, jobs, config):
                await wait_for(jobs, job.id, lambda job: job.progress.done > 1)
                store.release([lease_key(job.id)])
                assert other.claim([lease_key(job.id)])
                taken = jobs.table.take(job.id, "another process", time.time())
                assert taken is not None
                asked = len(server.asked)
                await asyncio.sleep(1.5)
                assert len(server.asked) <= asked + 16  # until it noticed
                assert jobs.get(job.id).owner == "another process"
                assert jobs.get(job.id).progress.done < 12
            assert jobs.get(job.id).state == "running"
            assert not jobs.folders.annotations(taken).exists()

    with ChatServer(slow(judge, 0.1)) as server:
        asyncio.run(work(judge_config(server.base_url, concurrency=2)))


def test_a_limit_ends_a_job_and_a_higher_one_continues_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=6))
    with ChatServer(judge) as server, open_jobs(run) as (store, jobs):
        config = judge_config(server.base_url, concurrency=2)
        job = add_job(jobs, upload_lines(run), limits=Limits(max_calls=10))
        job = run_jobs(jobs, store, config, job.id)
        assert job.state == "limit_reached"
        assert len(server.asked) == job.spent.calls == 10
        assert job.outcome.error is not None
        assert job.outcome.error.message.startswith("the next call does not fit max_calls=10: 10 ")
        assert str(tmp_path) not in job.outcome.error.message
        jobs.resume(job.id, Limits(max_calls=13))
        assert run_jobs(jobs, store, config, job.id).state == "limit_reached"
        assert len(server.asked) == 13
        jobs.resume(job.id, Limits())
        job = run_jobs(jobs, store, config, job.id)
        assert job.state == "succeeded"
        assert job.spent.calls == len(server.asked) == 6 * CALLS_A_RESPONSE
        assert job.outcome.error is None


def test_no_job_has_higher_limits_than_the_service(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=1)
    most = Limits(max_calls=50, max_cost=2.5)
    with open_jobs(run, limits=most) as (_, jobs):
        lines = list(upload_lines(run))
        assert add_job(jobs, lines).request.limits == most
        job = add_job(jobs, lines, limits=Limits(max_calls=7, max_tokens=9))
        assert job.request.limits == Limits(max_calls=7, max_tokens=9, max_cost=2.5)
        with pytest.raises(ConfigError, match="max_cost is 3; the service was started with"):
            add_job(jobs, lines, limits=Limits(max_cost=3.0))
        jobs.pause(job.id)
        with pytest.raises(ConfigError, match="max_calls is 51"):
            jobs.resume(job.id, Limits(max_calls=51))
        assert jobs.resume(job.id, Limits()).request.limits == most


def test_a_server_that_is_down_makes_a_job_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=2))
    with ChatServer(judge) as server:
        config = judge_config(server.base_url)
    monkeypatch.setattr("annotator.service.jobs.ending.FIRST_WAIT_S", 0.01)
    with open_jobs(run) as (store, jobs):
        job = add_job(jobs, upload_lines(run))
        job = run_jobs(jobs, store, config, job.id)
        assert job.state == "waiting"
        assert job.retry_at is not None
        assert job.outcome.error is not None
        assert job.outcome.error.code == "judge_failed"
        monkeypatch.setattr("annotator.service.jobs.ending.MOST_WAITS", 1)

        async def until_failed() -> Any:
            async with running(store, jobs, config):
                return await wait_for(jobs, job.id, has_ended)

        job = asyncio.run(until_failed())
        assert (job.state, job.attempts) == ("failed", 2)
        with ChatServer(judge) as again:
            jobs.resume(job.id)
            job = run_jobs(jobs, store, judge_config(again.base_url), job.id)
        assert job.state == "succeeded"


def test_a_job_waits_where_another_model_is_served_meanwhile(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=40))
    is_replaced = False

    def judge_of(name: str, domain: str | None) -> JobJudge:
        if is_replaced:
            raise BackendError("another model is served than before")
        return JobJudge(config=config)

    async def work() -> None:
        nonlocal is_replaced
        with open_jobs(run) as (store, jobs):
            job = add_job(jobs, upload_lines(run))
            task = asyncio.create_task(JobRunner(jobs, store=store, judge_of=judge_of).run())
            await wait_for(jobs, job.id, lambda job: job.progress.done > 0)
            is_replaced = True
            job = await wait_for(jobs, job.id, has_stopped)
            num_asked = len(server.asked)
            assert (job.state, job.attempts) == ("waiting", 1)
            assert job.outcome.error is not None and "another model" in job.outcome.error.message
            assert 0 < job.progress.done < 40
            await asyncio.sleep(0.3)
            assert len(server.asked) == num_asked
            is_replaced = False
            jobs.resume(job.id)
            assert (await wait_for(jobs, job.id, has_ended)).state == "succeeded"
            await end_task(task)

    with ChatServer(slow(judge)) as server:
        config = judge_config(server.base_url, concurrency=2)
        asyncio.run(work())


def test_a_lease_that_cannot_be_given_back_does_not_block_its_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=2)
    unretrieved: list[Any] = []

    class FullStore(Store):
        is_full = True

        def release(self, keys: Any) -> None:
            if self.is_full:
                self.is_full = False
                raise StoreError("the disk is full")
            super().release(keys)

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: unretrieved.append(what))
        async with running(full, jobs, LEXICAL):
            assert (await wait_for(jobs, job.id, has_ended)).state == "succeeded"
            jobs.retry_failed(job.id)
            again = await wait_for(
                jobs, job.id, lambda job: job.has_ended and job.attempts == 2, wait_s=10
            )
            assert again.state == "succeeded"
        gc.collect()

    with open_jobs(run) as (store, jobs), FullStore(store.path) as full:
        job = add_job(jobs, upload_lines(run))
        asyncio.run(work())
    assert unretrieved == []


def test_retry_failed_asks_only_what_failed_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=4))
    is_broken = True

    def answer(body: dict[str, Any]) -> Any:
        if is_broken and "kept 9 cats" in body["messages"][-1]["content"].rpartition("</resp")[2]:
            return as_json(400, {"error": {"message": "no"}})
        return judge(body)

    with ChatServer(answer) as server, open_jobs(run) as (store, jobs):
        config = judge_config(server.base_url)
        job = add_job(jobs, upload_lines(run))
        job = run_jobs(jobs, store, config, job.id)
        assert job.state == "succeeded"
        assert job.progress.labels["undetermined"] == 1
        former = results(run, job.id)
        asked = len(server.asked)
        jobs.retry_failed(job.id)
        assert results(run, job.id) == former  # until the new one replaces it
        job = run_jobs(jobs, store, config, job.id)
        assert len(server.asked) == asked + 1
        assert results(run, job.id) == former
        is_broken = False
        jobs.retry_failed(job.id)
        job = run_jobs(jobs, store, config, job.id)
        assert len(server.asked) == asked + 2
        assert "undetermined" not in job.progress.labels
        assert len(read_records(run / "jobs" / job.id / "annotations.jsonl", Annotation)) == 4


def test_failed_rows_are_kept_and_noted(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=4)
    lines = (run / "responses.jsonl").read_text().splitlines()
    row = json.loads(lines[1]) | {"document_ids": ["nowhere"]}
    lines[1] = json.dumps(row)
    with open_jobs(run) as (store, jobs):
        job = add_job(jobs, [f"{line}\n".encode() for line in lines])
        job = run_jobs(jobs, store, LEXICAL, job.id)
    assert (job.state, job.progress.failed, job.progress.done) == ("succeeded", 1, 4)
    assert any("1 of 4 rows failed" in note for note in job.outcome.notes)
    assert not any(str(tmp_path) in note for note in job.outcome.notes)
    failed = read_records(run / "jobs" / job.id / "annotations.failed.jsonl", Failure)
    assert [item.id for item in failed] == ["r1"]
    assert results(run, job.id).count(b"\n") == 3


def test_results_expire_and_jobs_are_removed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=2)
    with open_jobs(run, keep_results_s=0.01) as (store, jobs):
        job = add_job(jobs, upload_lines(run))
        with pytest.raises(JobStateError, match="is queued; cancel or pause it"):
            jobs.remove(job.id)
        paused = add_job(jobs, upload_lines(run))
        jobs.pause(paused.id)
        run_jobs(jobs, store, LEXICAL, job.id)
        time.sleep(0.02)
        jobs.expire()
        assert jobs.get(job.id).state == "expired"
        assert [item.name for item in (run / "jobs").iterdir()] == [paused.id]
        with pytest.raises(JobStateError, match="is expired"):
            jobs.retry_failed(job.id)
        jobs.remove(job.id)
        jobs.remove(paused.id)
        with pytest.raises(UnknownJobError):
            jobs.get(job.id)
        assert list((run / "jobs").iterdir()) == []


def test_only_folders_of_the_service_that_no_job_has_are_removed(tmp_path: Path) -> None:
    import os

    run = tmp_path / "run"
    world(run, num_responses=1)
    with open_jobs(run) as (_, jobs):
        of_another_store = add_job(jobs, upload_lines(run)).id
    (run / "store.sqlite").unlink()
    with open_jobs(run) as (_, jobs):
        job = add_job(jobs, upload_lines(run))
        new, old, young = f".new-{16 * '0'}", f".old-{16 * '1'}", f".new-{16 * '2'}"
        for name in (new, old, young, ".notes", "backup"):
            (run / "jobs" / name).mkdir()
        for name in (new, old, ".notes", "backup", job.id, of_another_store):
            os.utime(run / "jobs" / name, (1, 1))
        jobs.expire()
        left = {item.name for item in (run / "jobs").iterdir()}
        assert left == {job.id, of_another_store, young, ".notes", "backup"}


def test_files_of_a_job_whose_removal_was_interrupted_are_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    world(run, num_responses=1)

    def killed(_: str) -> None:
        raise SystemExit

    with open_jobs(run) as (_, jobs):
        job = add_job(jobs, upload_lines(run))
        jobs.pause(job.id)
        with monkeypatch.context() as patch:
            patch.setattr(jobs.folders, "remove", killed)
            with pytest.raises(SystemExit):
                jobs.remove(job.id)
        assert jobs.get(job.id).state == "expired"
        jobs.expire()
        assert list((run / "jobs").iterdir()) == []


def test_an_accepted_job_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    run = tmp_path / "run"
    world(run, num_responses=1)
    synced: list[int] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr("os.fsync", note)
    with open_jobs(run) as (_, jobs):
        folder = jobs.folders.of(add_job(jobs, upload_lines(run)).id)
        assert {item.stat().st_ino for item in folder.iterdir()} <= set(synced)


def test_a_job_that_cannot_be_recorded_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    world(run, num_responses=1)

    def locked(*_: object, **__: object) -> bool:
        raise BackendError("the store is locked")

    with open_jobs(run) as (_, jobs):
        monkeypatch.setattr(jobs.table, "insert", locked)
        with pytest.raises(BackendError):
            add_job(jobs, upload_lines(run))
        assert list((run / "jobs").iterdir()) == []


def test_two_requests_with_one_key_at_the_same_moment_make_one_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=1)
    with open_jobs(run) as (_, jobs):
        first, second = (
            Job(id=name * 16, request=JobRequest(), created=time.time()) for name in "ab"
        )
        assert jobs.table.insert(first, key="k", digest="d")
        assert not jobs.table.insert(second, key="k", digest="d")
        assert [job.id for job in jobs.newest()] == [first.id]


def test_a_pause_does_not_undo_a_cancel(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=1)
    with open_jobs(run) as (_, jobs):
        job = add_job(jobs, upload_lines(run))
        assert jobs.table.take(job.id, "a process", time.time())
        assert jobs.pause(job.id).wanted == "pause"
        assert jobs.cancel(job.id).wanted == "cancel"
        assert jobs.cancel(job.id).wanted == "cancel"
        with pytest.raises(JobStateError, match="is being cancelled and cannot be paused"):
            jobs.pause(job.id)
        assert jobs.get(job.id).wanted == "cancel"


def test_a_forgotten_response_does_not_come_back(tmp_path: Path) -> None:
    from formats.forgotten import FORGOTTEN_NAME, remember

    run = tmp_path / "run"
    world(run, num_responses=2)
    remember(run / FORGOTTEN_NAME, responses=["r1"])
    with open_jobs(run) as (_, jobs), pytest.raises(InputError, match="upload:4: this response"):
        add_job(jobs, upload_lines(run))


def test_an_earlier_version_still_reads_the_store(tmp_path: Path) -> None:
    from annotator.calls.store_tables import SCHEMA_VERSION, connect, read_version

    run = tmp_path / "run"
    world(run, num_responses=1)
    with open_jobs(run) as (_, jobs):
        add_job(jobs, upload_lines(run))
    assert read_version(connect(run / "store.sqlite")) == SCHEMA_VERSION == 4


def test_a_waiting_job_is_not_run_before_its_time(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=1)
    with open_jobs(run) as (_, jobs):
        job = add_job(jobs, upload_lines(run))
        values = {"state": "waiting", "retry_at": 1e12}
        jobs.table.change(job.id, values, states=("queued",))
        assert jobs.table.take(job.id, "early", 1e12 - 1) is None
        taken = jobs.table.take(job.id, "in time", 1e12)
        assert taken is not None and (taken.owner, taken.attempts) == ("in time", 1)


def test_only_the_owner_changes_a_running_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=1)
    with open_jobs(run) as (_, jobs):
        job = add_job(jobs, upload_lines(run))
        assert jobs.table.take(job.id, "mine", 0.0) is not None
        values = {"state": "succeeded"}
        change = partial(jobs.table.change, job.id, values, states=("running",))
        assert not change(owner="another")
        assert jobs.table.report(job.id, "another", progress=Progress(), spent=Spent()) is None
        assert not jobs.table.reserve(job.id, "another", Spent(calls=1))
        assert jobs.table.wanted(job.id, "mine") == "run"
        assert change(owner="mine")


def test_a_reader_continues_at_its_row_where_rows_became_longer(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=1)
    with open_jobs(run) as (_, jobs):
        job = add_job(jobs, upload_lines(run))
        reader = ResultReader(jobs, job.id)
        assert reader.read() == (b"", False)
        jobs.folders.part(job).write_bytes(b"a\nb\nhalf a r")
        assert reader.read() == (b"a\nb\n", False)
        taken = jobs.table.take(job.id, "mine", 0.0)
        assert taken is not None
        assert reader.read() == (b"", False)
        jobs.folders.part(taken).write_bytes(b"a and more\nb\nc\n")
        assert reader.read() == (b"c\n", False)
        assert ResultReader(jobs, job.id, first=1).read() == (b"b\nc\n", False)


def test_a_late_process_puts_nothing_in_place(tmp_path: Path) -> None:
    """It was stopped for long, another process took the job, and only then it finishes."""
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=3))

    async def work(config: AnnotateConfig) -> None:
        with open_jobs(run) as (store, jobs):
            job = add_job(jobs, upload_lines(run))
            mine = jobs.table.take(job.id, "mine", 0.0)
            assert mine is not None
            threads = Threads(2)
            attempt = Attempt(
                mine,
                table=jobs.table,
                folders=jobs.folders,
                store=store,
                threads=threads,
                judge=JobJudge(config=config),
                processes=None,
                same_model=False,
                on_event=ignore,
            )
            taken = jobs.table.take(job.id, "another process", 0.0)
            assert taken is not None
            with pytest.raises(LostJobError):
                await attempt.work()
            assert not jobs.folders.annotations(taken).exists()
            threads.close()

    with ChatServer(judge) as server:
        asyncio.run(work(judge_config(server.base_url)))


def test_a_judge_that_gives_only_useless_replies_ends_a_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=20)
    with ChatServer(lambda body: completion("hm")) as server, open_jobs(run) as (store, jobs):
        job = add_job(jobs, upload_lines(run))
        job = run_jobs(jobs, store, judge_config(server.base_url, concurrency=2), job.id)
    assert (job.state, job.attempts) == ("failed", 1)
    assert job.outcome.error is not None
    assert job.outcome.error.code == "no_usable_reply"
    assert "could not be used" in job.outcome.error.message


def test_equal_responses_are_counted_each(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=2)
    first = json.loads((run / "responses.jsonl").read_text().splitlines()[0])
    rows = [first | {"id": f"same-{n}"} for n in range(5)]
    with open_jobs(run) as (store, jobs):
        job = add_job(jobs, [json.dumps(row).encode() + b"\n" for row in rows])
        attempt_progress: list[int] = []

        async def work() -> None:
            async with running(store, jobs, LEXICAL) as runner:
                report = runner._report

                async def noted(attempt: Attempt) -> Any:
                    attempt_progress.append(attempt.progress().done)
                    return await report(attempt)

                runner._report = noted  # type: ignore[method-assign]
                await wait_for(jobs, job.id, has_ended)

        asyncio.run(work())
    assert attempt_progress[-1] == 5


def is_beyond(count: int, job: Job) -> bool:
    return job.progress.done > count


def test_a_reader_gets_every_row_once_over_attempts(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=30))

    async def work(config: AnnotateConfig) -> tuple[str, bytes]:
        data = b""
        with open_jobs(run) as (store, jobs):
            job = add_job(jobs, upload_lines(run))
            reader = ResultReader(jobs, job.id)
            for _ in range(2):
                before = jobs.get(job.id).progress.done
                async with running(store, jobs, config):
                    await wait_for(jobs, job.id, partial(is_beyond, before + 3))
                    data += reader.read()[0]
            async with running(store, jobs, config):
                await wait_for(jobs, job.id, has_ended)
            while True:
                more, is_over = reader.read()
                data += more
                if is_over:
                    return job.id, data

    def answer(body: dict[str, Any]) -> Any:
        # The first responses are judged last: nothing may be written before them.
        time.sleep(0.06 if "Person 0 " in json.dumps(body["messages"]) else 0.01)
        return judge(body)

    with ChatServer(answer) as server:
        job_id, data = asyncio.run(work(judge_config(server.base_url, concurrency=4)))
    assert data == results(run, job_id)
    assert [json.loads(row)["id"] for row in data.splitlines()] == [f"r{n}" for n in range(30)]


def test_a_long_queue_is_worked_off_in_order(tmp_path: Path) -> None:
    run = tmp_path / "run"
    world(run, num_responses=1)
    with open_jobs(run) as (store, jobs):
        added = [add_job(jobs, upload_lines(run)).id for _ in range(5)]
        jobs.pause(added[1])
        found = jobs.table.open_jobs(most_queued=2)
        assert [job.id for job in found] == [added[0], added[2]]
        last = run_jobs(jobs, store, LEXICAL, added[4], running_jobs=1)
        assert last.state == "succeeded"
        started = [jobs.get(name).started for name in (added[0], *added[2:])]
        assert None not in started
        assert started == sorted(started, key=float)  # type: ignore[arg-type]
        assert jobs.get(added[1]).started is None


def test_a_job_that_waits_says_for_what(tmp_path: Path) -> None:
    job = Job(id="j", request=JobRequest(), progress=Progress(), created=0.0)
    found = {
        code: end_of(job, error, None, attempt=None, folder=tmp_path)
        for code, error in {
            "judge_failed": BackendError("no server answers"),
            "store_or_disk": StoreError("it is locked"),
            "disk": OSError(28, "No space left on device"),
        }.items()
    }
    assert {end.state for end in found.values()} == {"waiting"}
    codes = {code: end.values["outcome"].error.code for code, end in found.items()}
    assert codes == {"judge_failed": "judge_failed"} | dict.fromkeys(
        ("store_or_disk", "disk"), "store_or_disk"
    )
