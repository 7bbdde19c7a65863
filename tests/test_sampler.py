"""The core of sampling: the rows of a run over files, whatever stops it, from any kind of model."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from local_backend import EchoBackend
from sample_server import ChatServer, as_json, echo
from sample_support import write_questions

from annotator.calls.store import Store
from annotator.calls.usage import Budget, Limits
from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample
from annotator.sampling.sampler import Sampler
from schemas.errors import ConfigError, LimitReachedError
from schemas.events import (
    Advanced,
    BatchStep,
    CallAnswered,
    CallAsked,
    CallFailed,
    Ended,
    Event,
    Started,
)
from schemas.files.jsonl import read_records
from schemas.records import Failure, Message, Question, Response

Rows = dict[str, Response | Failure]


def config_of(url: str = "http://127.0.0.1:9/v1", **settings: Any) -> SampleConfig:
    values = {"backend": "openai", "model": "policy", "base_url": url, "num_responses": 2}
    return SampleConfig.parse(values | settings, where="sample")


def questions_of(count: int) -> list[Question]:
    return [
        Question(id=f"q{n}", messages=[Message(role="user", content=f"What of town {n}?")])
        for n in range(count)
    ]


async def collect(sampler: Sampler, questions: Any, *, most: int | None = None) -> Rows:
    """The first `most` rows by id; then the stream is closed."""
    rows: Rows = {}
    stream = sampler.sample(questions)
    try:
        async for row in stream:
            assert row.id not in rows
            rows[row.id] = row
            if len(rows) == most:
                break
    finally:
        await stream.aclose()
    return rows


def test_rows_are_those_of_a_run_over_files(tmp_path: Path) -> None:
    path = write_questions(tmp_path / "questions.jsonl", 7)
    output = tmp_path / "responses.jsonl"
    with ChatServer() as server:
        config = config_of(server.base_url)
        run_sample(config, questions=path, output=output, store=tmp_path / "run.sqlite")
        num_asked = len(server.asked)
        with Store(tmp_path / "core.sqlite") as store:
            sampler = Sampler(config, store=store)
            rows = asyncio.run(collect(sampler, read_records(path, Question)))
        assert len(server.asked) == 2 * num_asked == 28
        with Store(tmp_path / "run.sqlite") as store:  # what one stored serves the other
            again = Sampler(config, store=store)
            assert asyncio.run(collect(again, read_records(path, Question))) == rows
            assert (again.meter.num_asked, again.meter.num_served) == (0, 14)
        assert len(server.asked) == 28
    assert rows == {row.id: row for row in read_records(output, Response)}


def test_a_request_that_fails_is_a_failure_with_the_id_of_its_response(tmp_path: Path) -> None:
    def moody(body: dict[str, Any]) -> Any:
        refused = as_json(400, {"error": {"message": "not this one"}})
        return refused if "town 1" in body["messages"][-1]["content"] else echo(body)

    events: list[Event] = []
    with ChatServer(moody) as server, Store(tmp_path / "store.sqlite") as store:
        sampler = Sampler(config_of(server.base_url), store=store, on_event=events.append)
        rows = asyncio.run(collect(sampler, questions_of(3)))
        assert (store.count("reply", failed=True), store.count("reply", failed=False)) == (2, 4)
    failed = {row.id: row for row in rows.values() if isinstance(row, Failure)}
    assert sorted(failed) == ["q1-0", "q1-1"]
    assert {row.reason for row in failed.values()} == {"http_400"}
    assert {row.stage for row in failed.values()} == {"sample"}
    assert len(rows) == 6
    kinds = [type(event) for event in events]
    assert (kinds[0], kinds[-1]) == (Started, Ended)
    assert kinds.count(CallAsked) == 6
    assert (kinds.count(CallAnswered), kinds.count(CallFailed)) == (4, 2)
    advanced = [event for event in events if isinstance(event, Advanced)]
    assert sum(event.count for event in advanced) == 6
    assert {event.stage for event in advanced} == {"sample"}
    last = advanced[-1].usage
    assert last is not None
    assert (last.asked, last.failures) == (6, {"http_400": 2})


def test_a_limit_holds_over_samplers_that_share_it(tmp_path: Path) -> None:
    questions = questions_of(6)
    with ChatServer() as server, Store(tmp_path / "store.sqlite") as store:
        budget = Budget(limits=Limits(max_calls=5))
        config = config_of(server.base_url, concurrency=3)
        samplers = [Sampler(config, store=store, limits=budget) for _ in range(2)]

        async def both() -> list[Any]:
            halves = questions[:3], questions[3:]
            return await asyncio.gather(*map(collect, samplers, halves), return_exceptions=True)

        stopped = asyncio.run(both())
        assert [type(item) for item in stopped] == [LimitReachedError] * 2
        assert len(server.asked) == 5
        rest = Sampler(config, store=store)
        assert len(asyncio.run(collect(rest, questions))) == 12
        assert (rest.meter.num_served, len(server.asked)) == (5, 12)


@pytest.mark.parametrize("most", [1, 4, 9])
def test_cancelled_and_continued_the_rows_are_equal(most: int, tmp_path: Path) -> None:
    questions = questions_of(8)
    with ChatServer() as server, Store(tmp_path / "store.sqlite") as store:
        config = config_of(server.base_url, concurrency=3)
        sampler = Sampler(config, store=store)
        first = asyncio.run(collect(sampler, questions, most=most))
        assert len(first) == most
        assert sampler.meter.num_under_way == 0
        rows = asyncio.run(collect(sampler, questions))
        assert len(server.asked) <= 16 + 3
    assert first.items() <= rows.items()
    assert {row.id for row in rows.values()} == {f"q{n}-{i}" for n in range(8) for i in (0, 1)}
    assert all(
        isinstance(row, Response) and row.text.endswith(f"{row.sampling['seed']}")
        for row in rows.values()
    )


def test_a_copy_in_another_process_samples_the_same(tmp_path: Path) -> None:
    with ChatServer() as server, Store(tmp_path / "store.sqlite") as store:
        limits = Budget(limits=Limits(max_calls=8))
        sampler = Sampler(config_of(server.base_url), store=store, limits=limits)
        rows = asyncio.run(collect(sampler, questions_of(4)))
        copy = pickle.loads(pickle.dumps(sampler))
        with copy.store:
            assert copy.meter.budget.limits == Limits(max_calls=8)
            assert copy.meter.num_asked == 0
            assert asyncio.run(collect(copy, questions_of(4))) == rows
            assert copy.meter.num_asked == 0
            with pytest.raises(LimitReachedError):
                asyncio.run(collect(copy, questions_of(9)))
        assert len(server.asked) == 8 + 8


def test_a_local_model_works_in_windows_and_reports_its_steps(tmp_path: Path) -> None:
    backend, events = EchoBackend(batch_size=2), []
    config = config_of(batch_size=2)
    pulled = [0]

    async def source() -> AsyncIterator[Question]:
        for question in questions_of(20):
            pulled[0] += 1
            yield question

    async def run(sampler: Sampler) -> Rows:
        rows: Rows = {}
        async for row in sampler.sample(source()):
            rows[row.id] = row
            assert 2 * pulled[0] <= len(rows) + 2 * 8 + 2  # one window runs, one is read
        return rows

    with Store(tmp_path / "store.sqlite") as store:
        sampler = Sampler(config, store=store, backend=backend, on_event=events.append)
        rows = asyncio.run(run(sampler))
        again = Sampler(config, store=store, backend=EchoBackend(batch_size=2))
        assert list(again.sample_now(questions_of(20))) == list(rows.values())
        assert again.meter.num_asked == 0
    assert {row.text for row in rows.values() if isinstance(row, Response)} == {
        f"What of town {n}?!" for n in range(20)
    }
    assert [len(group) for group in backend.groups] == [2] * 20
    steps = [event for event in events if isinstance(event, BatchStep)]
    assert [event.step for event in steps] == [1, 2] * 20


def test_a_sampler_without_prices_refuses_a_limit_on_cost(tmp_path: Path) -> None:
    refuses = pytest.raises(ConfigError, match=r"sample\.prices")
    with Store(tmp_path / "store.sqlite") as store, refuses:
        Sampler(config_of(), store=store, limits=Limits(max_cost=1.0))


def test_each_response_has_a_seed_and_a_key_of_its_own(tmp_path: Path) -> None:
    """The same ones on every machine: they are part of what was paid for."""
    with Store(tmp_path / "store.sqlite") as store:
        sampler = Sampler(config_of(), store=store, backend=EchoBackend())
        slots = sampler.slots_of(questions_of(2))
        (one,) = Sampler(config_of(num_responses=1), store=store, backend=EchoBackend()).slots_of(
            questions_of(2)[1:]
        )
    assert [slot.id for slot in slots] == ["q0-0", "q0-1", "q1-0", "q1-1"]
    assert len({slot.key for slot in slots}) == len({slot.ask.seed for slot in slots}) == 4
    assert all(0 <= slot.ask.seed < 2**31 for slot in slots)
    assert one == slots[2]
    assert [slot.ask.seed for slot in slots] == [1696012667, 1475103964, 70792834, 773636649]


def test_a_response_carries_what_its_question_says(tmp_path: Path) -> None:
    question = Question(
        id="q",
        topic="harbours",
        language="de",
        document_ids=["d1", "d2"],
        messages=[Message(role="user", content="What of the harbour?")],
    )
    config = config_of(system_prompt="Be brief.", num_responses=1)
    with Store(tmp_path / "store.sqlite") as store:
        sampler = Sampler(config, store=store, backend=EchoBackend())
        (row,) = sampler.sample_now([question])
    assert isinstance(row, Response)
    assert (row.topic, row.language, row.document_ids) == ("harbours", "de", ["d1", "d2"])
    assert (row.question_id, row.model, row.finish_reason) == ("q", "echo", "stop")
    assert [message.role for message in row.prompt] == ["system", "user"]
