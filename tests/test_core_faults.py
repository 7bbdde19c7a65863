"""What goes wrong around the core: sources, cancellations, full limits, killed workers, exits."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from core_support import (
    LEXICAL,
    annotate_all,
    collect,
    judge_config,
    judge_world,
    make_documents,
    make_responses,
)
from judge_server import ScriptedJudge
from sample_server import ChatServer, completion
from test_server_pace import pace_of

from annotator.calls.dialogue import Ask
from annotator.calls.run_dialogues import stream_dialogues
from annotator.calls.store import Store
from annotator.calls.stored_calls import StoredCalls
from annotator.calls.usage import Budget, Limits, Meter, Tokens
from annotator.judging.annotator import Annotator
from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import Judged, JudgeTask
from annotator.judging.lexical.judge import LexicalJudge
from annotator.judging.stream_judge import JudgeProcesses
from annotator.models.backend import Decoding, Finished, Reply, Request, Take
from annotator.models.config import SampleConfig
from annotator.models.openai.pace import Seat
from annotator.sampling.sampler import Sampler, ask_once
from schemas.errors import BackendError
from schemas.files.jsonl import write_records
from schemas.records import Failure, Message, Question, Response

ROOT = Path(__file__).resolve().parent.parent


def lexical(**values: Any) -> Annotator:
    return Annotator(LEXICAL, documents=make_documents(), **values)


# Sources.


@pytest.mark.parametrize("judge", ["lexical", "llm"])
def test_rows_that_need_no_judge_leave_at_once(judge: str, tmp_path: Path) -> None:
    """The next response comes only when the row before it has left, also where it is a failure."""
    truths, documents, responses = judge_world(tmp_path, num_responses=2)
    bare = {"document_ids": [], "topic": ""}
    odd = [
        responses[0].model_copy(update={"id": "empty", "text": " "}),
        responses[0].model_copy(update={"id": "bare", **bare}),
    ]
    wanted = [*odd, responses[0], *odd[:1], responses[1]]

    async def run(annotator: Annotator) -> list[str]:
        left = asyncio.Event()

        async def source():
            for response in wanted:
                yield response
                await left.wait()
                left.clear()

        order = []
        async with asyncio.timeout(30):
            async for row in annotator.annotate(source()):
                order.append(row.id)
                left.set()
        return order

    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        config = LEXICAL if judge == "lexical" else judge_config(server.base_url)
        annotator = Annotator(config, documents=documents, store=store)
        assert asyncio.run(run(annotator)) == [response.id for response in wanted]


def test_a_source_of_failures_alone_is_not_pulled_ahead_of_its_reader() -> None:
    pulled = 0
    (empty,) = (item.model_copy(update={"text": " "}) for item in make_responses(1))

    def source() -> Iterator[Response]:
        nonlocal pulled
        for n in range(5000):
            pulled += 1
            yield empty.model_copy(update={"id": f"r{n}"})

    async def run() -> int:
        ahead = seen = 0
        async for row in lexical().annotate(source()):
            assert isinstance(row, Failure)
            seen += 1
            ahead = max(ahead, pulled - seen)
        assert seen == 5000
        return ahead

    assert asyncio.run(run()) < 300


def broken(responses: Sequence[Response], error: BaseException) -> Any:
    async def source():
        for response in responses:
            yield response
        raise error

    return source()


@pytest.mark.parametrize("judge", ["lexical", "llm"])
def test_what_came_before_a_source_broke_is_judged_before_it_raises(
    judge: str, tmp_path: Path
) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=5)
    seen: list[str] = []

    async def run(annotator: Annotator) -> None:
        async for row in annotator.annotate(broken(responses, LookupError("it broke"))):
            seen.append(row.id)

    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        config = LEXICAL if judge == "lexical" else judge_config(server.base_url)
        with pytest.raises(LookupError, match="it broke"):
            asyncio.run(run(Annotator(config, documents=documents, store=store)))
    assert sorted(seen) == sorted(response.id for response in responses)


def test_a_source_that_is_cancelled_does_not_pass_for_a_whole_one() -> None:
    responses = list(make_responses(5))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(collect(lexical(), broken(responses, asyncio.CancelledError())))


def test_a_source_is_closed_when_its_stream_is() -> None:
    is_closed = False

    async def source():
        nonlocal is_closed
        try:
            for response in make_responses(1000):
                yield response
        finally:
            is_closed = True

    async def run() -> bool:
        rows = source()
        await collect(lexical(), rows, most=3)
        return is_closed

    assert asyncio.run(run())


# Cancellation.


@pytest.mark.parametrize("num_cancels", [1, 2, 5])
def test_a_reply_that_came_in_is_stored_and_counted_however_often_it_is_cancelled(
    num_cancels: int, tmp_path: Path
) -> None:
    """The disk is busy while the caller is cancelled: another program holds the file."""
    truths, documents, responses = judge_world(tmp_path, num_responses=1)
    scripted, path = ScriptedJudge(truths), tmp_path / "store.sqlite"
    with (
        ChatServer(lambda body: hold() and scripted(body)) as server,
        Store(path) as store,
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
    ):
        lock, is_held = threading.Lock(), False

        def hold() -> bool:
            nonlocal is_held
            with lock:
                if not is_held and len(server.asked) == 4:
                    other.execute("BEGIN IMMEDIATE")
                    is_held = True
            return True

        annotator = Annotator(
            judge_config(server.base_url, concurrency=4), documents=documents, store=store
        )

        async def run() -> None:
            task = asyncio.create_task(collect(annotator, responses))
            while not is_held:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)  # the replies are on their way to the disk
            threading.Timer(0.2, other.execute, ("COMMIT",)).start()
            for _ in range(num_cancels):
                task.cancel()
                await asyncio.sleep(0.01)
            with suppress(asyncio.CancelledError):
                await task

        asyncio.run(run())
        assert annotator.meter.num_under_way == 0
        # Replies come in one after another: those after the commit began were under way.
        stored = store.count("judge")
        assert stored > 0
        assert annotator.meter.tokens == Tokens(prompt=3 * stored, completion=5 * stored)
        rows = asyncio.run(asyncio.wait_for(collect(annotator, responses), 30))
        assert len(rows) == 1
        assert len(server.asked) == 4 + 4 - stored


def test_a_stream_that_is_left_open_and_outlives_its_store_reports_no_error(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=8)
    faults: list[Any] = []

    async def run(server: ChatServer) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        with Store(tmp_path / "store.sqlite") as store:
            config = judge_config(server.base_url, concurrency=3)
            async for _ in Annotator(config, documents=documents, store=store).annotate(responses):
                break
        await asyncio.sleep(0.1)  # the event loop closes what nobody refers to

    scripted = ScriptedJudge(truths)

    def late(body):
        if len(server.asked) > 8:
            time.sleep(0.5)
        return scripted(body)

    with ChatServer(late) as server:
        asyncio.run(run(server))
    assert faults == []


def test_an_iterator_that_is_left_open_does_not_hold_up_the_end_of_the_program() -> None:
    program = (
        "from core_support import *\n"
        "annotator = Annotator(LEXICAL, documents=make_documents())\n"
        "rows = annotator.annotate_now(make_responses(500))\n"
        "print(next(rows).id)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "r0\n", "")


def test_a_listener_that_raises_ends_the_stream_and_leaves_nothing_behind(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=4)

    def listen(event: object) -> None:
        if type(event).__name__ == failing:
            raise ZeroDivisionError(failing)

    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        config = judge_config(server.base_url)
        annotator = Annotator(config, documents=documents, store=store, on_event=listen)
        for failing in ("CallAsked", "CallAnswered", "Advanced"):
            with pytest.raises(ZeroDivisionError, match=failing):
                annotate_all(annotator, responses)
            assert annotator.meter.num_under_way == 0
        failing = ""
        rows = asyncio.run(asyncio.wait_for(collect(annotator, responses), 30))
    assert len(rows) == 4


def test_calls_that_a_full_disk_does_not_let_go_of_can_be_asked_again(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        assert store.claim(["k"]) == {"k"}
        store._leases._connection.execute("PRAGMA query_only=ON")
        with pytest.raises(BackendError, match="cannot be stored or read"):
            store.release(["k"])
        store._leases._connection.execute("PRAGMA query_only=OFF")
        assert store.claim(["k"]) == {"k"}


# A model that replies in batches.


class Local:
    """Replies in groups of two, in whatever thread it is asked; fails or waits when told to."""

    model = "local"
    streams = False

    def __init__(self) -> None:
        self.num_asked = 0
        self.fault: Exception | None = None

    def fingerprint(self) -> dict[str, Any]:
        return {"backend": "local"}

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        return [list(requests[n : n + 2]) for n in range(0, len(requests), 2)]

    def generate(self, take: Take) -> Iterator[list[Finished]]:
        while groups := take(2):
            for group in groups:
                if self.fault is not None:
                    raise self.fault
                self.num_asked += len(group)
                yield [(item, Reply(text=item.id, finish_reason="stop")) for item in group]

    def notes(self) -> list[str]:
        return []


def ask(number: int) -> Ask:
    return Ask(
        messages=[Message(role="user", content=str(number))], decoding=Decoding(max_tokens=5)
    )


async def ask_all(local: Local, calls: StoredCalls, count: int, *, most: int = 10**6) -> int:
    dialogues = [(str(n), ask_once(ask(n))) for n in range(count)]
    stream, num_done = stream_dialogues(local, calls, dialogues), 0
    try:
        async with asyncio.timeout(20):
            async for done in stream:
                num_done += len(done)
                most -= 1
                if not most:
                    break
    finally:
        await stream.aclose()
    return num_done


@pytest.mark.parametrize("how", ["closed", "failed"])
def test_a_local_model_that_is_stopped_lets_go_of_the_groups_it_had_taken(
    how: str, tmp_path: Path
) -> None:
    local, meter = Local(), Meter()
    with Store(tmp_path / "store.sqlite") as store:
        calls = StoredCalls(store, kind="reply", meter=meter)
        if how == "closed":
            asyncio.run(ask_all(local, calls, 8, most=1))
        else:
            local.fault = RuntimeError("out of memory")
            with pytest.raises(RuntimeError, match="out of memory"):
                asyncio.run(ask_all(local, calls, 8))
            local.fault = None
        assert meter.num_under_way == 0
        assert asyncio.run(ask_all(local, calls, 8)) == 8
        assert local.num_asked == 8


def test_a_slow_source_delays_no_result_of_a_local_model(tmp_path: Path) -> None:
    async def run(store: Store) -> list[str]:
        order, left = [], asyncio.Event()

        async def source():
            for n in range(3):
                yield str(n), ask_once(ask(n))
                await left.wait()
                left.clear()

        calls = StoredCalls(store, kind="reply", meter=Meter())
        async with asyncio.timeout(20):
            async for done in stream_dialogues(Local(), calls, source(), window=8):
                order += [name for name, _ in done]
                if done:
                    left.set()
        return order

    with Store(tmp_path / "store.sqlite") as store:
        assert asyncio.run(run(store)) == ["0", "1", "2"]


def test_windows_of_a_source_that_does_not_wait_are_full(tmp_path: Path) -> None:
    """So the batches of a local model, and its replies, do not depend on time."""
    sizes: list[int] = []

    class Watched(Local):
        def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
            sizes.append(len(requests))
            return super().plan(requests)

    async def source():
        for n in range(20):
            yield str(n), ask_once(ask(n))

    async def run(store: Store) -> None:
        calls = StoredCalls(store, kind="reply", meter=Meter())
        async for _ in stream_dialogues(Watched(), calls, source(), window=8):
            await asyncio.sleep(0)

    with Store(tmp_path / "store.sqlite") as store:
        asyncio.run(run(store))
    assert [size for size in sizes if size] == [8, 8, 4]


def test_waiting_for_another_store_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    path, meter = tmp_path / "store.sqlite", Meter()
    with Store(path) as store, Store(path) as other:
        asyncio.run(ask_all(Local(), StoredCalls(other, kind="reply", meter=meter), 1))
        calls = StoredCalls(store, kind="other", meter=meter)
        keys: list[str] = []

        class Elsewhere(Local):
            def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
                keys.extend(request.id for request in requests)
                other.claim(keys)
                return super().plan(requests)

        async def run() -> None:
            async with asyncio.timeout(1):
                await ask_all(Elsewhere(), calls, 4)

        began = time.monotonic()
        with pytest.raises(TimeoutError):
            asyncio.run(run())
        assert time.monotonic() - began < 15


# Limits and shared objects.


def test_a_call_that_two_runs_counted_is_still_under_way_when_one_takes_it_back() -> None:
    meter = Meter(limits=Limits(max_tokens=1000))
    request = Request(
        id="k",
        messages=[Message(role="user", content="Well?")],
        seed=0,
        decoding=Decoding(max_tokens=50),
    )
    before = meter.most
    assert meter.start([request])
    once = meter.most
    assert meter.start([request])
    meter.withdraw([request])
    assert (meter.num_under_way, meter.most) == (1, once)
    meter.abandon(request)
    meter.abandon(request)
    meter.withdraw([request])
    assert (meter.num_under_way, meter.most) == (0, before)


def test_a_stream_waits_for_what_others_of_its_budget_have_reserved(tmp_path: Path) -> None:
    """One call fits next to all that is spent, two never do."""
    truths, documents, responses = judge_world(tmp_path, num_responses=6)
    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        config = judge_config(server.base_url, concurrency=1, max_tokens=4000)
        budget = Budget(limits=Limits(max_tokens=7000))
        annotators = [
            Annotator(config, documents=documents, store=store, limits=budget) for _ in range(2)
        ]

        async def both() -> list:
            halves = responses[:3], responses[3:]
            return await asyncio.gather(*map(collect, annotators, halves))

        first, second = asyncio.run(both())
        assert len(first) == len(second) == 3
        assert server.most_in_flight == 1


def test_useless_replies_end_a_run_and_not_the_annotator(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=12)
    scripted, is_mended = ScriptedJudge(truths), False

    def moody(body):
        return scripted(body) if is_mended else completion("I had rather not say.")

    with ChatServer(moody) as server, Store(tmp_path / "store.sqlite") as store:
        annotator = Annotator(judge_config(server.base_url), documents=documents, store=store)
        with pytest.raises(BackendError, match="in a row could not be used"):
            annotate_all(annotator, responses)
        is_mended = True
        assert len(annotate_all(annotator, responses)) == 12


def test_threads_that_begin_at_once_share_one_judge(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        annotator = Annotator(judge_config("http://127.0.0.1:9/v1"), store=store)
        barrier, found = threading.Barrier(8), []

        def look() -> None:
            barrier.wait()
            found.append(annotator.judge)

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({id(judge) for judge in found}) == 1


def test_a_slot_is_given_back_once() -> None:
    async def run() -> int:
        pace = pace_of(4)
        seat = Seat(loop=asyncio.get_running_loop(), news=asyncio.Event())
        other = Seat(loop=asyncio.get_running_loop(), news=asyncio.Event())
        permits = pace.acquire(seat, 3)
        assert len(permits) == 3
        pace.leave(seat)
        pace.release(seat, permits[0])  # a request that was still ending when its stream had left
        return len(pace.acquire(other, 10))

    assert asyncio.run(run()) == 4


# Worker processes and pickles.


class Deadly(LexicalJudge):
    """Ends its process at the first response named so."""

    def judge(self, tasks: Sequence[JudgeTask]) -> Iterator[Judged]:
        if any(task.response.id == "deadly" for task in tasks):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().judge(tasks)

    def __reduce__(self) -> tuple[Any, ...]:
        return Deadly, ()


def test_a_killed_judge_process_is_one_sentence_and_later_calls_work() -> None:
    responses = list(make_responses(40))
    deadly = responses[0].model_copy(update={"id": "deadly"})
    with JudgeProcesses(1) as processes:
        annotator = lexical(processes=processes, judge=Deadly())
        with pytest.raises(BackendError, match="a worker process of the judge ended abruptly"):
            annotate_all(annotator, [*responses, deadly])
        assert len(annotate_all(annotator, responses)) == 40


def test_a_pickle_holds_the_given_judge_and_the_limits_of_the_given_meter() -> None:
    meter = Meter(limits=Limits(max_calls=3))
    copy = pickle.loads(pickle.dumps(lexical(judge=Deadly(), meter=meter)))
    assert isinstance(copy.judge, Deadly)
    assert copy.meter.budget.limits == Limits(max_calls=3)
    assert not isinstance(pickle.loads(pickle.dumps(lexical())).judge, Deadly)


def test_recorded_verdicts_do_not_travel_to_processes(tmp_path: Path) -> None:
    """They would with each batch: all that the file holds."""

    class Unused(JudgeProcesses):
        def submit(self, ask: Any, tasks: Any) -> Any:
            raise AssertionError("nothing is computed here")

    responses = list(make_responses(70))
    rows = annotate_all(lexical(), responses)
    write_records(tmp_path / "annotations.jsonl", rows.values())
    values = {"judge": "replay", "replay": {"annotations": str(tmp_path / "annotations.jsonl")}}
    config = AnnotateConfig.parse(values, where="annotate")
    with Unused(1) as processes:
        again = Annotator(config, documents=make_documents(), processes=processes)
        assert annotate_all(again, responses) == rows


# Sampling.


def test_a_question_that_the_source_holds_twice_has_its_responses_twice(tmp_path: Path) -> None:
    question = Question(id="q", messages=[Message(role="user", content="What of Mira?")])
    with ChatServer() as server, Store(tmp_path / "store.sqlite") as store:
        values = {"model": "policy", "backend": "openai", "base_url": server.base_url}
        config = SampleConfig.parse({**values, "num_responses": 2}, where="sample")
        sampler = Sampler(config, store=store)
        rows = list(sampler.sample_now([question, question]))
        assert sorted(row.id for row in rows) == ["q-0", "q-0", "q-1", "q-1"]
        assert len(server.asked) == 2
