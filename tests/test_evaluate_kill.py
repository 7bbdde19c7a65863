"""`evaluate` killed at any moment and continued: each reply is paid once, with the same result.

Runs are processes forked from a server that has imported everything. Models and judge are asked one
call at a time, so that a kill costs at most the call that was in flight.
"""

import json
import multiprocessing
import os
import random
import signal
import threading
from collections import Counter

import pytest
from judge_server import ScriptedJudge
from judge_support import make_world
from sample_server import ChatServer, completion

from annotator.judging.config import AnnotateConfig
from annotator.models.config import SampleConfig
from maskdpo.evaluation.config import EvaluateConfig
from maskdpo.evaluation.run import EvaluationInputs, run_evaluate

NUM_QUESTIONS = 2
MODELS = ("base", "tuned")
# One call per answer, and one per sentence to the judge: of the first model's answers, because the
# second one says the same.
NUM_CALLS = NUM_QUESTIONS * (len(MODELS) + 4)
NUM_KILLS = 2
WAIT_S = 120
IMPORTED = ("pytest.__main__", "tqdm", "aiohttp", "maskdpo.evaluation.run", "matplotlib.figure")


@pytest.fixture(scope="module")
def processes():
    """Makes processes that start with all imports done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    return context


def evaluate(folder, base_url):
    """One run, in a process of its own."""
    os.environ["OPENAI_API_KEY"] = "none"
    one_call = {"base_url": base_url, "concurrency": 1}
    judge = {"model": "judge", "protocol": "sentence", **one_call}
    run_evaluate(
        EvaluateConfig(models={name: name for name in MODELS}, num_responses=1),
        {
            name: SampleConfig.parse(
                {"backend": "openai", "model": name, "num_responses": 1, **one_call},
                where="sample",
            )
            for name in MODELS
        },
        AnnotateConfig.parse({"judge": "llm", "llm": judge}, where="annotate"),
        EvaluationInputs(
            questions=folder / "questions.jsonl",
            documents=folder / "documents.jsonl",
            output=folder / "evaluation",
        ),
    )


def make_files(folder):
    """Questions, documents, and what answers as models and judge."""
    folder.mkdir()
    judge = ScriptedJudge(make_world(folder, num_responses=NUM_QUESTIONS))
    rows = [json.loads(line) for line in (folder / "responses.jsonl").open(encoding="utf-8")]
    texts = {row["prompt"][0]["content"]: row["text"] for row in rows}
    questions = [
        {"id": row["question_id"], "messages": row["prompt"], "document_ids": row["document_ids"]}
        for row in rows
    ]
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    (folder / "questions.jsonl").write_text(lines, encoding="utf-8")

    def answer(body):
        if body["model"] == "judge":
            return judge(body)
        return completion(texts[body["messages"][-1]["content"]])

    return answer


def run_killed_at(processes, folder, answer, moment):
    """Run until request `moment` arrives, then SIGKILL (None: to the end): exit code, requests."""
    started = threading.Event()

    def strike(count):
        if count == moment:
            started.wait(WAIT_S)
            process.kill()

    with ChatServer(answer, on_request=strike) as server:
        process = processes.Process(target=evaluate, args=(folder, server.base_url))
        process.start()
        started.set()
        process.join(WAIT_S)
        # The same question to two models is two calls.
        return process.exitcode, [json.dumps(call.body, sort_keys=True) for call in server.asked]


def test_a_kill_costs_the_call_in_flight_and_changes_no_score(processes, tmp_path):
    whole = tmp_path / "whole"
    code, calls = run_killed_at(processes, whole, make_files(whole), None)
    assert code == 0
    assert len(calls) == len(set(calls)) == NUM_CALLS
    expected = (whole / "evaluation" / "scores.json").read_bytes()
    judged = (whole / "evaluation" / "tuned" / "annotations.jsonl").read_bytes()
    moments = random.Random("kills").sample(range(1, len(calls) + 1), NUM_KILLS)
    for moment in moments:
        folder = tmp_path / f"killed-at-{moment}"
        answer = make_files(folder)
        code, before = run_killed_at(processes, folder, answer, moment)
        assert code == -signal.SIGKILL
        assert not (folder / "evaluation" / "scores.json").exists()
        code, after = run_killed_at(processes, folder, answer, None)
        assert code == 0
        assert (folder / "evaluation" / "scores.json").read_bytes() == expected
        assert (folder / "evaluation" / "tuned" / "annotations.jsonl").read_bytes() == judged
        repeated = Counter(before + after)
        assert repeated.keys() == set(calls)
        # Only the call that was in flight when the process was killed.
        assert sum(repeated.values()) - len(calls) <= 1
    _, again = run_killed_at(processes, whole, make_files(tmp_path / "unused"), None)
    assert again == []
