"""What servers send back: parts, thoughts, tool calls, refusals of the system role, odd bodies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_server import ChatServer, as_json, completion
from test_served_model import ask_once, backend_of

from annotator.models.backend import Decoding, Reply, Request, RequestFailure
from annotator.models.openai.completion import read_completion
from annotator.models.reasoning import split_tags
from annotator.models.system_role import fold_system, refuses_system
from schemas.records import Message


def read(content, **message):
    return read_completion(completion(content, **message)[2])


SAID = [{"type": "text", "text": "Yes."}]
THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}]}


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        (SAID, "Yes.", ""),
        ([{"type": "text", "text": "Y"}, {"type": "output_text", "text": "es."}], "Yes.", ""),
        (["Y", "es."], "Yes.", ""),
        (SAID[0], "Yes.", ""),
        ([THINKING, *SAID], "Yes.", "Let me see."),
        ([{"type": "thinking", "thinking": "Let me see."}, *SAID], "Yes.", "Let me see."),
        ([{"type": "reasoning", "text": "Let me see."}, *SAID], "Yes.", "Let me see."),
        (
            [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "A."}]}, *SAID],
            "Yes.",
            "A.",
        ),
        ([*SAID, {"type": "reference", "reference_ids": [1]}], "Yes.", ""),
        ([THINKING], "", "Let me see."),
        ("<think>Let me see.</think>\n\nYes.", "Yes.", "Let me see."),
        ("Let me see.\n</think>\nYes.", "Yes.", "Let me see."),
        ("<think>\n\n</think>\n\nYes.", "Yes.", ""),
        ("<think>Let me s", "", "Let me s"),
        ("", "", ""),
    ],
)
def test_text_and_thoughts_are_told_apart(content, text, reasoning):
    reply = read(content)
    assert isinstance(reply, Reply)
    assert (reply.text, reply.reasoning) == (text, reasoning)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_in_a_field_of_its_own(name):
    assert read("Yes.", **{name: "Hm."}).reasoning == "Hm."
    assert read("Yes.", **{name: [{"type": "text", "text": "Hm."}]}).reasoning == "Hm."
    assert read("Yes.", **{name: 7}) == read("Yes.")
    assert read(None, **{name: "Hm."}).text == ""


@pytest.mark.parametrize(
    ("content", "message", "reason", "named"),
    [
        (None, {"tool_calls": [{"id": "c"}]}, "tool_call", "tool_choice: none"),
        ("", {"tool_calls": [{"id": "c"}]}, "tool_call", "tool_choice: none"),
        (None, {"function_call": {"name": "f"}}, "tool_call", "tool_choice: none"),
        ([{"type": "refusal", "refusal": "I cannot."}], {}, "refused", "I cannot."),
        (None, {"refusal": "I cannot."}, "refused", "I cannot."),
        (None, {}, "no_content", "null (finish_reason: stop)"),
        (None, {"finish_reason": "length"}, "no_content", "raise it"),
        ([], {}, "no_content", "null"),
        ([{"type": "image_url"}, *SAID], {}, "bad_response", "'image_url'"),
        ([7], {}, "bad_response", "'int'"),
        (7, {}, "bad_response", "int"),
        ([{"type": "text", "text": 7}], {}, "bad_response", "int"),
    ],
)
def test_a_message_without_readable_text_is_a_failure_that_says_why(
    content, message, reason, named
):
    failure = read(content, **message)
    assert isinstance(failure, RequestFailure)
    assert failure.reason == reason
    assert named in failure.detail


def test_a_text_next_to_a_tool_call_is_a_reply():
    assert read("Yes.", tool_calls=[{"id": "c"}], finish_reason="tool_calls").text == "Yes."


def test_logprobs_are_those_of_the_answer_where_tags_were_in_the_text():
    tokens = ["<think>", "Yes", "?", "</think>", "\n", "Yes", "."]
    told = {"content": [{"token": token, "logprob": -0.5} for token in tokens]}
    body = json.loads(completion("".join(tokens))[2])
    body["choices"][0]["logprobs"] = told
    reply = read_completion(json.dumps(body).encode())
    assert reply.text == "Yes."
    assert [token for token, _ in reply.logprobs] == ["Yes", "."]


def test_tags_that_a_text_only_mentions_stay():
    text = "Close it with </think>, which ends <think>."
    assert split_tags(text) == ("", text)
    assert split_tags("a <think> b") == ("", "a <think> b")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PART = JSON | st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "reasoning", "refusal", "reference", "x"])},
    optional=dict.fromkeys(("text", "thinking", "reasoning", "refusal", "summary"), JSON),
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "content": JSON | st.lists(PART, max_size=3),
        **dict.fromkeys(("refusal", "reasoning_content", "reasoning", "tool_calls"), JSON),
    },
)
CHOICE = JSON | st.fixed_dictionaries(
    {"message": JSON | MESSAGE}, optional={"finish_reason": JSON, "logprobs": JSON}
)
BODY = JSON | st.fixed_dictionaries(
    {"choices": JSON | st.lists(CHOICE, max_size=2)}, optional={"usage": JSON}
)


@given(BODY)
def test_any_json_is_a_reply_or_a_failure(body):
    outcome = read_completion(json.dumps(body).encode())
    assert isinstance(outcome, Reply | RequestFailure)
    if isinstance(outcome, RequestFailure):
        assert outcome.detail and "\n" not in outcome.detail


@given(st.binary(max_size=40))
def test_any_bytes_are_a_reply_or_a_failure(body):
    assert isinstance(read_completion(body), Reply | RequestFailure)


def test_half_a_surrogate_pair_is_a_failure():
    assert read_completion(b'{"choices":[{"message":{"content":"\\ud800"}}]}').reason == (
        "bad_response"
    )


def test_a_body_nested_too_deeply_is_a_failure():
    deep = '{"choices":[{"message":{"content":' + "[" * 5000 + "]" * 5000 + "}}]}"
    assert read_completion(deep.encode()).reason == "bad_response"


REFUSALS = [
    (400, "System role not supported"),
    (500, "Jinja Exception: System role not supported"),
    (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    (400, "Only user, assistant and tool roles are supported, got system."),
    (400, "Developer instruction is not enabled for models/gemma-3-27b-it"),
    (422, "Unexpected role: system"),
]
ASKED = (Message(role="system", content="Be brief."), Message(role="user", content="Hi."))


def run_all(backend, requests):
    waiting = [[request] for request in requests]

    def take(limit):
        taken, waiting[:] = waiting[:limit], waiting[limit:]
        return taken

    return [outcome for done in backend.generate(take) for _, outcome in done]


def asking(number, messages=ASKED):
    return Request(id=f"r{number}", messages=messages, seed=1, decoding=Decoding(max_tokens=4))


@pytest.mark.parametrize(("status", "complaint"), REFUSALS)
def test_a_template_without_a_system_role_is_learned_for_the_run(status, complaint):
    def answer(body):
        if body["messages"][0]["role"] == "system":
            return as_json(status, {"error": {"message": complaint}})
        return completion("Yes.")

    with ChatServer(answer) as server:
        backend = backend_of(server, concurrency=1)
        outcomes = run_all(backend, [asking(n) for n in range(3)])
        assert len(server.asked) == 3 + 1
        sent = server.asked[-1].body["messages"]
    assert all(isinstance(outcome, Reply) and outcome.system_in_user for outcome in outcomes)
    assert sent == [{"role": "user", "content": "Be brief.\n\nHi."}]
    assert any("does not support a system message" in note for note in backend.notes())


def test_a_refusal_that_folding_does_not_cure_is_a_failure_and_forgotten():
    complaint = {"error": {"message": "conversation roles must alternate"}}
    with ChatServer(lambda body: as_json(400, complaint)) as server:
        backend = backend_of(server)
        (outcome,) = run_all(backend, [asking(1)])
        assert [len(call.body["messages"]) for call in server.asked] == [2, 1]
    assert outcome.reason == "http_400"
    assert not any("system" in note for note in backend.notes())


def test_a_conversation_without_a_system_message_is_not_sent_twice():
    complaint = {"error": {"message": "System role not supported"}}
    with ChatServer(lambda body: as_json(400, complaint)) as server:
        ask_once(backend_of(server))
        assert len(server.asked) == 1


def test_an_error_of_the_server_itself_is_not_searched_for_field_names():
    error = {"error": {"message": "worker died; request was max_tokens=4 temperature=0"}}
    with ChatServer(lambda body: as_json(500, error)) as server:
        ask_once(backend_of(server))
        assert len(server.asked) == 1


@pytest.mark.parametrize("complaint", ["out of memory", "the system is overloaded", "bad seed"])
def test_other_complaints_do_not_touch_the_system_message(complaint):
    assert not refuses_system(complaint, ASKED)


def test_no_system_text_is_lost():
    several = [
        Message(role="system", content="A"),
        Message(role="assistant", content="B"),
        Message(role="user", content="C"),
        Message(role="system", content="D"),
        Message(role="user", content="E"),
    ]
    assert [(item.role, item.content) for item in fold_system(several)] == [
        ("assistant", "B"),
        ("user", "A\n\nD\n\nC"),
        ("user", "E"),
    ]
    alone = fold_system(several[:2])
    assert [(item.role, item.content) for item in alone] == [("user", "A"), ("assistant", "B")]
