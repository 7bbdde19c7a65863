"""The core: any number of responses in, rows out as they complete, nothing lost when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import random
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from core_support import (
    LEXICAL,
    CountedSource,
    annotate_all,
    annotate_in_worker,
    collect,
    judge_config,
    judge_world,
    make_documents,
    make_responses,
)
from judge_server import ScriptedJudge
from sample_server import ChatServer, as_json

from annotator.calls.store import Store
from annotator.calls.usage import Budget, Limits
from annotator.judging.annotator import Annotator
from annotator.judging.runs.annotate import run_annotate
from annotator.judging.stream_judge import JudgeProcesses
from schemas.errors import BackendError, ConfigError, LimitReachedError
from schemas.events import (
    Advanced,
    CallAnswered,
    CallAsked,
    CallFailed,
    CallRetried,
    Ended,
    Event,
    Started,
)
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Failure, Message, Response


def lexical() -> Annotator:
    return Annotator(LEXICAL, documents=make_documents())


def asked_keys(events: list[Event]) -> list[str]:
    return [event.key for event in events if isinstance(event, CallAsked)]


# Any number of responses.


def test_each_response_is_a_row_once_and_few_are_pulled_ahead() -> None:
    async def run() -> int:
        source = CountedSource(make_responses(3000))
        ahead, seen = 0, set()
        async for row in lexical().annotate(source):
            seen.add(row.id)
            ahead = max(ahead, source.num_pulled - len(seen))
        assert seen == {f"r{n}" for n in range(3000)}
        return ahead

    assert asyncio.run(run()) < 300


def test_a_slow_source_delays_no_row(tmp_path: Path) -> None:
    """The next response comes only when the one before it has left."""
    truths, documents, responses = judge_world(tmp_path, num_responses=4)

    async def run(annotator: Annotator) -> list[str]:
        left = asyncio.Event()

        async def source():
            for response in responses:
                yield response
                await left.wait()
                left.clear()

        order = []
        async with asyncio.timeout(30):
            async for row in annotator.annotate(source()):
                order.append(row.id)
                left.set()
        return order

    ids = [response.id for response in responses]
    assert asyncio.run(run(Annotator(LEXICAL, documents=documents))) == ids
    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        judged = Annotator(judge_config(server.base_url), documents=documents, store=store)
        assert asyncio.run(run(judged)) == ids


def test_a_response_that_cannot_be_judged_is_a_failure_with_its_id() -> None:
    good = list(make_responses(2))
    empty = good[0].model_copy(update={"id": "empty", "text": " "})
    lost = good[0].model_copy(update={"id": "lost", "document_ids": ["nowhere"]})
    rows = annotate_all(lexical(), [empty, good[0], lost, good[1]])
    failed = {name: row.reason for name, row in rows.items() if isinstance(row, Failure)}
    assert failed == {"empty": "empty_response", "lost": "missing_document"}
    assert len(rows) == 4


def test_a_source_that_raises_raises_at_the_caller() -> None:
    def broken():
        yield from make_responses(5)
        raise LookupError("the rest is gone")

    with pytest.raises(LookupError, match="the rest is gone"):
        asyncio.run(collect(lexical(), broken()))


# Equal to a run over files, in processes, in a pickled copy.


def test_rows_are_those_of_a_run_over_files(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=6)
    with ChatServer(ScriptedJudge(truths)) as server:
        config = judge_config(server.base_url)
        with Store(tmp_path / "core.sqlite") as store:
            annotator = Annotator(config, documents=documents, store=store)
            rows = annotate_all(annotator, responses)
        run_annotate(
            config,
            responses=tmp_path / "responses.jsonl",
            documents=tmp_path / "documents.jsonl",
            output=tmp_path / "annotations.jsonl",
            store=tmp_path / "run.sqlite",
        )
    written = {row.id: row for row in read_records(tmp_path / "annotations.jsonl", Annotation)}
    assert rows == written


def test_judge_processes_are_shared_and_change_nothing() -> None:
    responses = list(make_responses(200))
    alone = annotate_all(lexical(), responses)

    async def run(processes: JudgeProcesses) -> list[dict]:
        documents = make_documents()
        halves = responses[:90], responses[90:]
        annotators = [Annotator(LEXICAL, documents=documents, processes=processes) for _ in halves]
        return await asyncio.gather(*map(collect, annotators, halves))

    with JudgeProcesses(2) as processes:
        first, second = asyncio.run(run(processes))
    assert first | second == alone
    assert len(first) == 90


@pytest.mark.parametrize("judge", ["lexical", "llm"])
def test_a_pickled_core_in_worker_processes_is_fed_batches(judge: str, tmp_path: Path) -> None:
    """As Ray Data uses it: one copy per worker, batches in, rows out."""
    truths, documents, responses = judge_world(tmp_path, num_responses=12)
    with (
        ChatServer(ScriptedJudge(truths)) as server,
        Store(tmp_path / "store.sqlite") as store,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers,
    ):
        config = LEXICAL if judge == "lexical" else judge_config(server.base_url)
        annotator = Annotator(config, documents=documents, store=store)
        copy = pickle.loads(pickle.dumps(annotator))  # no work is done with it here
        batches = [responses[start : start + 4] for start in (0, 4, 8)]
        jobs = [workers.submit(annotate_in_worker, copy, batch) for batch in batches]
        rows = {row["id"]: row for job in jobs for row in job.result(120)}
        expected = annotate_all(annotator, responses)
        assert len(server.asked) == (48 if judge == "llm" else 0)
    assert rows == {name: row.model_dump(mode="json") for name, row in expected.items()}


# Stopped anywhere and continued.


@pytest.mark.parametrize("seed", range(4))
def test_cancelled_anywhere_and_continued_the_rows_are_equal(seed: int) -> None:
    """The caller keeps what it has seen, and asks again for the rest."""
    responses = list(make_responses(500))
    whole = annotate_all(lexical(), responses)
    rng, rows = random.Random(seed), {}
    while len(rows) < 500:
        rest = [response for response in responses if response.id not in rows]
        rows |= asyncio.run(collect(lexical(), rest, most=rng.randint(1, 200)))
    assert rows == whole


@pytest.mark.parametrize("most", [1, 3, 7])
def test_a_cancelled_judge_model_is_asked_again_for_what_was_under_way_only(
    most: int, tmp_path: Path
) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=10)
    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        config = judge_config(server.base_url, concurrency=4)
        annotator = Annotator(config, documents=documents, store=store)
        first = asyncio.run(collect(annotator, responses, most=most))
        assert len(first) == most
        rows = first | annotate_all(annotator, [r for r in responses if r.id not in first])
        asked = Counter(str(item.body["messages"]) for item in server.asked)
    assert len(rows) == 10
    assert len(asked) == 40
    assert asked.total() <= 40 + 4


def test_a_cancelled_task_lets_go_of_its_calls_while_the_store_stays_open(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=3)
    scripted, gate = ScriptedJudge(truths), threading.Event()

    def late(body):
        gate.wait(60)
        return scripted(body)

    with ChatServer(late) as server, Store(tmp_path / "store.sqlite") as store:
        annotator = Annotator(judge_config(server.base_url), documents=documents, store=store)

        async def cancel() -> None:
            task = asyncio.create_task(collect(annotator, responses))
            while len(server.asked) < 12:
                await asyncio.sleep(0.01)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        asyncio.run(cancel())
        assert annotator.meter.num_under_way == 0
        gate.set()
        assert len(annotate_all(annotator, responses)) == 3
        assert len(server.asked) == 24


# Several calls at once.


def test_two_streams_and_two_threads_on_one_store_ask_each_call_once(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=12)
    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        config = judge_config(server.base_url, concurrency=6)
        annotator = Annotator(config, documents=documents, store=store)
        other = Annotator(config, documents=documents, store=store)

        async def both() -> list:
            backwards = list(reversed(responses))
            return await asyncio.gather(
                collect(annotator, responses), collect(annotator, backwards)
            )

        found: list = []
        thread = threading.Thread(target=lambda: found.append(annotate_all(other, responses)))
        thread.start()
        found += asyncio.run(both())
        thread.join()
        assert len(server.asked) == 48
    assert found[0] == found[1] == found[2]


def test_limits_hold_over_all_annotators_that_share_a_budget(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=12)
    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        budget = Budget(limits=Limits(max_calls=17))
        config = judge_config(server.base_url, concurrency=5)
        annotators = [
            Annotator(config, documents=documents, store=store, limits=budget) for _ in range(2)
        ]

        async def both() -> list:
            halves = responses[:6], responses[6:]
            return await asyncio.gather(*map(collect, annotators, halves), return_exceptions=True)

        stopped = asyncio.run(both())
        assert all(isinstance(item, LimitReachedError) for item in stopped)
        assert len(server.asked) == 17
        rest = Annotator(config, documents=documents, store=store)
        assert len(annotate_all(rest, responses)) == 12
        assert len(server.asked) == 48


def test_a_shared_backend_never_has_more_calls_under_way_than_its_concurrency(
    tmp_path: Path,
) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=12)
    scripted, lock, now, most = ScriptedJudge(truths), threading.Lock(), [0], [0]

    def counted(body):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.02)
        with lock:
            now[0] -= 1
        return scripted(body)

    with ChatServer(counted) as server, Store(tmp_path / "store.sqlite") as store:
        config = judge_config(server.base_url, concurrency=3)
        annotator = Annotator(config, documents=documents, store=store)

        async def four() -> None:
            parts = [responses[n::4] for n in range(4)]
            await asyncio.gather(*(collect(annotator, part) for part in parts))

        asyncio.run(four())
    assert most[0] == 3


def test_plain_wrappers_work_inside_a_running_event_loop() -> None:
    async def notebook() -> int:
        return sum(1 for _ in lexical().annotate_now(make_responses(40)))

    assert asyncio.run(notebook()) == 40


# Events.


def test_events_count_what_happened(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=5)
    events: list[Event] = []
    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        annotator = Annotator(
            judge_config(server.base_url),
            documents=documents,
            store=store,
            on_event=events.append,
        )
        annotate_all(annotator, responses)
    assert events[0] == Started(stage="annotate", total=None, unit="response")
    assert events[-1] == Ended(stage="annotate")
    asked = asked_keys(events)
    answered = [event for event in events if isinstance(event, CallAnswered)]
    assert len(asked) == len(set(asked)) == 20
    assert {event.key for event in answered} == set(asked)
    assert sum(event.completion for event in answered) == 20 * 5
    advanced = [event for event in events if isinstance(event, Advanced)]
    assert sum(event.count for event in advanced) == 5
    assert advanced[-1].usage is not None
    assert advanced[-1].usage.asked == 20
    assert sum(advanced[-1].usage.labels.values()) == 20


def test_failed_calls_are_events_with_their_reason(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=3)
    scripted, events = ScriptedJudge(truths), []

    def moody(body):
        refused = as_json(400, {"error": {"message": "not this one"}})
        return refused if "Karsted-1." in str(body["messages"][-1]) else scripted(body)

    with ChatServer(moody) as server, Store(tmp_path / "store.sqlite") as store:
        config = judge_config(server.base_url)
        annotator = Annotator(config, documents=documents, store=store, on_event=events.append)
        annotate_all(annotator, responses)
    failed = [event for event in events if isinstance(event, CallFailed)]
    assert [event.reason for event in failed] == ["http_400"] * len(failed)
    assert failed
    assert "not this one" in failed[0].detail


def test_retries_are_events_with_the_wait(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=1)
    scripted, events, seen = ScriptedJudge(truths), [], Counter()

    def busy(body):
        text = str(body["messages"])
        seen[text] += 1
        if seen[text] == 1:
            return as_json(503, {"error": {"message": "starting"}})
        return scripted(body)

    with ChatServer(busy) as server, Store(tmp_path / "store.sqlite") as store:
        config = judge_config(server.base_url)
        annotator = Annotator(config, documents=documents, store=store, on_event=events.append)
        annotate_all(annotator, responses)
    retried = [event for event in events if isinstance(event, CallRetried)]
    assert {event.key for event in retried} == set(asked_keys(events))
    assert {event.reason for event in retried} == {"http_503"}
    assert all(0 < event.wait_s < 60 for event in retried)


def test_servers_that_are_gone_end_the_stream_and_keep_what_came(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=3)
    with ChatServer(ScriptedJudge(truths)) as server:
        config = judge_config(server.base_url)
    with Store(tmp_path / "store.sqlite") as store:
        annotator = Annotator(config, documents=documents, store=store)
        with pytest.raises(BackendError, match="no server answers"):
            annotate_all(annotator, responses)


def test_a_response_without_sentences_or_documents_is_undetermined() -> None:
    bare = Response(
        id="bare",
        question_id="q",
        prompt=[Message(role="user", content="Well?")],
        text="The town has nine bridges.",
    )
    (row,) = annotate_all(lexical(), [bare]).values()
    assert isinstance(row, Annotation)
    assert row.sentences[0].verdict.reason == "no_document"


def test_a_judge_model_without_a_store_is_refused_with_what_to_give() -> None:
    annotator = Annotator(judge_config("http://127.0.0.1:9/v1"), documents=make_documents())
    with pytest.raises(ConfigError, match=r"give it a store \(store=Store\(FILE\)\)"):
        annotate_all(annotator, list(make_responses(1)))


@pytest.mark.parametrize("text", ["my notes\n", '{"todo": "call Ann"}\n', "笔记\n"])
def test_a_run_does_not_write_over_what_is_no_annotation(text: str, tmp_path: Path) -> None:
    judge_world(tmp_path, num_responses=1)
    output = tmp_path / "notes.jsonl"
    output.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="is not a file that maskdpo annotate wrote"):
        run_annotate(
            LEXICAL,
            responses=tmp_path / "responses.jsonl",
            documents=tmp_path / "documents.jsonl",
            output=output,
            store=tmp_path / "store.sqlite",
        )
    assert output.read_text(encoding="utf-8") == text
