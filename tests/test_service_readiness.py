"""What the service finds out about its judges' servers, and refuses because of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from core_support import judge_config
from judge_server import ScriptedJudge
from sample_server import Answer, ChatServer, as_json
from service_support import ANSWER, DOCUMENT
from test_service_annotations import TRUTHS

from annotator.calls.store import Store
from annotator.calls.usage import NO_LIMITS, Budget
from annotator.judging.config import AnnotateConfig
from annotator.judging.stream_judge import JudgeProcesses
from annotator.service.api.bodies import AnnotationRequest
from annotator.service.config import ServeConfig
from annotator.service.errors import api_error_of
from annotator.service.intake import make_task
from annotator.service.judges import Judges
from annotator.service.readiness import READY, Watch
from schemas.errors import BackendError
from schemas.events import ignore


def lists(root: str) -> Answer:
    """A list of models whose weights are `root`."""
    return as_json(200, {"data": [{"id": "judge", "root": root}]})


@contextmanager
def judges_of(folder: Path, config: AnnotateConfig) -> Iterator[Judges]:
    """The judges of a service at its start."""
    path = folder / "store.sqlite"
    with Store(path, uses_lost=False) as store, JudgeProcesses(1) as processes:
        judges = Judges(
            {"default": config},
            serve=ServeConfig(),
            store=store,
            processes=processes,
            budget=Budget(limits=NO_LIMITS),
            on_event=lambda name: ignore,
        )
        judges.identify(same_model=False)
        yield judges


def look(watch: Watch) -> str:
    asyncio.run(watch.look())
    return watch.found


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_server_that_lists_nothing_for_a_moment_is_not_another_model(
    tmp_path: Path, status: int
) -> None:
    with (
        ChatServer(models=lists("a")) as server,
        judges_of(tmp_path, judge_config(server.base_url)) as judges,
    ):
        watch = Watch(judges.served["default"])
        assert look(watch) == READY
        server.models = as_json(status, {})
        assert look(watch) == READY and not watch.is_replaced
        server.models = lists("b")
        assert "root 'a' -> 'b'" in look(watch) and watch.is_replaced


def test_a_server_that_was_down_at_the_start_is_compared_with_the_last_run(tmp_path: Path) -> None:
    with ChatServer(models=lists("a")) as server:
        config = judge_config(server.base_url)
        with Store(tmp_path / "store.sqlite") as store:
            store.put_many("judge", {"0" * 64: {"text": "a reply of the former model"}})
        with judges_of(tmp_path, config):
            pass
        server.models = as_json(500, {})
        with judges_of(tmp_path, config) as judges:
            watch = Watch(judges.served["default"])
            server.models = lists("b")
            assert "root 'a' -> 'b'" in look(watch) and watch.is_replaced
            server.models = lists("a")
            assert look(watch) == READY and not watch.is_replaced


def test_a_locked_store_is_not_a_fault_of_the_judge_and_its_place_is_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotator.calls.store_tables.LOCK_WAIT_S", 0.05)
    path = tmp_path / "store.sqlite"
    with Store(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendError) as caught:
            store.claim(["0" * 64])
        other.close()
    error = api_error_of(caught.value)
    assert (error.status, error.code, error.headers) == (503, "store_busy", {"Retry-After": "5"})
    assert str(tmp_path) in str(caught.value) and str(tmp_path) not in error.message


def test_a_server_that_was_set_aside_is_tried_again_when_it_replies(tmp_path: Path) -> None:
    is_down = True

    def answer(body: dict[str, Any]) -> Answer | None:
        return None if is_down else judge(body)

    judge = ScriptedJudge(TRUTHS)
    with ChatServer(answer, models=lists("a")) as server:
        config = judge_config(server.base_url, max_retries=0, concurrency=1)
        with judges_of(tmp_path, config) as judges:
            engine = judges.engine("default")

            async def ask() -> object:
                task = make_task(
                    AnnotationRequest(response=ANSWER, documents=[DOCUMENT]),
                    config=engine.annotator.config,
                    corpus=engine.annotator.tasks,
                    serve=ServeConfig(),
                )
                return await engine.judge(task)

            async def work() -> None:
                nonlocal is_down
                watch = Watch(judges.served["default"], on_ready=partial(judges.wake, "default"))
                with pytest.raises(BackendError, match="stopped answering"):
                    for _ in range(8):
                        await ask()
                is_down = False
                with pytest.raises(BackendError, match="stopped answering"):
                    await ask()
                await watch.look()
                assert isinstance(await ask(), list)
                await judges.close()

            asyncio.run(work())
