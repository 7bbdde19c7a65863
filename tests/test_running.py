"""Sources, batches, dialogues in rounds and over servers, and callers without an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from core_support import LEXICAL, make_documents, make_responses
from local_backend import EchoBackend
from sample_server import ChatServer, completion

from annotator.calls.dialogue import Answer, Ask, Dialogue, Unusable, call_key
from annotator.calls.run_dialogues import run_dialogues, stream_dialogues
from annotator.calls.running.blocking import block_on, in_thread
from annotator.calls.running.open_dialogues import MAX_HELD
from annotator.calls.running.source import Source, in_batches
from annotator.calls.store import Store
from annotator.calls.stored_calls import StoredCalls, pack
from annotator.calls.usage import Limits, Meter
from annotator.judging.annotator import Annotator
from annotator.judging.judge import JudgeTask
from annotator.judging.stream_judge import (
    BATCH_TASKS,
    JudgeProcesses,
    judge_batch,
    stream_judge,
)
from annotator.judging.task_book import TaskBook
from annotator.judging.tasks import TaskMaker
from annotator.judging.verdict_checks import find_verdict_fault
from annotator.models.backend import Decoding, Reply, Request
from annotator.models.config import ModelConfig
from annotator.models.openai.openai_backend import OpenAIBackend
from schemas.errors import LimitReachedError
from schemas.labels import Label
from schemas.records import Document, Evidence, Message, Verdict


def ask_of(text: str) -> Ask:
    return Ask(messages=[Message(role="user", content=text)], decoding=Decoding(max_tokens=9))


def one_call(text: str) -> Dialogue[str]:
    return said((yield ask_of(text)))


def said(answer: Answer) -> str:
    return answer.text if isinstance(answer, Reply) else f"failed: {answer.reason}"


def dialogues(count: int, *, first: int = 0) -> Iterator[tuple[str, Dialogue[str]]]:
    return ((f"d{n}", one_call(f"call {n}")) for n in range(first, first + count))


def calls_of(store: Store, meter: Meter) -> StoredCalls:
    return StoredCalls(store, kind="test", meter=meter)


# Sources.


def test_an_asynchronous_source_is_read_ahead_by_so_much_and_no_more() -> None:
    pulled: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        for number in range(100):
            pulled.append(number)
            yield number

    async def run() -> list[int]:
        read: list[int] = []
        news = asyncio.Event()
        async with Source(numbers(), ahead=5, on_item=news.set) as source, asyncio.timeout(10):
            while not source.is_over:
                while len(pulled) < min(100, len(read) + 5):
                    await asyncio.sleep(0)
                for _ in range(20):  # it had time for more
                    await asyncio.sleep(0)
                assert len(pulled) == min(100, len(read) + 5)
                if (item := source.next()) is not None:
                    read.append(item)
        return read

    assert asyncio.run(run()) == list(range(100))


def test_what_was_read_before_a_source_failed_is_handed_out_first() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise LookupError("gone")

    async def run() -> list[int]:
        async with Source(broken(), ahead=9, on_item=lambda: None) as source:
            for _ in range(9):
                await asyncio.sleep(0)
            first = [source.next(), source.next()]
            assert not source.is_over
            assert source.next() is None
            assert source.is_over
            with pytest.raises(LookupError, match="gone"):
                source.check()
            return [item for item in first if item is not None]

    assert asyncio.run(run()) == [1, 2]


def test_batches_hold_what_there_is_now_and_never_more_than_their_size() -> None:
    async def run() -> list[int]:
        tasks: Any = range(100)
        return [len(batch) async for batch in in_batches(tasks, 32)]

    assert asyncio.run(run()) == [32, 32, 32, 4]


# Verdicts that do not fit their task.


def task_of(text: str = "One. Two.") -> JudgeTask:
    response = next(iter(make_responses(1))).model_copy(update={"text": text})
    return JudgeTask(
        response=response, sentences=[(0, 4), (5, 9)], documents=[Document(id="d0", text="One.")]
    )


def test_verdicts_of_another_number_or_with_foreign_evidence_are_faults() -> None:
    verdict = Verdict(label=Label.NO_FACT, judge="j")
    foreign = Verdict(
        label=Label.NO_HALLUCINATION,
        judge="j",
        evidence=[Evidence(document_id="other", start=0, end=3)],
    )
    task = task_of()
    assert find_verdict_fault(task, [verdict, verdict]) is None
    few, many, other = (
        find_verdict_fault(task, given) for given in ([verdict], [verdict] * 3, [verdict, foreign])
    )
    assert few is not None and few.reason == "verdict_count"
    assert many is not None and many.detail == "3 verdicts for 2 sentences"
    assert other is not None and other.reason == "evidence_not_found"


def test_a_batch_comes_back_in_its_order_with_the_tasks_that_were_given() -> None:
    class Backwards:
        name = "backwards"

        def judge(self, tasks: Sequence[JudgeTask]) -> Iterator[list[Any]]:
            for task in reversed(tasks):
                yield [(task, [Verdict(label=Label.NO_FACT, judge=task.response.id)])]

    tasks = [
        JudgeTask(response=response, sentences=[(0, 4)], documents=[])
        for response in make_responses(5)
    ]
    judge: Any = Backwards()
    judged = judge_batch(judge, tasks)
    assert [task for task, _ in judged] == tasks
    assert [outcome[0].judge for _, outcome in judged] == [f"r{n}" for n in range(5)]
    assert BATCH_TASKS == 32


class WaitingJudge:
    """Judges when it is let."""

    name = "waiting"

    def __init__(self) -> None:
        self.may_judge = threading.Event()

    def fingerprint(self) -> dict[str, Any]:
        return {"judge": self.name}

    def judge(self, tasks: Sequence[JudgeTask]) -> Iterator[list[Any]]:
        self.may_judge.wait(30)
        yield [(task, []) for task in tasks]


def test_a_slow_judge_holds_the_source_back() -> None:
    slow, pulled = WaitingJudge(), [0]
    judge: Any = slow

    async def source() -> AsyncIterator[JudgeTask]:
        for response in make_responses(1000):
            pulled[0] += 1
            yield JudgeTask(response=response, sentences=[], documents=[])

    async def run() -> int:
        stream = stream_judge(judge, source())
        first = asyncio.ensure_future(anext(stream))
        last = -1
        while pulled[0] != last:
            last = pulled[0]
            await asyncio.sleep(0.2)
        slow.may_judge.set()
        assert last <= 5 * BATCH_TASKS
        count = len(await first)
        async for batch in stream:
            count += len(batch)
        return count

    assert asyncio.run(run()) == 1000


def test_from_a_process_come_the_tasks_that_were_given() -> None:
    """Their copies would hold each document once more."""
    documents = make_documents()
    maker = TaskMaker(documents, LEXICAL)
    made = [maker.make(response) for response in make_responses(5)]
    tasks = [task for task in made if isinstance(task, JudgeTask)]

    async def run(processes: JudgeProcesses) -> list[JudgeTask]:
        judge = Annotator(LEXICAL, documents=documents).judge
        return [task async for part in stream_judge(judge, tasks, processes) for task, _ in part]

    with JudgeProcesses(1) as processes:
        found = asyncio.run(run(processes))
    assert [id(task) for task in found] == [id(task) for task in tasks]


def test_a_task_is_whole_when_its_last_verdict_is_there_in_whatever_order() -> None:
    first, second, third = (Verdict(label=Label.NO_FACT, judge=name) for name in "abc")
    meter = Meter()
    book = TaskBook(meter)
    task = JudgeTask(response=task_of().response, sentences=[(0, 1)] * 3, documents=[])
    assert (book.open(task), book.open(task)) == (0, 1)
    assert book.finish([("1:2", [third])]) == []
    assert book.finish([("0:1", [second])]) == []
    assert book.finish([("1:0", [first, second])]) == [(task, [first, second, third])]
    assert book.finish([("0:0", [first])]) == []
    assert book.finish([("0:2", [third])]) == [(task, [first, second, third])]
    assert meter.labels == {"no_fact": 6}


def test_a_document_that_is_named_twice_is_compared_once() -> None:
    response = next(make_responses(1)).model_copy(update={"document_ids": ["d0", "d1", "d0"]})
    task = TaskMaker(make_documents(), LEXICAL).make(response)
    assert isinstance(task, JudgeTask)
    assert [document.id for document in task.documents] == ["d0", "d1"]


# A local model, in windows.


def test_windows_of_a_local_model_bound_what_is_pulled(tmp_path: Path) -> None:
    pulled, backend = [0], EchoBackend(batch_size=4)

    def counted() -> Iterator[tuple[str, Dialogue[str]]]:
        for item in dialogues(42):
            pulled[0] += 1
            yield item

    async def run(store: Store) -> dict[str, str]:
        found: dict[str, str] = {}
        meter = Meter()
        stream = stream_dialogues(backend, calls_of(store, meter), counted(), window=8)
        async for done in stream:
            assert pulled[0] <= len(found) + 8 + 8
            found |= dict(done)
        return found

    with Store(tmp_path / "store.sqlite") as store:
        found = asyncio.run(run(store))
    assert found == {f"d{n}": f"call {n}!" for n in range(42)}
    assert [len(group) for group in backend.groups] == [4] * 10 + [2]


def test_a_plain_window_bounds_what_is_pulled_too(tmp_path: Path) -> None:
    pulled, found = [0], 0

    def counted() -> Iterator[tuple[str, Dialogue[str]]]:
        for item in dialogues(40):
            pulled[0] += 1
            yield item

    with Store(tmp_path / "store.sqlite") as store:
        stored = calls_of(store, Meter())
        for done in run_dialogues(EchoBackend(), stored, counted(), window=8):
            assert pulled[0] <= found + 8
            found += len(done)
    assert found == 40


def test_a_half_stored_batch_is_drawn_whole_and_paid_in_part(tmp_path: Path) -> None:
    """The make-up of a batch decides the last bits of its replies."""
    with Store(tmp_path / "store.sqlite") as store:
        list(run_dialogues(EchoBackend(batch_size=2), calls_of(store, Meter()), dialogues(2)))
        backend, meter = EchoBackend(batch_size=4), Meter()
        run = run_dialogues(backend, calls_of(store, meter), dialogues(8))
        assert len([item for done in run for item in done]) == 8
    assert [len(group) for group in backend.groups] == [4, 4]
    assert (meter.num_asked, meter.num_served) == (6, 2)


def unusable(text: str) -> Dialogue[str]:
    return Unusable(result=said((yield ask_of(text))))


def test_an_unusable_reply_counts_as_failed_until_it_comes_to_a_result(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        stored = calls_of(store, Meter())
        (done,) = filter(None, run_dialogues(EchoBackend(), stored, [("n", unusable("call 0"))]))
        assert done == [("n", "call 0!")]
        assert store.count("test", failed=True) == 1
        list(run_dialogues(EchoBackend(), calls_of(store, Meter()), dialogues(1)))
        assert (store.count("test", failed=True), store.count("test")) == (0, 1)


def test_a_local_model_stops_at_a_limit_and_continues(tmp_path: Path) -> None:
    backend = EchoBackend(batch_size=4)
    with Store(tmp_path / "store.sqlite") as store:
        meter = Meter(limits=Limits(max_calls=9))
        with pytest.raises(LimitReachedError, match="max_calls=9"):
            list(run_dialogues(backend, calls_of(store, meter), dialogues(12)))
        assert meter.num_asked == 8
        again = Meter()
        done = [
            d
            for part in run_dialogues(backend, calls_of(store, again), dialogues(12))
            for d in part
        ]
        assert (again.num_asked, again.num_served) == (4, 8)
    assert sorted(name for name, _ in done) == sorted(f"d{n}" for n in range(12))


def test_closing_a_local_run_finishes_its_batch_and_lets_go(tmp_path: Path) -> None:
    backend, meter = EchoBackend(batch_size=4), Meter()

    async def run(store: Store) -> int:
        stream = stream_dialogues(backend, calls_of(store, meter), dialogues(40), window=40)
        async for _ in stream:
            break
        await stream.aclose()
        return store.count("test")

    with Store(tmp_path / "store.sqlite") as store:
        stored = asyncio.run(run(store))
        assert stored == sum(map(len, backend.groups))
        assert stored <= 8
        assert meter.num_under_way == 0


# Work that blocks, and callers that do.


def test_a_plain_iterator_in_a_thread_is_closed_with_its_stream() -> None:
    closed: list[int] = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append(1)

    async def run(items: Iterator[int]) -> None:
        stream = in_thread(items)
        async for item in stream:
            if item == 3:
                break
        await stream.aclose()
        assert closed == [1]

    items = numbers()  # somebody still holds it
    asyncio.run(run(items))


def test_a_caller_that_stops_closes_the_work() -> None:
    ended: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(100):
                yield number
        finally:
            ended.append(1)

    items = block_on(numbers())  # type: ignore[arg-type]
    assert next(iter(items)) == 0
    items.close()  # type: ignore[attr-defined]
    assert ended == [1]
    assert not [t for t in threading.enumerate() if t.name == "maskdpo-loop"]


# Servers.


def server_backend(url: str, **settings: Any) -> OpenAIBackend:
    return OpenAIBackend(
        ModelConfig(backend="openai", model="m", base_url=url, **({"concurrency": 4} | settings))
    )


def test_results_that_nobody_takes_stop_new_dialogues(tmp_path: Path) -> None:
    """A caller that stays away has at most MAX_HELD results waiting, and no call is lost."""
    begun = [0]

    def counted() -> Iterator[tuple[str, Dialogue[str]]]:
        for item in dialogues(MAX_HELD + 600):
            begun[0] += 1
            yield item

    async def run(store: Store, url: str) -> int:
        stored = calls_of(store, Meter())
        stream = stream_dialogues(server_backend(url, concurrency=64), stored, counted())
        total = len(await anext(stream))
        last = -1
        while begun[0] != last:
            last = begun[0]
            await asyncio.sleep(0.5)
        assert begun[0] <= MAX_HELD + 64 + total
        async with asyncio.timeout(60):
            async for done in stream:
                total += len(done)
        return total

    with (
        ChatServer(lambda body: completion("well")) as server,
        Store(tmp_path / "store.sqlite") as store,
    ):
        assert asyncio.run(run(store, server.base_url)) == MAX_HELD + 600


def test_equal_calls_under_way_are_one_call(tmp_path: Path) -> None:
    with (
        ChatServer(lambda body: completion("well")) as server,
        Store(tmp_path / "store.sqlite") as store,
    ):
        meter = Meter()
        named = [(f"n{n}", one_call("the same")) for n in range(6)]
        run = run_dialogues(server_backend(server.base_url), calls_of(store, meter), named)
        done = [item for part in run for item in part]
        assert len(server.asked) == 1
        assert meter.num_asked == 1
    assert sorted(done) == [(f"n{n}", "well") for n in range(6)]


def test_results_that_come_in_at_the_end_while_the_caller_is_busy_are_handed_out(
    tmp_path: Path,
) -> None:
    async def run(store: Store, url: str) -> int:
        stream = stream_dialogues(server_backend(url), calls_of(store, Meter()), dialogues(20))
        total = len(await anext(stream))
        assert total < 20
        while store.count("test") < 20:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # the work has ended
        async for done in stream:
            total += len(done)
        return total

    with (
        ChatServer(lambda body: completion("well")) as server,
        Store(tmp_path / "store.sqlite") as store,
    ):
        assert asyncio.run(run(store, server.base_url)) == 20


def key_of(backend: OpenAIBackend, text: str) -> str:
    return call_key("test", backend.fingerprint(), ask_of(text))


async def ask_one(backend: OpenAIBackend, store: Store, meter: Meter) -> list[tuple[str, str]]:
    stream = stream_dialogues(backend, calls_of(store, meter), dialogues(1))
    async with asyncio.timeout(30):
        return [item async for done in stream for item in done]


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_call_under_way_of_another_store_is_awaited_or_left_by_another_and_asked(
    is_answered: bool, tmp_path: Path
) -> None:
    path, meter = tmp_path / "store.sqlite", Meter()
    with (
        ChatServer(lambda body: completion("mine")) as server,
        Store(path) as store,
        Store(path) as other,
    ):
        backend = server_backend(server.base_url)
        key = key_of(backend, "call 0")
        assert other.claim([key]) == {key}

        async def run() -> list[tuple[str, str]]:
            task = asyncio.create_task(ask_one(backend, store, meter))
            await asyncio.sleep(0.5)
            assert (len(server.asked), meter.num_asked) == (0, 0)
            if is_answered:
                other.put_many("test", {key: pack(Reply(text="theirs", finish_reason="stop"))})
            else:
                other.release([key])
            return await task

        found = asyncio.run(run())
        assert not store.claim_missing([key]).mine
    assert found == [("d0", "theirs" if is_answered else "mine")]
    asked = 0 if is_answered else 1
    assert (len(server.asked), meter.num_asked, meter.num_served) == (asked, asked, 1 - asked)
    assert meter.num_under_way == 0


def test_a_dialogue_goes_on_from_the_stored_one_of_two_replies(tmp_path: Path) -> None:
    """Whoever stores first decides, so that both runs go on alike."""
    path = tmp_path / "store.sqlite"
    keys: list[str] = []
    with Store(path) as store, Store(path) as other:

        def answer(body: dict[str, Any]) -> Any:
            other.put_many("test", {keys[0]: pack(Reply(text="theirs", finish_reason="stop"))})
            return completion("mine")

        with ChatServer(answer) as server:
            backend = server_backend(server.base_url)
            keys.append(key_of(backend, "call 0"))
            found = asyncio.run(ask_one(backend, store, Meter()))
    assert found == [("d0", "theirs")]


def test_what_is_under_way_counts_at_its_most_until_it_is_taken_back() -> None:
    decoding = Decoding(max_tokens=100)
    one, other = (
        Request(id=name, messages=ask_of("well").messages, seed=0, decoding=decoding)
        for name in ("one", "other")
    )
    meter = Meter(limits=Limits(max_tokens=150))
    assert meter.start([one])
    assert not meter.start([other])
    assert (meter.num_asked, meter.num_under_way) == (1, 1)
    meter.withdraw([one])
    assert (meter.num_asked, meter.num_under_way) == (0, 0)
    assert meter.start([other])
    reply = Reply(text="well", finish_reason="stop", prompt_tokens=3, completion_tokens=5)
    meter.finish(other, reply)
    assert (meter.tokens.total, meter.num_under_way) == (8, 0)
    assert meter.start([one])
    meter.abandon(one)
    assert (meter.num_asked, meter.num_under_way) == (2, 0)
