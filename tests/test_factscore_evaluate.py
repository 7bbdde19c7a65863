"""`maskdpo evaluate` with FActScore: scores, costs, limits, reruns, and kills at any moment."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, make_run
from factscore_support import CALLS, NUM_PEOPLE, SILENT, FactWorld, by_model
from sample_server import Answer, ChatServer, as_json, completion

from annotator.judging.config import AnnotateConfig
from annotator.models.config import SampleConfig
from maskdpo.cli.main import main
from maskdpo.evaluation import run as evaluation
from maskdpo.evaluation.config import EvaluateConfig
from maskdpo.evaluation.run import EvaluationInputs
from schemas.errors import ConfigError
from schemas.records import Annotation

WAIT_S = 60
# What a run imports at the latest; a name that is not there is left out, and only costs time.
IMPORTED = (
    "pytest.__main__",
    "aiohttp",
    "matplotlib.pyplot",
    "scipy.stats",
    "annotator.models.openai.openai_backend",
    "annotator.judging.llm_judge",
    "maskdpo.cli.commands.evaluate_command",
    "maskdpo.evaluation.run",
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return make_run(monkeypatch, capsys)


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all the rest; two tests read the page."""
    monkeypatch.setattr("maskdpo.evaluation.run.write_report", lambda _path, _inputs: None)


@pytest.fixture
def world(tmp_path: Path) -> FactWorld:
    return FactWorld(tmp_path)


@pytest.fixture
def server(world: FactWorld) -> Iterator[ChatServer]:
    with ChatServer(world.reply) as started:
        yield started


def test_scores_table_and_report(world: FactWorld, server: ChatServer, run: Run) -> None:
    code, out, err = run(*world.command(server.base_url))
    assert code == 0, err
    assert by_model(server.asked) == CALLS
    scores = world.scores()
    base, dpo = (scores["models"][name]["factscore"] for name in ("base", "dpo"))
    assert base["score"] == pytest.approx(0.5 * math.exp(1 - 10 / 4))
    assert dpo["score"] == pytest.approx(1.0 * math.exp(1 - 10 / 2))
    assert (base["init_score"], dpo["init_score"]) == (0.5, 1.0)
    assert (base["respond_ratio"], dpo["respond_ratio"]) == (1.0, 0.75)
    assert (base["facts_per_response"], dpo["facts_per_response"]) == (4.0, 2.0)
    assert (base["num_facts"], base["num_supported"], base["num_unresolved"]) == (16, 8, 0)
    assert base["low"] <= base["score"] <= base["high"]
    (pair,) = scores["factscore"]["pairs"]
    assert pair["num_questions"] == NUM_PEOPLE - 1
    assert pair["difference"] == pytest.approx(dpo["score"] - base["score"])
    assert "FActScore [95%]" in out and "times exp(1 - 10 / facts)" in out
    tables = out.partition("\nwrote ")[0]
    assert max(map(len, tables.splitlines())) <= 80
    page = (world.folder / "new" / "report.html").read_text()
    assert "<h2>FActScore, in percent</h2>" in page
    facts = (world.folder / "new" / "dpo" / "facts.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in facts][:3] == ["q0-0-f0", "q0-0-f1", "q1-0-f0"]
    assert not any(f"q{SILENT}-" in line for line in facts)


@pytest.mark.usefixtures("no_report")
def test_a_rerun_asks_for_nothing_and_writes_the_same_bytes(
    world: FactWorld, server: ChatServer, run: Run
) -> None:
    assert run(*world.command(server.base_url))[0] == 0
    before = len(server.asked), (world.folder / "new" / "scores.json").read_bytes()
    assert run(*world.command(server.base_url), "--max-calls", 0)[0] == 0
    assert (len(server.asked), (world.folder / "new" / "scores.json").read_bytes()) == before


def test_without_it_nothing_changes(world: FactWorld, server: ChatServer, run: Run) -> None:
    assert run(*world.command(server.base_url, facts=False))[0] == 0
    plain = (world.folder / "new" / "scores.json").read_bytes()
    assert b"factscore" not in plain
    assert by_model(server.asked)["writer"] == 0
    assert "FActScore" not in (world.folder / "new" / "report.html").read_text()
    assert run(*world.command(server.base_url))[0] == 0
    scores = world.scores()
    del scores["factscore"]
    for row in scores["models"].values():
        del row["factscore"]
    assert scores == json.loads(plain)
    assert run(*world.command(server.base_url, facts=False), "--max-calls", 0)[0] == 0
    assert (world.folder / "new" / "scores.json").read_bytes() == plain


@pytest.mark.usefixtures("no_report")
def test_a_limit_is_on_the_sum_and_a_rerun_continues(
    world: FactWorld, server: ChatServer, run: Run
) -> None:
    first = NUM_PEOPLE + 4 * NUM_PEOPLE  # replies and verdicts of the first model
    for limit, writers in ((first + 5, 5), (9, 3 * NUM_PEOPLE), (6, 3 * NUM_PEOPLE)):
        before = len(server.asked)
        code, _, err = run(*world.command(server.base_url), "--max-calls", limit)
        assert code == 3 and "no scores were written" in err
        assert len(server.asked) - before == limit
        assert by_model(server.asked)["writer"] == writers
    assert run(*world.command(server.base_url))[0] == 0
    assert by_model(server.asked) == CALLS


def owed(out: str) -> dict[str, int]:
    found = re.findall(r"^(.*):\n  calls to make: (?:at most )?([\d,]+)", out, re.M)
    return {title: int(count.replace(",", "")) for title, count in found}


@pytest.mark.usefixtures("no_report")
def test_the_estimate_counts_facts_and_their_verdicts(
    world: FactWorld, server: ChatServer, run: Run
) -> None:
    command = world.command(server.base_url)
    code, out, err = run(*command, "--estimate")
    assert code == 0, err
    assert not server.asked
    before = owed(out)
    assert before["base, facts"] > 0 and before["base, verdicts on facts"] > 0
    assert before["in all"] == sum(before.values()) / 2
    assert run(*world.command(server.base_url, facts=False))[0] == 0
    _, out, _ = run(*command, "--estimate")
    after = owed(out)
    assert (after["base, facts"], after["dpo, facts"]) == (3 * NUM_PEOPLE, NUM_PEOPLE - 1)
    assert after["base, verdicts"] == 0
    assert run(*command)[0] == 0
    _, out, _ = run(*command, "--estimate")
    assert set(owed(out).values()) == {0}


@pytest.mark.usefixtures("no_report")
def test_prices_of_the_writer_count(world: FactWorld, server: ChatServer, run: Run) -> None:
    free = ["--set", "sample.prices=0", "--set", "annotate.llm.prices=0"]
    code, _, err = run(*world.command(server.base_url), *free, "--max-cost", 1)
    assert code == 2 and "evaluate.factscore.writer" in err
    assert not server.asked
    price = ["--set", "evaluate.factscore.writer.prices={prompt: 1, completion: 1}"]
    code, out, err = run(*world.command(server.base_url), *free, *price, "--estimate")
    assert code == 0 and re.search(r"in all:(\n  .*)*cost: about [\d.]+ USD", out)


@pytest.mark.usefixtures("no_report")
def test_true_takes_the_judge_as_writer(world: FactWorld, run: Run) -> None:
    def reply(body: dict[str, Any]) -> Answer:
        is_writer = "atomic facts" in body["messages"][0]["content"]
        return world.reply(body | {"model": "writer"} if is_writer else body)

    with ChatServer(reply) as server:
        command = [*world.command(server.base_url, facts=False), "--set", "evaluate.factscore=true"]
        code, _, err = run(*command)
        assert code == 0, err
        assert by_model(server.asked)["judge"] == CALLS["judge"] + CALLS["writer"]
    assert world.scores()["models"]["base"]["factscore"]["init_score"] == 0.5


@pytest.mark.usefixtures("no_report")
def test_sentences_as_facts_need_no_writer(world: FactWorld, server: ChatServer, run: Run) -> None:
    command = world.command(server.base_url, facts=False)
    command += [
        "--set",
        "evaluate.factscore.facts=sentences",
        "--set",
        "evaluate.factscore.gamma=0",
    ]
    code, out, err = run(*command)
    assert code == 0, err
    base = world.scores()["models"]["base"]["factscore"]
    assert (base["score"], base["init_score"], base["facts_per_response"]) == (1 / 3, 1 / 3, 3.0)
    assert by_model(server.asked)["writer"] == 0 and "no penalty" in out


@pytest.mark.usefixtures("no_report")
def test_the_estimate_knows_sentences_with_line_breaks_as_facts(world: FactWorld, run: Run) -> None:
    """The judge reads such a sentence as it is, and as a fact with single spaces."""
    for sentence in [text for text in world.truths if " kept " in text]:
        world.truths[sentence.replace(" kept ", " kept\n  ")] = world.truths[sentence]

    def reply(body: dict[str, Any]) -> Answer:
        if body["model"] == "judge":
            return world.reply(body)
        n = int(re.findall(r"person (\d+)", body["messages"][-1]["content"])[-1])
        return completion(world.text("base", n).replace(" kept ", " kept\n  "))

    with ChatServer(reply) as server:
        command = world.command(server.base_url, facts=False)
        command += ["--set", "evaluate.factscore.facts=sentences"]
        code, _, err = run(*command)
        assert code == 0, err
        _, out, _ = run(*command, "--estimate")
    facts = (world.folder / "new" / "base" / "facts.jsonl").read_text().splitlines()
    assert "Person 0 kept 7 cats." in [json.loads(line)["text"] for line in facts]
    assert set(owed(out).values()) == {0}


@pytest.mark.usefixtures("no_report")
def test_a_rule_finds_the_facts_of_a_closed_world(world: FactWorld, server: ChatServer) -> None:
    def towns_and_cats(annotation: Annotation) -> list[str]:
        n = int(annotation.question_id.removeprefix("q"))
        return [f"Karsted-{n} is a town.", f"Person {n} kept {n + 7} cats."] if n else []

    url = server.base_url
    llm = {"model": "judge", "base_url": url, "protocol": "sentence"}
    inputs = EvaluationInputs(
        questions=world.folder / "questions.jsonl",
        documents=world.folder / "documents.jsonl",
        output=world.folder / "new",
        find_facts=towns_and_cats,
    )
    evaluation.run_evaluate(
        EvaluateConfig.parse({"models": {"base": "base"}, "factscore": True}, where="evaluate"),
        {"base": SampleConfig(model="base", backend="openai", base_url=url, num_responses=1)},
        AnnotateConfig.parse({"judge": "llm", "llm": llm}, where="annotate"),
        inputs,
    )
    scores = world.scores()
    base = scores["models"]["base"]["factscore"]
    assert (base["init_score"], base["respond_ratio"]) == (0.5, 0.75)
    assert scores["factscore"]["facts"] == "by a rule"
    assert by_model(server.asked)["writer"] == 0


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["annotate.judge=lexical", "evaluate.factscore=true"], "factscore.facts=sentences"),
        (["evaluate.factscore=maybe"], "factscore"),
        (["evaluate.factscore.gamma=-1"], "gamma"),
        (["annotate.judge=replay", "annotate.replay.annotations=x", "evaluate.factscore=true"],
         "recorded sentences"),
    ],
)  # fmt: skip
def test_wrong_settings_stop_before_the_first_call(
    world: FactWorld, server: ChatServer, run: Run, sets: list[str], said: str
) -> None:
    words = ["evaluate", "--questions", world.folder / "questions.jsonl"]
    words += ["--documents", world.folder / "documents.jsonl", "--model", "base=base"]
    words += ["--output", world.folder / "new"]
    given = ["sample.backend=openai", f"sample.base_url={server.base_url}", *sets]
    code, _, err = run(*words, *(word for item in given for word in ("--set", item)))
    assert code == 2 and said in err
    assert not server.asked


def test_true_and_false_are_settings() -> None:
    def read(value: Any) -> Any:
        return EvaluateConfig.parse({"models": {"m": "x"}, "factscore": value}, where="evaluate")

    assert read(True).factscore.gamma == 10.0 and read({}).factscore.gamma == 10.0
    assert read(False).factscore is None and read(None).factscore is None
    with pytest.raises(ConfigError, match="gama"):
        read({"gama": 3})


@pytest.mark.usefixtures("no_report")
def test_facts_that_cannot_be_read_are_unresolved(world: FactWorld, run: Run) -> None:
    """One sentence whose facts no reply gives, and one fact that the judge cannot decide."""

    def reply(body: dict[str, Any]) -> Answer:
        said = json.dumps(body["messages"])
        if body["model"] == "writer" and "kept 7 cats.\\n</sentence>" in said:
            return completion("It says that he kept cats.")
        if body["model"] == "judge" and "Karsted-1 is a town." in said:
            return completion("no verdict")
        return world.reply(body)

    with ChatServer(reply) as server:
        sets = ["--set", "annotate.max_undetermined_share=1"]
        code, out, err = run(*world.command(server.base_url), *sets)
    assert code == 0, err
    base = world.scores()["models"]["base"]["factscore"]
    assert (base["num_facts"], base["num_supported"]) == (4 * NUM_PEOPLE, 2 * NUM_PEOPLE - 1)
    assert (base["num_unresolved"], base["num_unread_sentences"]) == (2, 1)
    row = next(line for line in out.splitlines() if line.startswith("base") and line.endswith("1"))
    assert row.split()[-2:] == ["2", "1"]


@pytest.mark.usefixtures("no_report")
def test_models_that_never_respond_have_no_score(world: FactWorld, run: Run) -> None:
    def reply(body: dict[str, Any]) -> Answer:
        policy = body["model"] in ("base", "dpo")
        return completion("I do not know.") if policy else world.reply(body)

    with ChatServer(reply) as server:
        code, out, err = run(*world.command(server.base_url))
        assert code == 0, err
        assert by_model(server.asked)["writer"] == 0
    rows = [row["factscore"] for row in world.scores()["models"].values()]
    assert {row["score"] for row in rows} == {None} and {row["respond_ratio"] for row in rows} == {
        0
    }
    assert "No FActScore for base, dpo: no response states a fact" in out
    assert "nan" not in (world.folder / "new" / "scores.json").read_text().lower()


@pytest.mark.usefixtures("no_report")
def test_equal_models_do_not_differ(world: FactWorld, server: ChatServer, run: Run) -> None:
    command = [word.replace("dpo=dpo", "dpo=base") for word in world.command(server.base_url)]
    assert run(*command)[0] == 0
    (pair,) = world.scores()["factscore"]["pairs"]
    assert (pair["difference"], pair["low"], pair["high"], pair["p"]) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.usefixtures("no_report")
def test_a_writer_whose_calls_all_fail_stops_the_run(world: FactWorld, run: Run) -> None:
    def reply(body: dict[str, Any]) -> Answer:
        if body["model"] == "writer":
            return as_json(400, {"error": {"message": "no facts today"}})
        return world.reply(body)

    with ChatServer(reply) as server:
        code, _, err = run(*world.command(server.base_url))
    assert code == 3 and "no facts today" in err
    assert not (world.folder / "new" / "scores.json").exists()


def evaluate(command: list[str]) -> None:
    """One run in a process of its own."""
    os.environ["OPENAI_API_KEY"] = "none"
    sys.argv = ["maskdpo", *command]
    evaluation.write_report = lambda _path, _inputs: None
    main()


def killed_at(world: FactWorld, moment: int | None) -> tuple[int | None, list[str]]:
    """Run until request `moment` arrives, then SIGKILL (None: to the end): exit code, bodies."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    started = threading.Event()

    def strike(count: int) -> None:
        if count == moment:
            started.wait(WAIT_S)
            process.kill()

    with ChatServer(world.reply, on_request=strike) as server:
        process = context.Process(target=evaluate, args=(world.command(server.base_url),))
        process.start()
        started.set()
        process.join(WAIT_S)
        return process.exitcode, [json.dumps(item.body, sort_keys=True) for item in server.asked]


def test_a_killed_evaluation_continues_and_asks_nothing_twice(tmp_path: Path) -> None:
    """Killed in each of its stages; only what was in flight at the kill is asked again."""
    whole = FactWorld(tmp_path)
    code, bodies = killed_at(whole, None)
    assert code == 0 and len(bodies) == sum(CALLS.values())
    expected = (whole.folder / "new" / "scores.json").read_bytes()
    # Among the facts of the first model, the verdicts on them, and those of the second.
    for moment in (25, 40, len(bodies) - 2):
        folder = tmp_path / str(moment)
        folder.mkdir()
        world = FactWorld(folder)
        code, before = killed_at(world, moment)
        assert code == -signal.SIGKILL
        assert not (folder / "new" / "scores.json").exists()
        code, after = killed_at(world, None)
        assert code == 0
        assert (folder / "new" / "scores.json").read_bytes() == expected
        asked = Counter(before + after)
        assert set(asked) == set(bodies)
        assert asked.total() - len(bodies) <= 16  # the concurrency: those in flight
