"""What keeps the service fast: bounded caches, and long work outside the event loop."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from core_support import (
    LEXICAL,
    annotate_all,
    judge_config,
    judge_world,
    make_documents,
    make_responses,
)
from judge_server import ScriptedJudge
from sample_server import ChatServer

import annotator.judging.lexical.judge as lexical_judge
from annotator.calls.store import Store
from annotator.judging import excerpts
from annotator.judging.annotator import Annotator
from annotator.judging.cascade_judge import CascadeJudge
from annotator.judging.config import AnnotateConfig
from annotator.judging.excerpts import ExcerptChooser
from annotator.judging.judge import Judged, JudgeTask
from annotator.judging.lexical.index import DocumentIndex, index_document
from annotator.judging.lexical.judge import LexicalJudge
from annotator.judging.llm_judge import LlmJudge
from annotator.judging.make_judge import make_judge
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.stream_judge import JudgeProcesses
from annotator.service.admission import Admission, BusyError
from annotator.service.engine import Engine
from annotator.text.config import RetrievalConfig
from schemas.events import CallAsked, CallsServed, Event
from schemas.labels import Label
from schemas.records import Document, Message, Response

FACT = "The harbour of Karsted was dredged in 1951. "


def make_task(document: str) -> JudgeTask:
    response = Response(
        id="r",
        question_id="q",
        prompt=[Message(role="user", content="What of the harbour?")],
        text=FACT.strip(),
    )
    documents = [Document(id="d", text=document)]
    return JudgeTask(response=response, sentences=[(0, len(FACT) - 1)], documents=documents)


@pytest.fixture
def indexed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are indexed, in order."""
    texts: list[str] = []

    def index(document: Document) -> DocumentIndex:
        texts.append(document.text)
        return index_document(document)

    monkeypatch.setattr(lexical_judge, "index_document", index)
    return texts


@pytest.mark.parametrize("is_sent", [False, True], ids=["here", "sent to a worker"])
def test_a_lexical_judge_keeps_as_many_characters_as_it_is_given(
    indexed: list[str], is_sent: bool
) -> None:
    judge = make_judge(AnnotateConfig(), cached_chars=len(FACT) * 4)
    if is_sent:
        judge = pickle.loads(pickle.dumps(judge))
    first, second, third = (FACT * 2 + str(n) for n in range(3))  # one fits, and two do not

    def ask(texts: Sequence[str]) -> None:
        for text in texts:
            list(judge.judge([make_task(text)]))

    ask([first, first])
    assert indexed == [first]
    ask([second, second, third, first])
    assert indexed == [first, second, third, first]


def test_a_lexical_judge_keeps_many_documents_without_being_told(indexed: list[str]) -> None:
    judge = LexicalJudge()
    for _ in range(2):
        for n in range(20):
            list(judge.judge([make_task(FACT * 100 + str(n))]))
    assert len(indexed) == 20


def test_indices_of_long_documents_are_bounded_by_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []

    class Counted(excerpts.PassageIndex):
        def __init__(self, documents: Sequence[Document], *args: object, **kwargs: object) -> None:
            made.append(documents[0].text)
            super().__init__(documents, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(excerpts, "PassageIndex", Counted)
    monkeypatch.setattr(excerpts, "_CACHED_CHARS", len(FACT) * 2500)
    chooser = ExcerptChooser(RetrievalConfig(max_tokens=500), splitter="sentencex")
    first, second, third = (FACT * 1000 + str(n) for n in range(3))  # two fit
    for text in (first, second, first, second, third, second, first):
        assert chooser.choose(make_task(text)) is not None
    assert made == [first, second, third, first]


def test_long_documents_are_prepared_outside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[int, int] = {}
    prepare = LlmJudge.prepare

    def noted(self: LlmJudge, task: JudgeTask) -> ProtocolInput | None:
        threads[len(task.documents[0].text)] = threading.get_ident()
        return prepare(self, task)

    monkeypatch.setattr(LlmJudge, "prepare", noted)
    long, short = FACT * 2000, FACT

    async def run(annotator: Annotator) -> None:
        async def tasks():
            yield make_task(long)
            yield make_task(short)

        async for _ in annotator.judge_stream(tasks()):
            pass
        assert threads[len(short)] == threading.get_ident()
        assert threads[len(long)] != threading.get_ident()

    truths, *_ = judge_world(tmp_path, num_responses=1)
    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        asyncio.run(run(Annotator(judge_config(server.base_url), store=store)))


def test_calls_found_in_the_store_are_events(tmp_path: Path) -> None:
    truths, documents, responses = judge_world(tmp_path, num_responses=3)
    events: list[Event] = []
    with ChatServer(ScriptedJudge(truths)) as server, Store(tmp_path / "store.sqlite") as store:
        for _ in range(2):
            asked = sum(isinstance(event, CallAsked) for event in events)
            events.clear()
            annotator = Annotator(
                judge_config(server.base_url),
                documents=documents,
                store=store,
                on_event=events.append,
            )
            annotate_all(annotator, responses)
    served = [event.count for event in events if isinstance(event, CallsServed)]
    assert sum(served) == asked > 0
    assert annotator.meter.num_served == asked


class NotedProcesses(JudgeProcesses):
    """Worker processes that note how many tasks each batch has."""

    def __init__(self, count: int, **values: int) -> None:
        super().__init__(count, **values)
        self.sizes: list[int] = []

    def submit(self, ask: Callable[[list[JudgeTask]], Judged], tasks: list[JudgeTask]) -> Any:
        self.sizes.append(len(tasks))
        return super().submit(ask, tasks)


def test_a_worker_process_gets_no_larger_batches_than_it_is_given() -> None:
    with NotedProcesses(1, batch_tasks=3) as processes:
        annotator = Annotator(LEXICAL, documents=make_documents(), processes=processes)
        rows = annotate_all(annotator, list(make_responses(20)))
    assert len(rows) == sum(processes.sizes) == 20
    assert max(processes.sizes) == 3


def test_worker_processes_need_at_least_a_task() -> None:
    with pytest.raises(ValueError, match="batch_tasks is 0; at least 1 task is needed"):
        JudgeProcesses(1, batch_tasks=0)


def test_worker_processes_can_start_before_there_is_work() -> None:
    before = set(multiprocessing.active_children())
    with JudgeProcesses(2) as processes:
        asyncio.run(processes.start(LexicalJudge()))
        assert len(set(multiprocessing.active_children()) - before) == 2


@pytest.mark.parametrize("max_wait_s", [None, 60.0, 0.0])
def test_a_task_that_has_waited_too_long_is_not_begun(max_wait_s: float | None) -> None:
    async def run() -> Any:
        engine = Engine(Annotator(AnnotateConfig()), max_wait_s=max_wait_s)
        try:
            return await engine.judge(make_task(FACT))
        finally:
            await engine.close()

    if max_wait_s == 0.0:
        with pytest.raises(BusyError):
            asyncio.run(run())
    else:
        assert [verdict.label for verdict in asyncio.run(run())] == [Label.NO_HALLUCINATION]


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def judge_for(admission: Admission, clock: Clock, *, seconds: float, each: float) -> None:
    """A judge that finishes a request every `each` seconds, with another always inside."""
    admission.enter()
    end = clock.now + seconds
    while clock.now < end:
        clock.now += each
        admission.finish()
    admission.leave()


def count_let_in(admission: Admission) -> int:
    """How many more are let in now."""
    for count in range(1000):
        try:
            admission.enter()
        except BusyError:
            return count
    raise AssertionError("no limit")


@pytest.mark.parametrize(("each", "expected"), [(0.011, 28), (0.05, 7), (0.2, 4)])
def test_as_many_are_let_in_as_are_judged_in_the_longest_wait(each: float, expected: int) -> None:
    clock = Clock()
    admission = Admission(most=500, max_wait_s=0.3, always=4, clock=clock)
    judge_for(admission, clock, seconds=20, each=each)
    assert count_let_in(admission) == expected


def test_no_more_than_the_most_are_let_in_and_a_place_becomes_free() -> None:
    admission = Admission(most=5)
    assert count_let_in(admission) == 5
    admission.leave()
    assert admission.num_inside == 4
    assert count_let_in(admission) == 1


def test_requests_that_end_without_a_verdict_do_not_make_a_judge_look_fast() -> None:
    clock = Clock()
    admission = Admission(most=500, max_wait_s=0.3, always=4, clock=clock)
    judge_for(admission, clock, seconds=20, each=0.1)
    for _ in range(300):
        admission.enter()
        admission.leave()
    assert count_let_in(admission) == 4


def test_a_refused_client_learns_when_to_come_back() -> None:
    clock = Clock()
    admission = Admission(most=500, max_wait_s=5.0, clock=clock)
    judge_for(admission, clock, seconds=20, each=1.5)
    assert count_let_in(admission) == 4
    with pytest.raises(BusyError) as refused:
        admission.enter()
    assert refused.value.retry_after_s == 6


class CountedProcesses(JudgeProcesses):
    """Worker processes that count their batches."""

    num_batches = 0

    def submit(self, ask: Any, tasks: Any) -> Any:
        self.num_batches += 1
        return super().submit(ask, tasks)


def test_a_cascade_computes_in_worker_processes(tmp_path: Path) -> None:
    values = {"first": "lexical", "second": "llm", "min_confidence": 0.0}
    llm = {"model": "never-asked", "base_url": "http://127.0.0.1:9/v1"}
    config = AnnotateConfig.parse({"judge": "cascade", "cascade": values, "llm": llm}, where="test")
    responses = list(make_responses(5))
    with Store(tmp_path / "store.sqlite") as store, CountedProcesses(1) as processes:
        given: dict[str, Any] = {"documents": make_documents(), "store": store}
        annotator = Annotator(config, **given, processes=processes)
        rows = annotate_all(annotator, responses)
        assert processes.num_batches > 0
        assert rows == annotate_all(Annotator(config, **given), responses)
        given["judge"] = CascadeJudge(config.cascade, first=LexicalJudge(), second=LexicalJudge())
        given.pop("store")
        annotator = Annotator(config, **given, processes=processes)
        copy = pickle.loads(pickle.dumps(annotator))
        assert annotate_all(annotator, responses) == annotate_all(copy, responses)
        assert pickle.loads(pickle.dumps(annotator)).judge.name == "lexical>lexical"
