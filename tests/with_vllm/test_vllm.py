"""Real vllm: sampling, structured outputs and judging, in process and over HTTP.

Run by `make test-vllm` in vllm's own environment; the default run does not collect this folder.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("vllm")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

from jsonschema import Draft202012Validator
from sample_support import write_questions
from vllm_support import serve, write_servable_model

from annotator.calls.stored_calls import unpack
from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from annotator.models.backend import Decoding, Reply, Request, RequestFailure
from annotator.models.config import ModelConfig, SampleConfig
from annotator.models.make_backend import make_backend
from annotator.sampling.sample import run_sample
from schemas.files.jsonl import read_records
from schemas.labels import Label
from schemas.records import Annotation, Message, Response

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "enum": ["supported", "contradicted", "不确定"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
        "sure": {"type": "boolean"},
    },
    "required": ["label", "count", "sure"],
    "additionalProperties": False,
}
DOCUMENTS = [
    {"id": "d0", "text": "Ada Ling was born in Lima in 1871. She wrote eleven novels."},
    {"id": "d1", "text": "河流发源于北方，全长1204公里。冬天常常结冰。", "language": "zh"},
]
# Why a reply that came is of no use; all else would be a fault of ours or of the server.
SAID = (None, "unparsable", "ambiguous", "cut_off", "empty_reply", "wrong_ids")
RESPONSES = [
    ("r0", "d0", "en", "Ada Ling was born in Lima. She wrote twelve novels."),
    ("r1", "d1", "zh", "河流发源于南方。它全长1204公里。"),
    ("r2", "d0", "en", "She was born in 1871. She was a lawyer. She lived in Oslo."),
    ("r3", "d1", "zh", "冬天河流结冰。它流入海洋。"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model whose own generation defaults would make all samples of a question one text."""
    folder = write_servable_model(tmp_path_factory.mktemp("models") / "tiny")
    path = folder / "generation_config.json"
    own = json.loads(path.read_text(encoding="utf-8"))
    own |= {"do_sample": True, "top_k": 1, "repetition_penalty": 1.3}
    path.write_text(json.dumps(own), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def here(model):
    """Settings of the model in this process."""
    return {
        "backend": "vllm",
        "model": str(model),
        "dtype": "float32",
        "batch_size": 8,
        "engine": {"enforce_eager": True, "max_model_len": 12_000},
    }


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    """Settings of the same model behind vllm's own server."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with serve(model, name="tiny", log=log) as base_url:
        yield {"backend": "openai", "model": "tiny", "base_url": base_url, "concurrency": 8}


def sample(folder, settings):
    write_questions(folder / "questions.jsonl", 6)
    values = {"num_responses": 3, "max_tokens": 24} | settings
    result = run_sample(
        SampleConfig.parse(values, where="sample"),
        questions=folder / "questions.jsonl",
        output=folder / "responses.jsonl",
        store=folder / "calls.db",
    )
    return result, read_records(result.output, Response)


def check_sampling(folder, settings):
    first, responses = sample(folder, settings)
    content = first.output.read_bytes()
    assert first.counts["asked"] == 18
    assert not first.counts["failed"]
    assert first.counts["from_store"] == 0
    assert {response.model for response in responses} == {"tiny"}
    assert len({response.text for response in responses}) > 12
    again, _ = sample(folder, settings)
    assert again.counts["from_store"] == 18
    assert again.output.read_bytes() == content


def ask(backend, requests):
    """Everything through plan and generate; answers outcomes by id, and the groups' ids."""
    groups = backend.plan(requests)
    waiting = list(groups)

    def take(limit):
        taken, waiting[:] = waiting[:limit], waiting[limit:]
        return taken

    found = {item.id: outcome for done in backend.generate(take) for item, outcome in done}
    return found, [[item.id for item in group] for group in groups]


def request(name, text, **decoding):
    values = {"max_tokens": 128, "temperature": 1.0} | decoding
    return Request(
        id=name,
        messages=(Message(role="user", content=text),),
        seed=sum(map(ord, name)),
        decoding=Decoding(**values),
    )


def check_structured(backend):
    asked = [
        request(f"s{n}", f"Document: {DOCUMENTS[n % 2]['text'] * 5}\nNumber {n}?", schema=SCHEMA)
        for n in range(12)
    ]
    found, _ = ask(backend, asked)
    assert len(found) == 12
    for outcome in found.values():
        assert isinstance(outcome, Reply), outcome
        assert outcome.finish_reason == "stop"
        Draft202012Validator(SCHEMA).validate(json.loads(outcome.text))
        assert outcome.prompt_tokens > 50
        assert 0 < outcome.completion_tokens <= 128
    assert sum(outcome.cached_tokens or 0 for outcome in found.values()) > 0
    labels = {json.loads(outcome.text)["label"] for outcome in found.values()}
    assert len(labels) > 1


def check_logprobs(backend):
    """The tokens spell the reply, Chinese characters of several tokens included."""
    names = [f"p{n}" for n in range(6)]
    asked = [request(name, "Is it true?", logprobs=True, schema=SCHEMA) for name in names]
    found, _ = ask(backend, asked)
    assert any("不确定" in outcome.text for outcome in found.values())
    for reply in found.values():
        assert isinstance(reply, Reply)
        assert reply.logprobs
        assert all(value <= 0.0 for _, value in reply.logprobs)
        assert "".join(text for text, _ in reply.logprobs).startswith(reply.text)


def judge(folder, settings, protocol):
    rows = [
        {
            "id": name,
            "question_id": name,
            "topic": "t",
            "language": language,
            "document_ids": [document],
            "prompt": [{"role": "user", "content": "Tell me."}],
            "text": text,
            "model": "m",
            "finish_reason": "stop",
        }
        for name, document, language, text in RESPONSES
    ]
    for name, values in (("documents", DOCUMENTS), ("responses", rows)):
        lines = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    llm = settings | {"protocol": protocol, "max_tokens": 192, "temperature": 0.7}
    llm |= {"evidence": "keep"}  # a random model quotes nothing that is there
    return run_annotate(
        AnnotateConfig.parse({"judge": "llm", "llm": llm}, where="annotate"),
        responses=folder / "responses.jsonl",
        documents=folder / "documents.jsonl",
        output=folder / "annotations.jsonl",
        store=folder / "calls.db",
    )


def judge_replies(folder):
    with closing(sqlite3.connect(folder / "calls.db")) as store:
        rows = store.execute("SELECT value FROM calls WHERE kind = 'judge'").fetchall()
    replies = [unpack(json.loads(value)) for (value,) in rows]
    return [reply for reply in replies if isinstance(reply, Reply)]


def check_judging(folder, settings, protocol):
    """A random judge is seldom usable; every sentence has a label, or the reason why not."""
    result = judge(folder, settings, protocol)
    assert result.counts["judged"] == 4
    assert result.counts["sentences"] == 9
    annotations = read_records(result.output, Annotation)
    verdicts = [item.verdict for row in annotations for item in row.sentences]
    for verdict in verdicts:
        assert verdict.protocol == protocol
        # No server, template or context stood in the way: what failed is what the judge said.
        assert (verdict.label is Label.UNDETERMINED) == (verdict.reason is not None)
        assert verdict.reason in SAID, verdict
    if protocol == "sentence":  # `response` wants the sentence echoed, `anah` tags in free text
        assert any(verdict.label is not Label.UNDETERMINED for verdict in verdicts)
    if protocol != "anah":
        whole = [reply.text for reply in judge_replies(folder) if reply.finish_reason == "stop"]
        assert whole
        for text in whole:
            assert isinstance(json.loads(text), dict)  # nothing around it
    content = result.output.read_bytes()
    again = judge(folder, settings, protocol)
    assert again.counts["calls"] == 0
    assert again.output.read_bytes() == content


def test_a_model_here_is_sampled_once(tmp_path, here):
    check_sampling(tmp_path, here)


def test_a_model_here_follows_schemas_and_what_cannot_run_stands_alone(here):
    backend = make_backend(ModelConfig.parse(here, where="model"))
    check_structured(backend)
    check_logprobs(backend)
    found, groups = ask(
        backend,
        [
            request("good", "Who?"),
            request("long", "where " * 20_000),
            request("bad", "Who?", schema={"type": "nonsense"}),
            request("fine", "Who?", schema=SCHEMA),
        ],
    )
    assert groups == [["long"], ["good", "bad", "fine"]]
    assert isinstance(found["good"], Reply)
    assert isinstance(found["fine"], Reply)
    assert isinstance(found["long"], RequestFailure)
    assert found["long"].reason == "prompt_too_long"
    assert isinstance(found["bad"], RequestFailure)
    assert found["bad"].reason == "refused"


@pytest.mark.parametrize("protocol", ["response", "sentence", "anah"])
def test_a_model_here_judges(tmp_path, here, protocol):
    check_judging(tmp_path, here, protocol)


def test_a_server_is_sampled_once(tmp_path, served):
    check_sampling(tmp_path, served)
    rows = read_records(tmp_path / "responses.jsonl", Response)
    neutral = {"server": "vllm", "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
    assert all(neutral.items() <= row.sampling.items() for row in rows)


def test_a_server_reports_what_it_serves(served, model):
    (found,) = make_backend(ModelConfig.parse(served, where="model")).identify()
    assert (found.id, found.owned_by, found.root) == ("tiny", "vllm", str(model))
    assert found.max_model_len == 16_384


@pytest.mark.parametrize("way", ["response_format", "structured_outputs"])
def test_a_server_follows_schemas(served, way):
    backend = make_backend(ModelConfig.parse(served | {"structured": way}, where="model"))
    check_structured(backend)
    check_logprobs(backend)
    assert not backend.notes()


@pytest.mark.parametrize("protocol", ["response", "sentence", "anah"])
def test_a_server_judges(tmp_path, served, protocol):
    check_judging(tmp_path, served, protocol)
