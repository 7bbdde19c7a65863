"""`maskdpo.Client` against the real service: the results of `annotate`, a full queue, a crash."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from judge_server import ScriptedJudge
from sample_server import Answer, ChatServer
from service_server import Clients
from service_support import ANSWER, DOCUMENT, TOKEN, ServiceProcess

import maskdpo
from maskdpo import BackendError, InputError

NUM = 60
TRUTHS = {f"Mira has {number} goats.": ("not_mentioned", "") for number in range(NUM)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("run")
    options = ("serve.processes=1", "serve.max_waiting=4", "serve.max_sentences=20")
    settings = [word for option in options for word in ("--set", option)]
    with ServiceProcess(folder, *settings) as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, service: ServiceProcess) -> Iterator[Any]:
    with Clients(request.param) as connect:
        yield connect(service.address, TOKEN)


def test_results_are_those_of_annotate(client: Any) -> None:
    given = {"id": "r", "question": "Who?", "text": ANSWER, "reasoning": "x", "sampling": {"n": 1}}
    for response in (ANSWER, given, {"text": ANSWER, "topic": "mira"}):
        documents = [{"id": "m", "topic": "mira", "text": DOCUMENT}, "Nobody paints a fence."]
        expected = maskdpo.annotate(response, documents)
        assert client.annotate(response, documents) == expected
        stream = client.stream(response, documents)
        assert [*stream] == [*expected.sentences]
        assert stream.result() == expected


def test_many_more_than_the_queue_takes_are_all_judged(
    client: Any, service: ServiceProcess
) -> None:
    texts = [f"Mira keeps {number} goats." for number in range(100)]
    rows = list(client.annotate_many(texts, [DOCUMENT], concurrency=40))
    expected = {row.id: row for row in maskdpo.annotate(texts, [DOCUMENT])}
    assert {row.id: row for row in rows} == expected


def test_what_the_service_refuses_is_one_sentence(client: Any) -> None:
    with pytest.raises(InputError, match="there is no judge 'x'; known: default"):
        client.annotate(ANSWER, [DOCUMENT], judge="x")
    with pytest.raises(InputError, match="at most 20 are allowed"):
        client.annotate("She bakes. " * 30, [DOCUMENT])
    (failure,) = client.annotate_many(["She bakes. " * 30], [DOCUMENT])
    assert isinstance(failure, maskdpo.Failure) and failure.id == "1"


def test_the_service_describes_itself(client: Any) -> None:
    assert client.ready() is True
    assert client.version() == maskdpo.__version__
    (judge,) = client.judges()
    assert (judge.name, judge.judge, judge.is_default) == ("default", "lexical", True)
    assert {"medical", "zh_general"} <= {domain.name for domain in client.domains()}


def test_a_wrong_token_is_a_wrong_setting(service: ServiceProcess) -> None:
    with (
        maskdpo.Client(service.address, "another-token-of-some-length") as stranger,
        pytest.raises(maskdpo.ConfigError, match="MASKDPO_TOKEN"),
    ):
        stranger.annotate(ANSWER, [DOCUMENT])
    assert "another-token" not in service.log


def test_a_job_is_annotate_in_the_service(client: Any, tmp_path: Path) -> None:
    texts = [ANSWER, "", "Mira keeps a goat."]
    job = client.submit(texts, [DOCUMENT])
    rows = list(job.results([DOCUMENT]))
    assert job.wait().rows.failed == 1
    assert [failure.id for failure in job.failures()] == ["2"]
    answers = [row for row in maskdpo.annotate(texts, [DOCUMENT]) if row.id != "2"]
    assert rows == answers
    assert job.save(tmp_path / "a.jsonl") == 2
    assert maskdpo.load_annotations(tmp_path / "a.jsonl", [DOCUMENT]) == answers
    assert [status.state for status in job.events()] == ["succeeded"]
    assert job.id in [found.id for found in client.jobs(state="succeeded")]
    job.delete()
    with pytest.raises(InputError, match="no such job"):
        client.job(job.id)


@pytest.mark.slow
def test_results_continue_where_the_service_was_killed(tmp_path: Path) -> None:
    scripted = ScriptedJudge(TRUTHS)

    def answer(body: Mapping[str, Any]) -> Answer:
        time.sleep(0.02)
        return scripted(body)

    found: list[str] = []
    with ChatServer(answer) as judge:
        settings = {
            "annotate.judge": "llm",
            "annotate.llm.model": "policy",
            "annotate.llm.base_url": judge.base_url,
            "annotate.llm.protocol": "sentence",
            "annotate.llm.concurrency": "2",
        }
        options = [word for item in settings.items() for word in ("--set", "=".join(item))]
        with ServiceProcess(tmp_path, *options) as first:
            port = first.address.rpartition(":")[2]
            with maskdpo.Client(first.address, TOKEN) as client:
                job = client.submit(list(TRUTHS), [DOCUMENT])
                rows = job.results()
                found += [next(rows).text for _ in range(5)]
                first.kill()
                with ServiceProcess(tmp_path, *options, "--port", port):
                    found += [row.text for row in rows]
                    assert job.status().attempts == 2
        num_calls = len(judge.asked)
    assert found == list(TRUTHS)  # each once, in order
    assert NUM <= num_calls <= NUM + 2 + 2  # those under way at the kill, and no stored one


def test_a_judge_that_is_gone_is_a_backend_error(tmp_path: Path) -> None:
    with ChatServer() as judge:
        gone = judge.base_url
    settings = {"annotate.judge": "llm", "annotate.llm.model": "m", "annotate.llm.base_url": gone}
    options = [word for item in settings.items() for word in ("--set", "=".join(item))]
    options += ["--set", "annotate.llm.max_retries=0"]
    with (
        ServiceProcess(tmp_path, *options) as service,
        maskdpo.Client(service.address, TOKEN, max_retries=0) as client,
    ):
        assert client.ready() is False
        with pytest.raises(BackendError):
            client.annotate(ANSWER, [DOCUMENT])
