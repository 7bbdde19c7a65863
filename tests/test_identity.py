"""A served model is known by what its server reports: another one stops the run before a call."""

import json
from dataclasses import replace

import pytest
from judge_server import ScriptedJudge
from judge_support import make_world
from old_store import QUESTIONS
from sample_server import ChatServer, completion

from annotator.calls.identity import AskedModel, describe_served, identify_models
from annotator.calls.store import Store
from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from annotator.models.config import SampleConfig
from annotator.models.served_model import ServedModel
from annotator.sampling.questions import run_questions
from annotator.sampling.questions_config import QuestionsConfig
from annotator.sampling.sample import run_sample
from maskdpo.config import RunConfig
from maskdpo.evaluation.config import EvaluateConfig
from maskdpo.evaluation.run import EvaluationInputs, run_evaluate
from maskdpo.named_judges import PaidCalls, find_judges
from schemas.errors import BackendError, ConfigError
from schemas.files.sidecar import sidecar_path

A = ServedModel(id="m", url="http://a/v1", root="org/a", max_model_len=4096, owned_by="vllm")
B = replace(A, root="org/b")
WEAK = ServedModel(id="m", url="http://a/v1", owned_by="someone")


class Served:
    """A backend that reports `models`."""

    model = "m"

    def __init__(self, *models, revision=None):
        self.models = list(models)
        self.revision = revision

    def fingerprint(self):
        return {"model": self.model, "revision": self.revision}

    def identify(self):
        return self.models


class Refusing(Served):
    def identify(self):
        raise ConfigError("the server refuses the key")


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.sqlite") as opened:
        opened.put_many("judge", {"k": {"text": "a reply"}})
        yield opened


def run(store, backend, *, role="judge", same_model=False):
    """One run on the store; returns its notes."""
    asked = [AskedModel(role=role, setting="annotate.llm", backend=backend)]
    found = identify_models(store, asked, same_model=same_model, count_serving=lambda: 7)
    store.begin_run("annotate", {}, models=found.records)
    return found.notes


def elsewhere(model, name="z"):
    return replace(model, url=f"http://{name}/v1")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (B, "root 'org/a' -> 'org/b'"),
        (replace(A, root=None), r"root 'org/a' -> \(not reported\)"),
        (replace(A, max_model_len=8192), "max_model_len 4096 -> 8192"),
        (replace(A, parent="org/base"), r"parent \(not reported\) -> 'org/base'"),
        (replace(A, owned_by="llamacpp"), "owned_by 'vllm' -> 'llamacpp'"),
        (replace(A, meta={"n_params": 5}), "meta .* -> {'n_params': 5}"),
        (elsewhere(B), "http://z/v1 reports root 'org/a' -> 'org/b'"),
    ],
)
def test_a_swapped_model_behind_one_name_stops(store, changed, said):
    run(store, Served(A))
    with pytest.raises(ConfigError, match=said) as caught:
        run(store, Served(changed))
    message = str(caught.value)
    assert "Up to 7 stored replies" in message
    assert "add --same-model" in message and "--set annotate.llm.revision=NAME" in message
    assert caught.value.exit_code == 2


def test_the_former_model_still_runs_after_a_stop(store):
    run(store, Served(A))
    for _ in range(2):
        with pytest.raises(ConfigError):
            run(store, Served(B))
        assert run(store, Served(A)) == []


def test_same_model_accepts_what_is_served_now_and_before(store):
    run(store, Served(A))
    run(store, Served(B), same_model=True)
    run(store, Served(B))
    run(store, Served(A))
    with pytest.raises(ConfigError):
        run(store, Served(replace(A, root="org/c")))


def test_eight_servers_of_one_model_are_one_model(store):
    run(store, Served(*(elsewhere(A, f"s{n}") for n in range(8))))
    run(store, Served(*(elsewhere(A, f"t{n}") for n in range(3))))
    seven = [elsewhere(A, f"s{n}") for n in range(7)]
    with pytest.raises(ConfigError, match="http://s7/v1 reports root"):
        run(store, Served(*seven, elsewhere(B, "s7")))


def test_servers_of_different_models_stop_even_a_first_run(store):
    with pytest.raises(ConfigError, match=r"serve different models.*base_urls$"):
        run(store, Served(A, elsewhere(B)))
    run(store, Served(A, elsewhere(B)), same_model=True)
    run(store, Served(A, elsewhere(B)))
    run(store, Served(A))  # one of them is down


def test_a_changed_address_counts_only_where_nothing_more_is_reported(store):
    run(store, Served(A))
    run(store, Served(elsewhere(A)))
    other = Served(WEAK)
    other.model = "other"
    run(store, other)
    other.models = [WEAK, elsewhere(WEAK)]
    run(store, other)
    other.models = [elsewhere(WEAK)]
    run(store, other)
    other.models = [elsewhere(WEAK, "y")]
    with pytest.raises(ConfigError, match="base_url http://z/v1 -> http://y/v1, and the server"):
        run(store, other)


def test_with_a_revision_the_user_vouches(store):
    run(store, Served(A))
    run(store, Served(B, revision="2"))
    run(store, Served(A, revision="2"))


@pytest.mark.parametrize("silent", [Served(), Refusing(A)])
def test_what_no_server_reports_is_not_checked_and_noted(store, silent):
    run(store, Served(A))
    (note,) = run(store, silent)
    assert "not checked" in note
    with pytest.raises(ConfigError):  # compared with the last run that was reported of
        run(store, Served(B))


def test_a_model_that_never_was_reported_of_is_no_difference(store):
    assert run(store, Served()) == []
    assert run(store, Served(A)) == []


def test_models_are_compared_by_role_and_name(store):
    run(store, Served(A))
    run(store, Served(B), role="reply")
    renamed = Served(B)
    renamed.model = "other"
    run(store, renamed)


def test_without_a_stored_reply_nothing_is_at_risk(tmp_path):
    with Store(tmp_path / "store.sqlite") as empty:
        run(empty, Served(A))
        run(empty, Served(B))


def test_a_local_model_is_told_apart_by_its_key(store):
    local = ServedModel(id="m", content_sha256="1" * 64)
    run(store, Served(local))
    run(store, Served(replace(local, content_sha256="2" * 64)))


def test_what_is_published_of_a_model_names_no_place():
    path = "/home/ann/models/mine"
    shown = describe_served([replace(A, root=path), replace(elsewhere(A), root=path), B])
    assert shown == [
        {"id": "m", "root": "mine", "max_model_len": 4096, "owned_by": "vllm"},
        {"id": "m", "root": "org/b", "max_model_len": 4096, "owned_by": "vllm"},
    ]
    assert describe_served([ServedModel(id=path, url="http://10.0.0.1/v1")]) == [{"id": "mine"}]


def listing(name, root):
    entry = {"id": name, "root": root, "owned_by": "vllm"}
    return (200, "application/json", json.dumps({"data": [entry]}).encode())


def sample(folder, server, **options):
    (folder / "questions.jsonl").write_text(QUESTIONS, encoding="utf-8")
    urls = [item.base_url for item in server] if isinstance(server, list) else server
    values = {"backend": "openai", "model": "policy", "num_responses": 1, "max_retries": 0}
    values["base_url"] = urls if isinstance(urls, list | str) else urls.base_url
    same_model = options.pop("same_model", False)
    return run_sample(
        SampleConfig.parse(values | options, where="sample"),
        questions=folder / "questions.jsonl",
        output=folder / "responses.jsonl",
        store=folder / "store.sqlite",
        same_model=same_model,
    )


def test_sample_stops_before_a_call_and_writes_no_file(tmp_path):
    with ChatServer(models=listing("policy", "/w/a")) as server:
        sample(tmp_path, server)
    (tmp_path / "responses.jsonl").unlink()
    with ChatServer(models=listing("policy", "/w/b")) as server:
        with pytest.raises(ConfigError, match=r"root '/w/a' -> '/w/b'.* Up to 2 stored"):
            sample(tmp_path, server)
        assert server.asked == []
        assert not (tmp_path / "responses.jsonl").exists()
        assert sample(tmp_path, server, revision="b").counts["from_store"] == 0
        assert len(server.asked) == 2
        assert sample(tmp_path, server, same_model=True).counts["from_store"] == 2
    sidecar = json.loads(sidecar_path(tmp_path / "responses.jsonl").read_text(encoding="utf-8"))
    assert sidecar["served"] == {"policy": [{"id": "policy", "root": "b", "owned_by": "vllm"}]}


def test_a_rerun_without_a_server_serves_what_is_stored(tmp_path):
    with ChatServer(models=listing("policy", "/w/a")) as server:
        sample(tmp_path, server)
    result = sample(tmp_path, "http://127.0.0.1:9/v1")
    assert result.counts["from_store"] == 2
    assert any("not checked" in note for note in result.notes)
    with pytest.raises(BackendError):
        sample(tmp_path, "http://127.0.0.1:9/v1", seed=1)


def annotate(folder, server, **options):
    llm = {"model": "judge", "base_url": server.base_url, "protocol": "sentence"}
    return run_annotate(
        AnnotateConfig.parse({"judge": "llm", "llm": llm}, where="annotate"),
        responses=folder / "responses.jsonl",
        documents=folder / "documents.jsonl",
        output=folder / "annotations.jsonl",
        store=folder / "store.sqlite",
        **options,
    )


def test_annotate_stops_before_a_call_and_its_sidecar_names_the_judge(tmp_path):
    judge = ScriptedJudge(make_world(tmp_path, num_responses=2))
    with ChatServer(judge, models=listing("judge", "/home/ann/a")) as server:
        annotate(tmp_path, server)
    with ChatServer(judge, models=listing("judge", "/home/ann/b")) as server:
        with pytest.raises(ConfigError, match="Up to 8 stored replies"):
            annotate(tmp_path, server)
        annotate(tmp_path, server, same_model=True)
        assert server.asked == []
    text = sidecar_path(tmp_path / "annotations.jsonl").read_text(encoding="utf-8")
    sidecar = json.loads(text)
    assert sidecar["served"] == {"judge": [{"id": "judge", "root": "b", "owned_by": "vllm"}]}
    assert sidecar["prompts"].keys() == {"en", "zh"}
    assert all(len(digest) == 64 for digest in sidecar["prompts"].values())
    assert {"aiohttp", "bm25s", "py3langid", "sentencex"} <= sidecar["packages"].keys()
    assert "/home/ann" not in text


def evaluate(folder, server, judges, **options):
    sample = {"backend": "openai", "base_url": server.base_url, "num_responses": 1}
    judge = {"model": "judge", "base_url": judges.base_url, "protocol": "sentence"}
    return run_evaluate(
        EvaluateConfig(models={"one": "policy"}, num_responses=1),
        {"one": SampleConfig.parse(sample | {"model": "policy"}, where="sample")},
        AnnotateConfig.parse({"judge": "llm", "llm": judge}, where="annotate"),
        EvaluationInputs(
            questions=folder / "questions.jsonl",
            documents=folder / "documents.jsonl",
            output=folder / "evaluation",
            run_store=folder / "store.sqlite",
        ),
        **options,
    )


def test_evaluate_stops_for_a_swapped_judge_before_it_samples(tmp_path):
    judge = ScriptedJudge(make_world(tmp_path, num_responses=2))
    annotate_files = (tmp_path / "responses.jsonl").read_text(encoding="utf-8")
    questions = [
        {"id": row["question_id"], "messages": row["prompt"], "document_ids": row["document_ids"]}
        for row in map(json.loads, annotate_files.splitlines())
    ]
    text = "".join(json.dumps(question) + "\n" for question in questions)
    (tmp_path / "questions.jsonl").write_text(text, encoding="utf-8")
    with ChatServer(judge, models=listing("judge", "/w/a")) as server:
        annotate(tmp_path, server)
    with (
        ChatServer(lambda body: completion("Person 0 kept 7 cats.")) as policy,
        ChatServer(judge, models=listing("judge", "/w/b")) as swapped,
    ):
        with pytest.raises(ConfigError, match=r"annotate\.llm: .* root '/w/a' -> '/w/b'"):
            evaluate(tmp_path, policy, swapped)
        assert policy.asked == swapped.asked == []
        result = evaluate(tmp_path, policy, swapped, same_model=True)
        assert result.counts["responses"] == len(policy.asked) == 2


def test_agreement_stops_for_a_swapped_judge(tmp_path):
    judge = ScriptedJudge(make_world(tmp_path, num_responses=2))
    with ChatServer(judge, models=listing("judge", "/w/a")) as server:
        annotate(tmp_path, server)
    with ChatServer(judge, models=listing("judge", "/w/b")) as server:
        names = {"model": "judge", "base_url": server.base_url}
        values = {"annotate": {"judge": "llm", "llm": names}}
        config = RunConfig(values, where="run.yaml")
        store = tmp_path / "store.sqlite"
        with PaidCalls(path=store) as paid, pytest.raises(ConfigError, match="Up to 8 stored"):
            find_judges([None], config, paid=paid)
        with PaidCalls(path=store, same_model=True) as paid:
            find_judges([None], config, paid=paid)
        with PaidCalls(path=store) as paid:  # accepted
            find_judges([None], config, paid=paid)


def test_questions_stop_for_a_swapped_writer(tmp_path):
    make_world(tmp_path, num_responses=2)

    def ask(server, **options):
        values = {"backend": "openai", "model": "writer", "base_url": server.base_url}
        return run_questions(
            QuestionsConfig.parse(values, where="questions"),
            documents=tmp_path / "documents.jsonl",
            output=tmp_path / "questions.jsonl",
            store=tmp_path / "store.sqlite",
            **options,
        )

    def answer(body):
        return completion("no questions")

    with ChatServer(answer, models=listing("writer", "/w/a")) as server:
        ask(server)
    with ChatServer(answer, models=listing("writer", "/w/b")) as server:
        with pytest.raises(ConfigError, match=r"questions: .* --set questions\.revision=NAME"):
            ask(server)
        ask(server, same_model=True)
        assert server.asked == []
