"""--metrics of every command that calls a model: equal to what sidecar, store and server say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from command_line import make_run
from judge_server import asked_sentences
from metrics_text import Samples, faults_for_textfile, read_text
from sample_server import Answer, ChatServer, as_json
from test_money import World, prices

from annotator.calls.store import Store

UNDETERMINED = ("--set", "annotate.max_undetermined_share=1")  # they are no fault of the run
VERBS = ("annotate", "sample", "questions", "evaluate", "agreement")


@pytest.fixture
def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    made = World(tmp_path, make_run(monkeypatch, capsys))
    with made.server:
        yield made


def read(world: World, name: str = "run.prom") -> Samples:
    text = (world.folder / name).read_bytes()
    assert faults_for_textfile(text.decode()) == []
    return read_text(text)


def total(found: Samples, name: str) -> float:
    return sum(value for key, value in found.items() if key[0] == f"maskdpo_{name}")


def labelled(found: Samples, name: str, place: int = 1) -> Mapping[str, float]:
    """The samples of a family that are not 0, by the value of one label."""
    return {
        key[place]: value for key, value in found.items() if key[0] == f"maskdpo_{name}" and value
    }


def sidecar(path: Path) -> dict[str, int]:
    return json.loads(path.with_name(f"{path.name}.meta.json").read_text())["counts"]


def with_faults(world: World) -> Counter[str]:
    """The server fails: the first call about person 0 once, every call about person 1."""
    seen = Counter[str]()

    def answer(body: dict[str, Any]) -> Answer | None:
        ((person, *_),) = {text.split()[1] for _, text in asked_sentences(body)[:1]}
        seen[person] += 1
        if person == "0" and seen[person] == 1:
            return as_json(500, {"error": {"message": "try again"}})
        if person == "1":
            return as_json(400, {"error": {"message": "no"}})
        return world.reply(body)

    world.answer = answer
    return seen


def test_counts_equal_the_sidecar_the_store_and_the_server(world: World) -> None:
    rows = world.rows("responses")
    cut = rows[2] | {"id": "cut", "text": f"{rows[2]['text']} And then", "finish_reason": "length"}
    empty, equal = rows[0] | {"id": "empty", "text": " "}, rows[3] | {"id": "equal"}
    world.write("responses", [*rows, equal, empty, cut])
    seen = with_faults(world)
    options = (*prices("annotate", prompt=10, completion=1000), "--metrics", "run.prom")
    options += (*UNDETERMINED, "--set", "annotate.max_failed=0.5")
    code, _, err = world.run("annotate", *options)
    assert code == 0, err
    found, counts = read(world), sidecar(world.path("new-annotate"))
    judge = ("default", "judge")

    assert counts["calls"] == 5 and counts["failed"] == 1
    assert found["maskdpo_calls_total", *judge] == counts["calls"]
    assert found["maskdpo_calls_from_store_total", *judge] == counts["calls_from_store"] == 0
    assert labelled(found, "calls_failed_total", 2) == {"http_400": 1}
    assert labelled(found, "calls_retried_total", 2) == {"http_500": 1}
    assert seen.total() == counts["calls"] + total(found, "calls_retried_total")
    assert found["maskdpo_calls_under_way", *judge] == 0

    with Store(world.folder / "store.sqlite") as store:
        num_replies = store.count("judge", failed=False)
        assert store.count("judge", failed=True) == total(found, "calls_failed_total")
    assert num_replies == found["maskdpo_call_seconds_count", *judge] == 4
    assert labelled(found, "tokens_total") == {"prompt": 12, "completion": 20}
    assert labelled(found, "cost_total") == {"USD": pytest.approx((12 * 10 + 20 * 1000) / 1e6)}

    assert found["maskdpo_rows_found_total", *judge] == counts["responses"] == 7
    rows_by_outcome = {"done": counts["responses"] - counts["failed"], "failed": counts["failed"]}
    assert labelled(found, "rows_total", 2) == rows_by_outcome
    labels = {name[6:]: count for name, count in counts.items() if name.startswith("label_")}
    assert labelled(found, "sentences_total") == labels
    assert labels["undetermined"] == 4 + 1  # without a reply, and cut off
    assert total(found, "sentences_total") == counts["sentences"]


def test_a_rerun_makes_no_call_and_counts_the_store(world: World) -> None:
    with_faults(world)
    more = (*UNDETERMINED, "--metrics", "run.prom")
    assert world.run("annotate", *more)[0] == 0
    before = read(world)
    assert world.run("annotate", *more)[0] == 0
    found, counts = read(world), sidecar(world.path("new-annotate"))
    for name in ("calls_total", "tokens_total", "calls_retried_total", "call_seconds_count"):
        assert total(found, name) == 0 < total(before, name)
    assert total(found, "calls_from_store_total") == counts["calls_from_store"] == 4
    for name in ("rows_total", "sentences_total"):
        assert labelled(found, name) == labelled(before, name)


@pytest.mark.parametrize("verb", VERBS)
def test_each_command_counts_its_calls(world: World, verb: str) -> None:
    code, _, err = world.run(verb, *prices(verb, completion=1000), "--metrics", "run.prom")
    assert code == 0, err
    found, asked = read(world), world.asked
    users = {
        "annotate": {("default", "judge"): asked["judge"]},
        "agreement": {("first", "judge"): asked["judge"]},
        "sample": {("default", "policy"): asked["policy"]},
        "questions": {("default", "writer"): asked["writer"]},
        "evaluate": {
            ("base", "policy"): asked["base"],
            ("dpo", "policy"): asked["dpo"],
            ("default", "judge"): asked["judge"],
        },
    }[verb]
    calls = {key[1:]: value for key, value in found.items() if key[0] == "maskdpo_calls_total"}
    assert calls == users and all(users.values())
    assert total(found, "cost_total") == pytest.approx(5e-3 * asked.total())
    assert total(found, "tokens_total") == 8 * asked.total()
    assert labelled(found, "run_state") == {"done": 1}
    num_rows = {"annotate": 4, "agreement": 4, "sample": 8, "questions": 4, "evaluate": 32}[verb]
    assert total(found, "rows_found_total") == total(found, "rows_total") == num_rows
    assert labelled(found, "rows_total", 2).keys() == {"done"}


def test_a_run_at_a_limit_has_stopped_and_a_failed_one_has_failed(world: World) -> None:
    code, _, _ = world.run("annotate", "--max-calls", 1, "--metrics", "run.prom")
    found = read(world)
    assert (code, labelled(found, "run_state")) == (3, {"stopped": 1})
    assert total(found, "calls_total") == 1
    world.answer = lambda body: as_json(400, {"error": {"message": "no"}})
    code, _, _ = world.run("annotate", "--metrics", "run.prom")
    found = read(world)
    assert (code, labelled(found, "run_state")) == (1, {"failed": 1})  # too much is undetermined
    assert labelled(found, "calls_failed_total", 2) == {"http_400": 3}


def test_servers_are_counted_apart_and_their_refusals_too(world: World) -> None:
    seen = Counter[str]()

    def refuse_once(body: dict[str, Any]) -> Answer | None:
        said = body["messages"][-1]["content"]
        seen[said] += 1
        is_first = seen[said] == 1
        return as_json(429, {"error": {"message": "full"}}) if is_first else world.reply(body)

    with ChatServer(refuse_once) as other:
        urls = f"annotate.llm.base_urls=[{world.server.base_url}, {other.base_url}]"
        code, _, err = world.run("annotate", "--set", urls, "--metrics", "run.prom")
    assert code == 0, err
    found = read(world)
    asked = {urlsplit(item.base_url).netloc: len(item.asked) for item in (world.server, other)}
    refused = {urlsplit(other.base_url).netloc: len(seen)}
    assert all(asked.values()) and all(refused.values())
    assert labelled(found, "server_sent_total", 3) == asked
    assert labelled(found, "server_refused_total", 3) == refused
    assert labelled(found, "calls_retried_total", 2) == {"http_429": len(seen)}
    assert total(found, "calls_total") == sum(asked.values()) - len(seen) == 4
    assert total(found, "server_calls") == total(found, "server_waiting") == 0


def test_the_preview_is_counted_once(world: World) -> None:
    options = ("--preview", 2, "--yes", "--metrics", "run.prom")
    assert world.run("annotate", *options)[0] == 0
    found = read(world)
    assert total(found, "calls_total") == world.asked.total() == 4
    assert total(found, "calls_from_store_total") == 2
    assert total(found, "rows_total") == 4


def test_the_baseline_counts_rows_and_sentences(world: World) -> None:
    options = ("--set", "annotate.judge=lexical", "--metrics", "run.prom")
    assert world.run("annotate", *options)[0] == 0
    found, counts = read(world), sidecar(world.path("new-annotate"))
    assert world.asked.total() == total(found, "calls_total") == 0
    assert total(found, "rows_total") == 4
    labels = {name[6:]: count for name, count in counts.items() if name.startswith("label_")}
    assert labelled(found, "sentences_total") == labels


def test_the_file_may_come_from_the_run_config(world: World) -> None:
    (world.folder / "run.yaml").write_text("run: {metrics: deep/folder/run.prom}\n")
    assert world.run("annotate", "--config", "run.yaml", "--estimate")[0] == 0
    assert not (world.folder / "deep").exists()
    assert world.run("annotate", "--config", "run.yaml")[0] == 0
    assert total(read(world, "deep/folder/run.prom"), "calls_total") == 4


def test_parts_have_files_of_their_own_whose_counts_add_up(world: World) -> None:
    (world.folder / "run.yaml").write_text("run: {metrics: run.prom}\n")
    for number in (1, 2):
        code, _, err = world.run("annotate", "--config", "run.yaml", "--shard", f"{number}/2")
        assert code == 0, err
    assert not (world.folder / "run.prom").exists()
    parts = [read(world, f"run-0000{number}-of-00002.prom") for number in (1, 2)]
    for name in ("calls_total", "rows_found_total", "rows_total"):
        assert sum(total(part, name) for part in parts) == 4
    assert all(total(part, "calls_total") for part in parts)


def test_a_file_that_is_something_else_is_refused_before_a_call(world: World) -> None:
    code, _, err = world.run("annotate", "--metrics", world.path("responses"))
    assert code == 2 and "is also --responses; name another file" in err
    (world.folder / "notes.txt").write_text("mine")
    code, _, err = world.run("annotate", "--metrics", "notes.txt")
    assert code == 2 and "is not a file that maskdpo wrote, and it is not overwritten" in err
    assert "--metrics FILE" in err
    assert world.asked.total() == 0 and world.written() == []


# Where tests run in the background, SIGINT is ignored, and children inherit that.
CALL_MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from maskdpo.cli.main import main
main()
"""


def test_ctrl_c_is_the_last_state(world: World) -> None:
    process: subprocess.Popen[bytes] | None = None
    has_ended = threading.Event()
    is_sent = threading.Lock()

    def answer(body: dict[str, Any]) -> Answer | None:
        assert process is not None
        if is_sent.acquire(blocking=False):  # once: several requests are under way
            os.kill(process.pid, signal.SIGINT)
        has_ended.wait(120)
        return None

    world.answer = answer
    command = [sys.executable, "-c", CALL_MAIN, *world.command("annotate")]
    process = subprocess.Popen(
        [*command, "--metrics", "run.prom"], stderr=subprocess.PIPE, cwd=world.folder
    )
    _, err = process.communicate(timeout=120)
    has_ended.set()
    assert process.returncode not in {0, None} and b"Traceback" not in err
    found = read(world)
    assert labelled(found, "run_state") == {"stopped": 1}
    assert total(found, "calls_total") >= 1
    assert total(found, "calls_under_way") == 0
