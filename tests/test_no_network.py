"""Nothing leaves this machine except to the servers that a user names: every connect is seen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from judge_server import ScriptedJudge
from sample_server import ChatServer, as_json, completion
from tiny_models import save_model_folder, write_dataset

ROOT = Path(__file__).resolve().parent.parent
# Runs a command line, and writes each name that is looked up and each address that is connected to.
WATCHED = """
import sys
log = open(sys.argv.pop(1), "a", encoding="utf-8")
def watch(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        print("connect", *args[1][:2], file=log, flush=True)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        print("look up", args[0], file=log, flush=True)
sys.addaudithook(watch)
from maskdpo.cli.main import main
main()
"""
DOCUMENT = "Mira Tolvan was born in Karsted. She works as a baker."
ASKED = {"question": "Where was Mira Tolvan born?", "quote": "Mira Tolvan was born in Karsted"}
TRUTHS = {
    "Mira Tolvan was born in Karsted.": ("supported", "Mira Tolvan was born in Karsted"),
    "She works as a sailor.": ("contradicted", "She works as a baker."),
}


@pytest.fixture
def connections(tmp_path, monkeypatch):
    """Run a command in `tmp_path`, Hub clients unrestricted; returns the connections."""
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "connections.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "hub")}
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        environment.pop(name, None)

    def run(*arguments):
        log.write_text("")
        command = [sys.executable, "-c", WATCHED, str(log), *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return set(log.read_text().splitlines())

    return run


class Model:
    """Writer, policy and judge; the policy's answers are right and wrong in turn."""

    def __init__(self):
        self._judge = ScriptedJudge(TRUTHS)
        self._num_answers = 0

    def __call__(self, body):
        text = json.dumps(body["messages"])
        if "<sentence" in text:
            return self._judge(body)
        if text.count(ASKED["question"]):
            self._num_answers += 1
            return completion(list(TRUTHS)[self._num_answers % 2])
        return completion(json.dumps({"questions": [ASKED]}))


def test_the_stages_connect_to_the_configured_server_only(connections, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "mira.txt").write_text(DOCUMENT)
    names = as_json(200, {"data": [{"id": "my-model", "root": "my-model"}]})
    with ChatServer(Model(), models=names) as server:
        model = {"backend": "openai", "base_url": server.base_url, "model": "my-model"}
        config = {
            "run": {"dir": "runs/mine"},
            "questions": {**model, "num_questions": 1},
            "sample": {**model, "num_responses": 2},
            "annotate": {"judge": "llm", "llm": model},
            "build": {"test_share": 0},
        }
        (tmp_path / "run.yaml").write_text(json.dumps(config))
        allowed = {f"connect 127.0.0.1 {server.base_url.rsplit(':', 1)[1].removesuffix('/v1')}"}
        seen = {
            stage: connections(stage, *source, "--config", "run.yaml")
            for stage, *source in (
                *(("ingest", "papers"), ("questions",), ("sample",), ("annotate",)),
                *(("build",), ("validate",)),
            )
        }
    asked = {"questions", "sample", "annotate"}
    assert seen == {stage: allowed if stage in asked else set() for stage in seen}


@pytest.mark.slow
def test_training_and_local_sampling_connect_to_nothing(connections, tmp_path):
    save_model_folder(tmp_path / "policy")
    write_dataset(tmp_path / "dataset")
    assert (
        connections("train", "--dataset", "dataset", "--model", "policy", "--output", "m") == set()
    )
    question = {"id": "q", "topic": "t", "question": "Who is Mira Tolvan?"}
    (tmp_path / "questions.jsonl").write_text(json.dumps(question))
    sample = (
        "sample",
        "--questions",
        "questions.jsonl",
        "--model",
        "./policy",
        "--output",
        "r.jsonl",
    )
    few = ("--set", "sample.num_responses=1", "--set", "sample.max_tokens=4")
    assert connections(*sample, *few) == set()
