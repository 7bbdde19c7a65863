"""Limits, prices and estimates of every command that asks a model: nothing is paid past a limit."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_server import ScriptedJudge
from judge_support import make_world
from sample_server import Answer, ChatServer, as_json, completion
from sample_support import write_questions, write_tiny_model

from maskdpo.cli.main import main
from maskdpo.config import load_run_config
from schemas.errors import ConfigError

NUM_PEOPLE = 4
PERSON = re.compile(r"Who is person (\d+)\?")
QUESTION = {
    "question": "Where was person {n} born?",
    "quote": "was born in the town of Karsted-{n}",
}
VERBS = ("annotate", "sample", "questions", "evaluate", "agreement", "domain")
PRICE_KEYS = ("prompt", "completion", "cached", "currency")
PAID = {verb: ["annotate.llm"] for verb in ("annotate", "agreement", "domain")}
PAID |= {"sample": ["sample"], "questions": ["questions"], "evaluate": ["sample", "annotate.llm"]}


class World:
    """Files of a run, and one server that plays the policies, the writer and the judge."""

    def __init__(self, folder: Path, run: Callable[..., tuple[int, str, str]]) -> None:
        self.folder = folder
        self.truths = make_world(folder, num_responses=NUM_PEOPLE)
        self.judge = ScriptedJudge(self.truths)
        self.texts = [row["text"] for row in self.rows("responses")]
        self.write("questions", [question(n) for n in range(NUM_PEOPLE)])
        self.write("gold", [gold(row, documents) for row, documents in self._labelled()])
        self.answer: Callable[[dict[str, Any]], Answer | None] = self.reply
        self.server = ChatServer(self._answer)
        self._run = run

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path(name).read_text().splitlines()]

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def write(self, name: str, rows: list[dict[str, Any]]) -> None:
        self.path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def _labelled(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        documents = {row["id"]: row for row in self.rows("documents")}
        for row in self.rows("responses"):
            yield row, [documents[name] for name in row["document_ids"]]

    def _answer(self, body: dict[str, Any]) -> Answer | None:
        return self.answer(body)  # whatever it is by then

    def reply(self, body: dict[str, Any]) -> Answer:
        if body["model"] == "judge":
            return self.judge(body)
        said = body["messages"][-1]["content"]
        if body["model"] == "writer":
            (n,) = set(re.findall(r"Karsted-(\d+)", said))
            questions = [{name: text.format(n=n) for name, text in QUESTION.items()}]
            return completion(json.dumps({"questions": questions}))
        (n,) = PERSON.findall(said)
        return completion(self.texts[int(n)])

    @property
    def asked(self) -> Counter[str]:
        """Calls that arrived, by model."""
        return Counter(item.body["model"] for item in self.server.asked)

    def command(self, verb: str) -> list[str]:
        """A command on these files, its models asked on the server."""
        url = self.server.base_url
        judge = ["annotate.judge=llm", "annotate.llm.model=judge", f"annotate.llm.base_url={url}"]
        asks = [f"{verb}.backend=openai", f"{verb}.base_url={url}"]
        policy = ["sample.backend=openai", f"sample.base_url={url}", "sample.num_responses=2"]
        documents = ["--documents", str(self.path("documents"))]
        output = ["--output", str(self.path(f"new-{verb}"))]
        questions = ["--questions", str(self.path("questions"))]
        responses = ["--responses", str(self.path("responses"))]
        folder = ["--output", str(self.folder / "new-evaluate")]
        store = ["--store", str(self.folder / "new-domain.sqlite")]
        words, sets = {
            "annotate": ([*responses, *documents, *output], judge),
            "questions": (
                [*documents, "--model", "writer", *output],
                [*asks, "questions.num_questions=1"],
            ),
            "sample": ([*questions, "--model", "policy", *output], policy),
            "evaluate": (
                [*questions, *documents, "--model", "base=base", "--model", "dpo=dpo", *folder],
                [*judge, *policy],
            ),
            "agreement": (["--gold", str(self.path("gold")), *output], judge),
            "domain": (
                ["check", "general", "--dry-run", *responses, *documents, *store],
                judge,
            ),
        }[verb]
        return [verb, *words, *(word for item in sets for word in ("--set", item))]

    def run(self, verb: str, *more: object) -> tuple[int, str, str]:
        return self._run(*self.command(verb), *more)

    def written(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("new-*"))


def question(n: int, **changed: Any) -> dict[str, Any]:
    row = {"id": f"q{n}", "document_ids": [f"d{n}"], "language": "en"}
    return row | {"question": f"Who is person {n}?"} | changed


def gold(row: dict[str, Any], documents: list[dict[str, Any]]) -> dict[str, Any]:
    """A response of the world as people labelled it."""
    labels = ("factual", "hallucinated", "hallucinated", "no_fact")
    ends = [found.end() for found in re.finditer(r"[.!]", row["text"])]
    starts = [0, *(end + 1 for end in ends[:-1])]
    return {
        "id": row["id"],
        "source": "ours",
        "language": "en",
        "group": row["id"],
        "question": "Who is it?",
        "documents": [{"id": item["id"], "text": item["text"]} for item in documents],
        "response": row["text"],
        "sentences": [
            {"start": start, "end": end, "label": label}
            for start, end, label in zip(starts, ends, labels, strict=True)
        ],
    }


def prices(
    verb: str, value: str = "", *, prompt: float = 0.0, completion: float = 0.0
) -> list[str]:
    """--set of the prices of every model that a command asks."""
    pairs = {"prompt": prompt, "completion": completion}
    sets = [f"={value}"] if value else [f".{name}={price}" for name, price in pairs.items()]
    return [
        word
        for section in PAID[verb]
        for item in sets
        for word in ("--set", f"{section}.prices{item}")
    ]


@pytest.fixture
def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["maskdpo", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    made = World(tmp_path, run)
    with made.server:
        yield made


@pytest.mark.parametrize("verb", VERBS)
def test_a_limit_on_cost_without_prices_is_refused_before_the_first_call(
    world: World, verb: str
) -> None:
    code, _, err = world.run(verb, "--max-cost", 20)
    assert code == 2
    section = PAID[verb][0]
    assert f"error: --max-cost 20: the cost is not known, because {section}.prices" in err
    assert f"--set {section}.prices.prompt=0.15 --set {section}.prices.completion=0.60" in err
    assert f"--set {section}.prices=0 where nothing is paid" in err
    assert (world.asked, world.written()) == (Counter(), [])
    if verb == "evaluate":  # the judge is asked last: its prices must be known first
        assert "sample.prices and annotate.llm.prices is not set" in err
        code, _, err = world.run(verb, "--max-cost", 20, "--set", "sample.prices=0")
        assert (code, world.asked) == (2, Counter())
        assert "because annotate.llm.prices is not set" in err


@pytest.mark.parametrize("verb", VERBS)
def test_prices_of_0_are_known_and_the_limit_stops_nothing(world: World, verb: str) -> None:
    code, out, err = world.run(verb, "--max-cost", 0, *prices(verb, completion=0))
    assert code == 0, err
    assert world.asked.total() > 0
    assert "note: --max-cost 0 has no effect: the prices are 0" in err
    assert "USD" not in out + err


@pytest.mark.parametrize("verb", VERBS)
def test_money_is_shown_where_prices_are_known_and_nowhere_else(world: World, verb: str) -> None:
    code, out, err = world.run(verb, "--max-calls", 1)
    if verb != "domain":
        assert code == 3, err
        assert "the next call does not fit max_calls=1: 1 calls were made (8 tokens)" in err
    code, out, err = world.run(verb, *prices(verb, completion=1000))
    assert code == 0, err
    assert re.search(r"cost.* [\d.]+ USD", err)
    code, out, err = world.run(verb, "--retry-failed")
    assert code == 0, err
    assert "USD" not in out + err and "cost" not in out + err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("prices=0.15", "found 0.15; give prompt and completion, per million tokens, or 0"),
        ("prices=true", "'prices' is True"),
        ("prices.prompt=1", "required key 'prices.completion' is missing"),
        ("prices.completion=-1", "greater than or equal to 0"),
    ],
)
def test_prices_are_two_numbers_or_0(world: World, given: str, expected: str) -> None:
    code, _, err = world.run("sample", "--set", f"sample.{given}")
    assert code == 2
    assert expected in err
    assert not world.asked


def test_a_price_that_is_not_given_is_none() -> None:
    from annotator.models.config import SampleConfig

    def read(*sets: str) -> Any:
        config = load_run_config(None, ["sample.model=m", *sets])
        return config.section(SampleConfig, "sample").prices

    assert read() is None
    assert read("sample.prices=0").is_free
    assert not read("sample.prices={prompt: 0, completion: 0, cached: 1}").is_free


def test_one_budget_counts_all_models_and_the_judge(world: World) -> None:
    for limit in (3, 4, 9):
        before = world.asked.total()
        code, _, err = world.run("evaluate", "--max-calls", limit)
        assert code == 3, err
        assert world.asked.total() - before == limit
        assert "no scores were written" in err
    assert not (world.folder / "new-evaluate" / "scores.json").exists()
    code, _, err = world.run("evaluate")
    assert code == 0, err
    # Two replies per question and model; the four texts are judged once in each model's run.
    assert world.asked == {"base": 8, "dpo": 8, "judge": NUM_PEOPLE}
    before = world.asked.total()
    assert world.run("evaluate", "--max-calls", 0)[0] == 0
    assert world.asked.total() == before


def test_a_limit_on_cost_is_on_the_sum_of_what_each_model_costs(world: World) -> None:
    """Every reply is as long as it may be: 20 tokens at 2, and the judge's at 10."""

    def answer(body: dict[str, Any]) -> Answer:
        sent = json.loads(world.reply(body)[2])
        sent["usage"] = {"prompt_tokens": 9, "completion_tokens": body["max_tokens"]}
        return as_json(200, sent)

    world.answer = answer
    sets = ["--set", "sample.max_tokens=20", "--set", "annotate.llm.max_tokens=100"]
    for section, price in (("sample", 2), ("annotate.llm", 10)):
        sets += ["--set", f"{section}.prices={{prompt: 0, completion: {price}}}"]
    # 8 replies of the first model, and two verdicts of four sentences each: the third is too much.
    most = 1e-6 * (8 * 20 * 2 + 2 * 400 * 10)
    code, _, err = world.run("evaluate", "--max-cost", most + 1e-6, *sets)
    assert code == 3, err
    assert world.asked == {"base": 8, "judge": 2}
    assert f"the next call does not fit max_cost={most + 1e-6:g}: 10 calls were made" in err
    assert f", {most:.6f} USD), and the next may take " in err
    assert re.search(r"may take [\d,]+ tokens \(0\.004000 USD\)", err)
    code, _, err = world.run("evaluate", "--max-cost", 1, *sets)
    assert code == 0, err
    assert world.asked == {"base": 8, "dpo": 8, "judge": NUM_PEOPLE}
    rest = 1e-6 * (8 * 20 * 2 + 2 * 400 * 10)
    assert f"{rest:.6f} USD" in err


def test_two_currencies_are_refused(world: World) -> None:
    sets = ["--set", "sample.prices={prompt: 1, completion: 1, currency: EUR}"]
    sets += ["--set", "annotate.llm.prices={prompt: 1, completion: 1}"]
    code, _, err = world.run("evaluate", *sets)
    assert code == 2
    assert "two currencies cannot be added (sample.prices in EUR" in err
    assert "annotate.llm.prices in USD)" in err
    assert not world.asked
    sets = ["--set", "sample.prices={prompt: 0, completion: 0, currency: EUR}", *sets[2:]]
    assert world.run("evaluate", *sets, "--max-calls", 1)[0] == 3  # what is free has no currency


def owed(out: str) -> dict[str, int]:
    """Calls owed by title, from what `--estimate` prints."""
    found = re.findall(r"^(.*):\n  calls to make: (?:at most )?([\d,]+)", out, re.M)
    return {title: int(count.replace(",", "")) for title, count in found}


def test_an_evaluation_is_estimated_before_and_in_the_middle(world: World) -> None:
    sets = ["--set", "annotate.llm.prices={prompt: 1, completion: 1}", "--set", "sample.prices=0"]
    code, out, err = world.run("evaluate", "--estimate", *sets)
    assert code == 0, err
    assert (world.asked, world.written()) == (Counter(), [])
    before = owed(out)
    assert (before["base, responses"], before["dpo, responses"]) == (8, 8)
    # A stand-in of all documents' text has 8 sentences, and those that begin alike are apart.
    assert 8 <= before["base, verdicts"] <= 8 * 8 and before["in all"] == sum(before.values()) / 2
    assert re.search(r"in all:(\n  .*)*cost: about [\d.]+ USD", out)
    assert "are assumed to be up to 512 tokens long" in err

    world.run("evaluate", "--max-calls", 8)  # the responses of the first model, no verdict
    code, out, err = world.run("evaluate", "--estimate", *sets)
    assert owed(out)["base, responses"] == 0
    assert owed(out)["base, verdicts"] == NUM_PEOPLE  # equal texts are judged once
    world.run("evaluate")
    _, out, _ = world.run("evaluate", "--estimate", *sets)
    assert set(owed(out).values()) == {0}


def test_evaluate_asks_failed_calls_again_with_retry_failed(world: World) -> None:
    failing = world.texts[0]

    def answer(body: dict[str, Any]) -> Answer:
        said = json.dumps(body)
        if body["model"] == "base" and "person 0" in said:
            return as_json(400, {"error": {"message": "no"}})
        return world.reply(body)

    world.answer = answer
    sets = ("--set", "annotate.max_failed=1")
    assert world.run("evaluate", *sets)[0] == 0
    world.answer = world.reply
    first = world.asked
    world.run("evaluate", *sets)
    assert world.asked == first
    world.run("evaluate", "--retry-failed", *sets)
    assert world.asked["base"] == first["base"] + 2
    assert failing in (world.folder / "new-evaluate/base/responses.jsonl").read_text()


def test_agreement_is_estimated_limited_shown_and_continued(world: World) -> None:
    code, out, err = world.run("agreement", "--estimate")
    assert code == 0, err
    assert "calls to make: 4\n" in out
    assert (world.asked, world.written()) == (Counter(), [])
    assert not (world.folder / "store.sqlite").exists()
    code, _, err = world.run("agreement", "--max-calls", 3)
    assert code == 3 and world.asked["judge"] == 3
    assert "all replies are kept in" in err and "store.sqlite" in err
    code, _, err = world.run("agreement")
    assert code == 0, err
    assert world.asked["judge"] == 4
    assert re.search(r"agreement: 4 of 4 responses .*calls 1 \| stored 3 \| tokens 0\.0k", err)


def test_a_limit_is_on_both_judges_of_a_comparison(world: World) -> None:
    other = world.folder / "other.yaml"
    url = world.server.base_url
    other.write_text(
        f"annotate: {{judge: llm, llm: {{model: judge, base_url: '{url}', protocol: sentence}}}}"
    )
    command = [word for word in world.command("agreement") if word != "--output"]
    command.remove(str(world.path("new-agreement")))
    compare = [*command, "--set", "annotate.llm.protocol=response"]
    # The override holds for both files, so the second judge differs by its temperature.
    other.write_text(other.read_text().replace("protocol: sentence", "window: 1"))
    code, out, err = world._run(*compare, "--compare", "llm", other, "--estimate")
    assert code == 0, err
    assert sum(owed(out).values()) == 2 * owed(out)["in all"]
    code, _, err = world._run(*compare, "--compare", "llm", other, "--max-calls", 6)
    assert (code, world.asked["judge"]) == (3, 6), err
    assert "6 calls were made" in err


FAILED = as_json(402, {"error": {"message": "Insufficient credits"}})


@pytest.mark.parametrize("verb", ["sample", "questions", "evaluate", "agreement"])
def test_a_small_run_whose_calls_all_fail_ends_with_3(world: World, verb: str) -> None:
    world.answer = lambda body: FAILED
    allowed = ["--set", f"{verb}.max_failed=1"] if verb in ("sample", "questions") else []
    for _ in range(2):  # the failures are stored: a rerun that asks nothing is no success either
        code, out, err = world.run(verb, *allowed)
        assert code == 3, err
        assert "every call of this run failed; the first: http_402: " in err
        assert "Insufficient credits" in err and "--retry-failed" in err
        assert "wrote" not in out
    world.answer = world.reply
    code, _, err = world.run(verb, "--retry-failed")
    assert code == 0, err


@pytest.mark.parametrize(
    ("verb", "model"), [("questions", "writer"), ("agreement", "judge"), ("evaluate", "judge")]
)
def test_a_small_run_without_a_useful_reply_ends_with_3(
    world: World, verb: str, model: str
) -> None:
    prose = completion("I am happy to help!")
    world.answer = lambda body: prose if body["model"] == model else world.reply(body)
    allowed = ["--set", "questions.max_failed=1"] if verb == "questions" else []
    code, out, err = world.run(verb, *allowed)
    assert code == 3, err
    assert re.search(r"none of the \d+ replies could be used; the last one: 'I am happy", err)
    assert "wrote" not in out
    assert not world.path(f"new-{verb}").exists() or verb == "questions"


def test_an_evaluation_that_is_mostly_undetermined_is_written_and_ends_with_1(
    world: World,
) -> None:
    def answer(body: dict[str, Any]) -> Answer:
        useless = body["model"] == "judge" and "mountain 0" not in json.dumps(body)
        return completion("I am happy to help!") if useless else world.reply(body)

    world.answer = answer
    code, _, err = world.run("evaluate")
    assert code == 1, err
    assert "are undetermined" in err and "max_undetermined_share=0.2" in err
    assert (world.folder / "new-evaluate" / "scores.json").exists()


def test_a_judge_whose_calls_all_fail_ends_an_evaluation_with_3(world: World) -> None:
    world.answer = lambda body: FAILED if body["model"] == "judge" else world.reply(body)
    code, _, err = world.run("evaluate")
    assert code == 3
    assert "the first: http_402: " in err
    assert world.asked["dpo"] == 0  # nothing more is paid


@pytest.mark.parametrize("verb", ["sample", "questions"])
def test_an_earlier_output_survives_a_run_in_which_all_failed(world: World, verb: str) -> None:
    world.run(verb)
    path = world.path(f"new-{verb}")
    before = path.read_bytes()
    world.answer = lambda body: FAILED
    code, _, err = world.run(verb, "--set", f"{verb}.seed=7")
    assert code == 3, err
    assert path.read_bytes() == before
    assert path.with_name(f"{path.name}.meta.json").exists()


def test_one_reply_among_failures_is_no_lost_run(world: World) -> None:
    world.answer = lambda body: world.reply(body) if "person 1?" in json.dumps(body) else FAILED
    code, out, err = world.run("sample", "--set", "sample.max_failed=1")
    assert code == 0, err
    assert "wrote" in out
    assert len(world.rows("new-sample")) == 2


@pytest.mark.parametrize(("verb", "total"), [("sample", 8), ("questions", 4)])
def test_what_a_stopped_run_has_is_in_a_partial_file(world: World, verb: str, total: int) -> None:
    code, _, err = world.run(verb, "--max-calls", 0)
    assert code == 3
    assert f"new-{verb}.jsonl is not written" in err
    assert not world.path(f"new-{verb}.partial").exists()
    what = {"sample": "responses", "questions": "questions"}[verb]
    code, _, err = world.run(verb, "--max-calls", 3)
    assert code == 3
    assert f"the 3 {what} so far are in " in err
    assert not world.path(f"new-{verb}").exists()
    partial = world.rows(f"new-{verb}.partial")
    assert len(partial) == 3
    assert world.run(verb)[0] == 0
    assert not world.path(f"new-{verb}.partial").exists()
    rows = world.rows(f"new-{verb}")
    assert len(rows) == total and all(row in rows for row in partial)


def test_a_writer_that_never_writes_questions_is_stopped_early(world: World) -> None:
    documents = [{"id": f"d{n}", "text": f"Karsted-{n} has a bridge."} for n in range(60)]
    world.write("documents", documents)
    world.answer = lambda body: completion("I am happy to help!")
    code, _, err = world.run("questions", "--set", "questions.concurrency=1")
    assert code == 3
    assert "30 replies in a row could not be used; the last one: 'I am happy to help!'" in err
    assert world.asked["writer"] == 30
    before = world.asked.total()
    assert world.run("questions", "--set", "questions.concurrency=1")[0] == 3
    assert world.asked.total() > before  # the documents after those are tried


@pytest.mark.parametrize("verb", ["sample", "evaluate"])
def test_unknown_documents_are_refused_before_sampling(world: World, verb: str) -> None:
    rows = [question(0), question(1, document_ids=["d1", "dd2"]), question(2, document_ids=["zzz"])]
    world.write("questions", rows)
    documents = ["--documents", world.path("documents")] if verb == "sample" else []
    code, _, err = world.run(verb, *documents)
    assert code == 2
    assert "questions.jsonl:2: question 'q1' names document 'dd2', which is not in" in err
    assert "did you mean 'd2'?" in err
    assert "questions.jsonl:3: question 'q2' names document 'zzz'" in err
    assert not world.asked


@pytest.mark.parametrize("verb", ["sample", "evaluate"])
def test_questions_without_documents_are_reported_before_sampling(world: World, verb: str) -> None:
    world.write("questions", [question(0), question(1, document_ids=[]), question(2)])
    documents = ["--documents", world.path("documents")] if verb == "sample" else []
    code, _, err = world.run(verb, *documents, "--max-calls", 0)
    assert code == 3
    assert "note: 1 of 3 questions have no document in" in err
    assert "'q1'" in err and "questions.jsonl:2" in err
    found = "annotate.find_documents=corpus"
    _, _, err = world.run(verb, *documents, "--max-calls", 0, "--set", found)
    assert "no document" not in err


def test_only_the_documents_of_the_run_are_looked_at(world: World) -> None:
    other = world.folder / "runs" / "default"
    other.mkdir(parents=True)
    world.write("runs/default/documents", [{"id": "other", "text": "Other."}])
    assert world.run("sample")[0] == 0  # questions named with --questions, of no known run
    code, _, err = world.run("sample", "--set", "run.dir=runs/default")
    assert code == 2
    assert "runs/default/documents.jsonl" in err


def test_help_names_the_keys_of_nested_sections(world: World) -> None:
    for verb in ("annotate", "agreement"):
        _, out, _ = world._run(verb, "--help")
        names = {line.split()[0] for line in out.splitlines() if line.strip()}
        assert {"llm.params", "llm.extra_body", "llm.window"} <= names
        assert {f"llm.prices.{key}" for key in PRICE_KEYS} <= names
    for verb in ("sample", "questions"):
        words = world._run(verb, "--help")[1].split()
        assert {f"prices.{key}" for key in PRICE_KEYS} <= set(words)
    for verb in VERBS[:-1]:
        words = " ".join(world._run(verb, "--help")[1].split())
        for option in ("--max-calls", "--max-tokens", "--max-cost", "--retry-failed", "--estimate"):
            assert option in words
        assert "in the currency of the setting prices" in words


def test_a_meter_without_prices_refuses_a_limit_on_cost() -> None:
    from annotator.calls.usage import Limits, Meter

    with pytest.raises(ConfigError, match=r"sample\.prices is not set"):
        Meter(limits=Limits(max_cost=1.0), section="sample")


def test_the_bar_moves_within_a_batch_of_a_local_model(
    tmp_path: Path,
) -> None:
    pytest.importorskip("torch")
    from annotator.models.config import SampleConfig
    from annotator.sampling.sample import run_sample
    from schemas.events import Advanced, BatchStep, Ended, Started

    values = {"model": str(write_tiny_model(tmp_path / "tiny")), "max_tokens": 12}
    events: list[object] = []
    run_sample(
        SampleConfig.parse(values | {"num_responses": 3, "device": "cpu"}, where="sample"),
        questions=write_questions(tmp_path / "questions.jsonl", 2),
        output=tmp_path / "responses.jsonl",
        store=tmp_path / "store.sqlite",
        on_event=events.append,
    )
    assert events[0] == Started(stage="sample", total=6, unit="reply")
    assert [item.step for item in events if isinstance(item, BatchStep)][:3] == [1, 2, 3]
    assert sum(item.count for item in events if isinstance(item, Advanced)) == 6
    assert events[-1] == Ended(stage="sample")


def test_the_page_on_judging_lists_every_key_of_the_judge_model() -> None:
    from annotator.judging.llm_config import LlmConfig

    page = (Path(__file__).parent.parent / "docs" / "judge-settings.md").read_text("utf-8")
    tables = page.split("## Settings of annotate.llm", 1)[1].split("\n## ", 1)[0]
    assert [name for name in LlmConfig.model_fields if f"`{name}`" not in tables] == []
