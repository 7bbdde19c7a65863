"""`--estimate`: what a run would still ask, reported before it asks, and nothing written."""

import json
import sys

import pytest
from judge_server import ScriptedJudge
from judge_support import make_world
from sample_server import ChatServer, completion
from sample_support import write_questions

from annotator.calls.usage import NO_LIMITS, Limits
from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from annotator.judging.runs.estimate import estimate_annotate
from annotator.models.config import SampleConfig
from annotator.sampling.questions import estimate_questions
from annotator.sampling.questions_config import QuestionsConfig
from annotator.sampling.sample import estimate_sample, run_sample
from maskdpo.cli.main import main
from schemas.errors import LimitReachedError

NOWHERE = "http://127.0.0.1:9/v1"  # nothing listens: an estimate that asked would fail


class World:
    """Responses, documents and a store in a folder, judged or estimated."""

    def __init__(self, folder):
        self.folder = folder
        self.truths = make_world(folder)
        self.files = {
            "responses": folder / "responses.jsonl",
            "documents": folder / "documents.jsonl",
            "store": folder / "store.sqlite",
        }

    def config(self, protocol, base_url=NOWHERE, judge="llm", **llm):
        values = {"model": "judge", "base_url": base_url, "protocol": protocol} | llm
        # A judge of these tests may give nothing but useless replies.
        settings = {"judge": judge, "llm": values, "max_useless": 0}
        return AnnotateConfig.parse(settings, where="annotate")

    def estimate(self, protocol, retry_failed=False, **settings):
        config = self.config(protocol, **settings)
        return estimate_annotate(config, **self.files, retry_failed=retry_failed)

    def annotate(self, protocol, *, limits=NO_LIMITS, answer=None, **settings):
        """Run it; returns how many calls arrived."""
        with ChatServer(answer or ScriptedJudge(self.truths)) as server:
            config = self.config(protocol, server.base_url, **settings)
            output = self.folder / "annotations.jsonl"
            try:
                run_annotate(config, **self.files, output=output, limits=limits)
            except LimitReachedError:
                assert limits.max_calls is not None
            return len(server.asked)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.mark.parametrize(
    ("protocol", "settings"),
    [
        ("sentence", {}),
        ("response", {}),
        ("response", {"window": 3}),
        ("sentence", {"votes": 3, "temperature": 0.7}),
        ("response", {"judge": "cascade"}),
    ],
)
def test_the_estimate_is_what_is_then_asked(world, protocol, settings):
    estimate = world.estimate(protocol, **settings)
    assert not world.files["store"].exists()
    assert estimate.num_stored == 0
    assert estimate.num_calls == world.annotate(protocol, **settings) > 0
    done = world.estimate(protocol, **settings)
    assert (done.num_calls, done.tokens.total) == (0, 0)


def test_anah_is_told_as_the_most(world):
    estimate = world.estimate("anah")
    assert estimate.num_calls == 48 * 3
    assert estimate.num_calls > world.annotate("anah") == 108
    assert dict(estimate.rows())["calls to make"] == "at most 144"


@pytest.mark.parametrize("protocol", ["sentence", "response"])
def test_after_a_part_of_the_run_the_rest_is_estimated(world, protocol):
    num_all = world.estimate(protocol).num_calls
    world.annotate(protocol, limits=Limits(max_calls=7))
    rest = world.estimate(protocol)
    assert rest.num_calls == num_all - 7 == world.annotate(protocol)
    # The server's replies have 5 tokens each, and what it reported is believed.
    if protocol == "sentence":
        assert rest.tokens.completion == 5 * rest.num_calls


def test_what_failed_is_owed_only_with_retry_failed(world):
    world.annotate("sentence", answer=lambda body: completion("nonsense"))
    assert world.estimate("sentence").num_calls == 0
    assert world.estimate("sentence", retry_failed=True).num_calls == 48


def test_shared_prefixes_are_counted_and_priced(tmp_path, world):
    prices = {"prompt": 1e6, "cached": 0.0, "completion": 0.0}
    by_sentence = world.estimate("sentence", prices=prices)
    share = by_sentence.tokens.cached / by_sentence.tokens.prompt
    assert 0.5 < share < 1
    assert by_sentence.cost == by_sentence.tokens.prompt - by_sentence.tokens.cached
    assert world.estimate("response").tokens.prompt < by_sentence.tokens.prompt / 2
    assert "USD" in dict(by_sentence.rows())["cost"]


def test_a_judge_without_a_model_owes_nothing(world):
    estimate = world.estimate("sentence", judge="lexical")
    assert estimate.num_calls == 0
    assert "uses no model" in estimate.notes[0]


def test_sampling_is_estimated(tmp_path):
    questions = write_questions(tmp_path / "q.jsonl", 5)
    store = tmp_path / "store.sqlite"

    def config(url):
        values = {"backend": "openai", "model": "policy", "base_url": url, "num_responses": 4}
        return SampleConfig.parse(values | {"max_tokens": 30}, where="sample")

    before = estimate_sample(config(NOWHERE), questions=questions, store=store)
    assert (before.num_calls, before.tokens.completion) == (20, 20 * 30)
    assert before.tokens.cached >= before.tokens.prompt / 2  # four replies to one prompt
    with ChatServer() as server, pytest.raises(LimitReachedError):
        run_sample(
            config(server.base_url),
            questions=questions,
            output=tmp_path / "out.jsonl",
            store=store,
            limits=Limits(max_calls=8),
        )
    after = estimate_sample(config(NOWHERE), questions=questions, store=store)
    assert (after.num_calls, after.num_stored, after.tokens.completion) == (12, 8, 12 * 5)


def test_questions_are_estimated(world):
    values = {"backend": "openai", "model": "writer", "base_url": NOWHERE, "max_tokens": 100}
    estimate = estimate_questions(
        QuestionsConfig.parse(values, where="questions"),
        documents=world.files["documents"],
        store=world.files["store"],
    )
    assert (estimate.num_calls, estimate.tokens.completion) == (12, 1200)
    assert "up to three more" in estimate.notes[0]


@pytest.mark.parametrize("verb", ["annotate", "sample", "questions"])
def test_the_verbs_print_it_and_write_nothing(world, monkeypatch, capsys, verb):
    row = {"id": "q1", "question": "Who is person 1?"}
    (world.folder / "questions.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    section = "annotate.llm" if verb == "annotate" else verb
    settings = {"model": "m", "base_url": NOWHERE, "backend": "openai"}
    sets = [f"{section}.{name}={value}" for name, value in settings.items()]
    sets += ["annotate.judge=llm"] if verb == "annotate" else []
    output = world.folder / "new" / "out.jsonl"
    inputs = {"annotate": ("responses", "documents"), "sample": ("questions",)}
    command = ["maskdpo", verb, "--estimate", "--output", str(output)]
    for name in inputs.get(verb, ("documents",)):
        command += [f"--{name}", str(world.folder / f"{name}.jsonl")]
    for item in sets:
        command += ["--set", item]
    before = sorted(world.folder.rglob("*"))
    monkeypatch.setattr(sys, "argv", command)
    main()
    shown = capsys.readouterr().out
    owed = {"annotate": 12, "sample": 8, "questions": 12}[verb]
    assert f"calls to make: {owed}\n" in shown
    assert sorted(world.folder.rglob("*")) == before
