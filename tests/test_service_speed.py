"""What keeps the service fast: bounded caches, and long work outside the event loop."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from core_support import annotate_all, judge_config, judge_world
from judge_server import ScriptedJudge
from sample_server import ChatServer

import annotator.judging.lexical.judge as lexical_judge
from annotator.calls.store import Store
from annotator.judging import excerpts
from annotator.judging.annotator import Annotator
from annotator.judging.config import AnnotateConfig
from annotator.judging.excerpts import ExcerptChooser
from annotator.judging.judge import JudgeTask
from annotator.judging.lexical.index import DocumentIndex, index_document
from annotator.judging.lexical.judge import LexicalJudge
from annotator.judging.llm_judge import LlmJudge
from annotator.judging.make_judge import make_judge
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.text.config import RetrievalConfig
from schemas.events import CallAsked, CallsServed, Event
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
