"""What a server adds to sampling: switched off where it can be, recorded, and reported."""

import json
import sqlite3
from contextlib import closing

import pytest
from sample_server import ChatServer, as_json, completion, echo
from sample_support import write_questions

from annotator.calls.dialogue import Ask, call_key
from annotator.calls.stored_calls import pack, unpack
from annotator.models.backend import Decoding, Reply, Request
from annotator.models.config import ModelConfig, SampleConfig
from annotator.models.openai.openai_backend import OpenAIBackend
from annotator.models.openai.request_body import RequestBody, sampling_of
from annotator.models.openai.server_kinds import LLAMA_CPP, NEUTRAL_NAMES, VLLM, neutral_fields
from annotator.sampling.sample import run_sample
from schemas.errors import ConfigError
from schemas.records import Message, Response

HI = (Message(role="user", content="Hi."),)


def owned_by(owner):
    return as_json(200, {"data": [{"id": "policy", "owned_by": owner}]})


@pytest.fixture
def sample(tmp_path):
    def run(*servers, **settings):
        values = {"backend": "openai", "model": "policy", "max_retries": 0, "num_responses": 2}
        values["base_urls"] = [server.base_url for server in servers]
        write_questions(tmp_path / "questions.jsonl", 1)
        result = run_sample(
            SampleConfig.parse(values | settings, where="sample"),
            questions=tmp_path / "questions.jsonl",
            output=tmp_path / "responses.jsonl",
            store=tmp_path / "calls.db",
        )
        lines = result.output.read_text().splitlines()
        return result, [Response.model_validate_json(line) for line in lines]

    return run


@pytest.mark.parametrize(
    ("owner", "kind", "sent"),
    [
        ("vllm", "vllm", {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}),
        ("sglang", "sglang", {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}),
        (
            "llamacpp",
            "llama.cpp",
            {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "typical_p": 1.0},
        ),
        ("library", "ollama", {"presence_penalty": 0.0, "frequency_penalty": 0.0}),
        ("system", "openai", {}),
        ("some-company", "unknown", {}),
    ],
)
def test_only_what_a_kind_of_server_takes_is_sent_and_rows_record_it(sample, owner, kind, sent):
    with ChatServer(models=owned_by(owner)) as server:
        _, responses = sample(server)
        bodies = [call.body for call in server.asked]
    for body in bodies:
        assert sent.items() <= body.items()
        assert {*NEUTRAL_NAMES} & body.keys() == neutral_fields(kind).keys()
    for row in responses:
        assert row.sampling["server"] == kind
        assert sent.items() <= row.sampling.items()
        assert row.sampling["temperature"] == 1.0


def test_a_server_of_no_known_kind_is_reported_once_and_only_where_it_matters(sample):
    with ChatServer() as first, ChatServer() as second:
        result, _ = sample(first, second, num_responses=4)
        assert sum("does not report its software" in note for note in result.notes) == 1
        result, _ = sample(first, second, temperature=0.0)
    assert not any("does not report its software" in note for note in result.notes)


def test_ollama_keeps_its_own_and_is_reported(sample):
    with ChatServer(models=owned_by("library")) as server:
        result, _ = sample(server)
    assert any("Modelfile" in note for note in result.notes)


def test_a_value_of_the_user_wins_and_is_reported(sample):
    with ChatServer(models=owned_by("vllm")) as server:
        result, responses = sample(server, extra_body={"top_k": 20, "min_p": None})
        body = server.asked[0].body
    assert (body["top_k"], body["repetition_penalty"]) == (20, 1.0)
    assert "min_p" not in body
    assert responses[0].sampling["top_k"] == 20
    assert "min_p" not in responses[0].sampling
    assert any(note.startswith("top_k=20 of your settings was sent") for note in result.notes)
    assert any(note.startswith("min_p=None of your settings") for note in result.notes)


def test_a_neutral_value_that_is_refused_is_left_out_recorded_and_reported(sample):
    def answer(body):
        if "min_p" in body:
            return as_json(400, {"error": {"message": "min_p is not supported by this build"}})
        return echo(body)

    with ChatServer(answer, models=owned_by("vllm")) as server:
        result, responses = sample(server)
    assert result.counts["failed"] == 0
    assert all("min_p" not in row.sampling for row in responses)
    assert any("refuses min_p" in note for note in result.notes)


def test_what_was_not_sent_is_recorded_as_none(sample):
    with ChatServer() as server:
        _, responses = sample(server, params={"temperature": None})
    assert responses[0].sampling["temperature"] is None


def test_max_tokens_is_recorded_under_its_own_name_when_it_was_renamed():
    config = ModelConfig(backend="openai", model="m")
    request = Request(id="r", messages=HI, seed=3, decoding=Decoding(max_tokens=7))
    fields = RequestBody(config=config, refused=frozenset({"max_tokens"})).fields(request, VLLM)
    assert fields["max_completion_tokens"] == 7
    assert sampling_of(fields, VLLM)["max_tokens"] == 7


def test_replies_of_an_earlier_version_are_served_and_reported(sample, tmp_path):
    with ChatServer(models=owned_by("vllm")) as server:
        _, before = sample(server)
        strip_records(tmp_path / "calls.db")
        result, after = sample(server)
        assert len(server.asked) == 2
    assert [row.text for row in after] == [row.text for row in before]
    assert "server" not in after[0].sampling
    assert any(
        "2 replies in the store were sampled by an earlier version" in n for n in result.notes
    )


def strip_records(path):
    """Make the stored replies those of a version that recorded no sampling."""
    with closing(sqlite3.connect(path)) as store, store:
        for key, value in store.execute("SELECT key, value FROM calls").fetchall():
            old = json.loads(value)
            del old["sampling"]
            store.execute("UPDATE calls SET value = ? WHERE key = ?", (json.dumps(old), key))


def test_a_reply_comes_out_of_the_store_as_it_went_in():
    reply = Reply(
        text="a", finish_reason="stop", sampling={"top_k": -1, "server": VLLM}, system_in_user=True
    )
    assert unpack(json.loads(json.dumps(pack(reply)))) == reply
    assert not {"sampling", "system_in_user"} & pack(Reply(text="a", finish_reason="stop")).keys()


def key_of(*, schema=None, **settings):
    config = ModelConfig(backend="openai", model="policy", **settings)
    ask = Ask(messages=HI, decoding=Decoding(max_tokens=5, schema=schema))
    return call_key("judge", OpenAIBackend(config).fingerprint(), ask)


def test_keys_of_default_settings_are_those_of_earlier_versions():
    assert key_of() == "6c760586394d6bf405c4390fdea227ba193605c3144fb7222acf5df85811ca77"
    assert (
        key_of(schema={"type": "object"})
        == "8a22664e886fe7ec49e9ca5b093618b7fcd258ce3a9a0ea5ae2fad094374defc"
    )


def test_the_way_a_schema_is_sent_counts_where_there_is_a_schema():
    schema = {"type": "object"}
    ways = ("response_format", "structured_outputs", "none")
    assert len({key_of(schema=schema, structured=way) for way in ways}) == 3
    assert len({key_of(structured=way) for way in ways}) == 1


@pytest.mark.parametrize("where", ["params", "extra_body"])
@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("temperature", 1.0, "use temperature"),
        ("top_p", 0.5, "use top_p"),
        ("max_tokens", 5, "use max_tokens"),
        ("max_completion_tokens", 5, "use max_tokens"),
        ("seed", 1, "use seed"),
        ("logprobs", True, "confidence: logprob"),
        ("response_format", {"type": "json_object"}, "use structured"),
        ("structured_outputs", {"json": {}}, "use structured"),
        ("guided_json", {}, "use structured"),
    ],
)
def test_what_has_a_setting_of_its_own_is_refused_and_null_leaves_it_out(
    where, name, value, setting
):
    with pytest.raises(ConfigError, match=f"'{name}' is .*{setting}.*only null is allowed"):
        SampleConfig.parse({"model": "m", where: {name: value}}, where="sample")
    SampleConfig.parse({"model": "m", where: {name: None}}, where="sample")


@pytest.mark.parametrize("name", ["messages", "model", "stream", "n"])
def test_what_maskdpo_sets_itself_is_never_the_users(name):
    with pytest.raises(ConfigError, match=f"'{name}' is set by maskdpo itself"):
        SampleConfig.parse({"model": "m", "params": {name: None}}, where="sample")


def test_neutral_values_of_llama_cpp_use_its_own_name_of_the_penalty():
    assert "repetition_penalty" not in neutral_fields(LLAMA_CPP)
    assert "repeat_penalty" not in neutral_fields(VLLM)


def test_a_prompt_too_long_for_a_server_names_what_asks_it_again(sample):
    long = {"message": "This model's maximum context length is 64 tokens"}
    with ChatServer(lambda body: as_json(400, {"error": long})) as server:
        result, _ = sample(server)
    assert {failure.reason for failure in result.failures} == {"http_400"}
    assert all("--retry-failed sends it again" in item.detail for item in result.failures)


@pytest.mark.parametrize(
    ("content", "reasoning"), [(None, "Let me"), ("<think>Let me", None), ("", None)]
)
def test_thoughts_cut_off_are_counted_with_the_setting_that_helps(sample, content, reasoning):
    def think(body):
        return completion(content, reasoning_content=reasoning, finish_reason="length")

    with ChatServer(think) as server:
        result, responses = sample(server)
    assert [row.text for row in responses] == ["", ""]
    (note,) = [note for note in result.notes if "still thinking" in note]
    assert note.startswith("2 replies") and "enable_thinking: false" in note


def test_rows_hold_the_messages_as_a_model_without_system_role_was_sent_them(sample):
    def answer(body):
        if body["messages"][0]["role"] == "system":
            return as_json(400, {"error": {"message": "System role not supported"}})
        return echo(body)

    with ChatServer(answer) as server:
        result, responses = sample(server, system_prompt="Be brief.")
        asked = len(server.asked)
        _, again = sample(server, system_prompt="Be brief.")
        assert len(server.asked) == asked
    for row in responses:
        assert [message.role for message in row.prompt] == ["user"]
        assert row.prompt[0].content.startswith("Be brief.\n\n")
        assert row.text.startswith(row.prompt[0].content)
    assert again == responses
    assert any("does not support a system message" in note for note in result.notes)
