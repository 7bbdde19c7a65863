"""A run whose replies are of no use stops, and shows one of them."""

import threading
import time
from itertools import count

import pytest
from judge_server import ScriptedJudge
from judge_support import make_world
from sample_server import ChatServer, completion

from annotator.calls.useless import PATIENCE, UselessReplies
from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from annotator.models.backend import Reply, RequestFailure
from schemas.errors import BackendError

PROSE = "I would rather talk about the weather."


def annotate(folder, server, **llm):
    values = {"model": "judge", "base_url": server.base_url, "protocol": "sentence"}
    config = AnnotateConfig.parse(
        {"judge": "llm", "llm": values | {"max_retries": 0, "concurrency": 2} | llm},
        where="annotate",
    )
    return run_annotate(
        config,
        responses=folder / "responses.jsonl",
        documents=folder / "documents.jsonl",
        output=folder / "annotations.jsonl",
        store=folder / "store.sqlite",
    )


@pytest.mark.parametrize("protocol", ["response", "sentence", "anah"])
def test_a_run_stops_after_useless_replies_in_a_row_and_shows_one(tmp_path, protocol):
    make_world(tmp_path, num_responses=40)
    with ChatServer(lambda _: completion(PROSE)) as server:
        with pytest.raises(BackendError, match="weather") as stop:
            annotate(tmp_path, server, protocol=protocol)
        num_asked = len(server.asked)
        assert PATIENCE <= num_asked <= PATIENCE + 4  # those under way come in
        assert "replies in a row could not be used" in str(stop.value)
        # A rerun serves what is stored and stops again, after as many new replies.
        with pytest.raises(BackendError):
            annotate(tmp_path, server, protocol=protocol)
        assert PATIENCE <= len(server.asked) - num_asked <= PATIENCE + 4


def test_one_useful_reply_starts_the_count_again(tmp_path):
    truths = make_world(tmp_path, num_responses=16)
    judge, counter = ScriptedJudge(truths), iter(range(10_000))

    def reply(body):
        return judge(body) if next(counter) % 25 == 0 else completion(PROSE)

    with ChatServer(reply) as server:
        result = annotate(tmp_path, server, concurrency=1)
    assert result.counts["label_undetermined"] > PATIENCE


def test_a_useful_reply_that_was_under_way_lets_the_run_go_on(tmp_path):
    truths = make_world(tmp_path, num_responses=40)
    judge, counter, patience_is_over = ScriptedJudge(truths), count(1), threading.Event()

    def reply(body):
        number = next(counter)
        if number == 1:
            patience_is_over.wait(60)
            time.sleep(0.5)  # the last useless reply is counted first
            return judge(body)
        if number == PATIENCE + 1:
            patience_is_over.set()
        return completion(PROSE) if number <= PATIENCE + 1 else judge(body)

    with ChatServer(reply) as server:
        result = annotate(tmp_path, server, concurrency=2)
    assert result.counts["label_undetermined"] == PATIENCE / 2  # each was asked twice


def test_replies_of_earlier_runs_do_not_count():
    counts = UselessReplies()
    counts.count_useless([])
    assert not counts.is_all
    assert not counts.is_hopeless


def test_failures_and_replies_count_alike():
    counts = UselessReplies(patience=3)
    counts.count_useless([RequestFailure(reason="http_402", detail="no credits")])
    assert counts.is_all
    assert "http_402 (no credits)" in counts.describe()
    counts.count_useless([Reply(text="", finish_reason="stop")] * 2)
    assert counts.is_hopeless
    assert "the last one: an empty text (finish_reason stop)" in counts.describe()
    counts.count_useless([Reply(text="", reasoning="Let me see.", finish_reason="length")])
    assert "the last one: thinking alone (finish_reason length)" in counts.describe()
    counts.count_useful(1)
    assert not counts.is_hopeless
    assert not counts.is_all


def test_none_never_stops():
    counts = UselessReplies(patience=None)
    counts.count_useless([Reply(text="no", finish_reason="stop")] * 100)
    assert not counts.is_hopeless
