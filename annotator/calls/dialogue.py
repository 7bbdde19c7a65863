"""Dialogues: calls to a model, one after another, written as a generator.

A dialogue yields an `Ask`, is sent the `Answer`, and returns its result:

    def ask_twice(question):
        reply = yield Ask(messages=..., decoding=...)
        if isinstance(reply, RequestFailure): return None
        ...
        return result

The rule: a dialogue is pure. It sees no backend, store, clock or budget, so the same answers
lead to the same calls and the same result, whether from a server or from the store.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from annotator.models.backend import Decoding, Outcome
from schemas.hashing import content_key
from schemas.records import Message

ResultT = TypeVar("ResultT")
Answer = Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One call: a conversation to continue and how.

    `purpose` says what the call is for ("verdict", "repair", ...): counted and shown, never a key.
    """

    messages: Sequence[Message]
    decoding: Decoding
    seed: int = 0
    purpose: str = "call"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unusable(Generic[ResultT]):
    """The result where no answer was usable: the dialogue's calls count as failed in the store.

    A rerun uses them like any other; only `--retry-failed` sends them again. `is_useless` where the
    dialogue gave no result at all: many of them in a row stop the run (annotator/calls/useless.py).
    """

    result: ResultT
    is_useless: bool = False


Dialogue = Generator[Ask, Answer, ResultT | Unusable[ResultT]]


def call_key(kind: str, fingerprint: Mapping[str, Any], ask: Ask) -> str:
    """The content key of one call: calls with the same key are one call, sent and paid for once.

    counts                                          does not count, because it changes no reply
    ------                                          -------------------------------------------
    kind of call (a policy's reply, a judge's)       base_url(s), api_key_env: where, not what
    backend kind, model and its revision or          concurrency, timeout_s, max_retries
      content, number type, chat_template_kwargs,    batch_size, device: the same reply but for
      params, extra_body (all in the backend's         the last bits of floating point
      `fingerprint`)                                 prices, limits, max_failed
    messages, system prompt included                 ids and names of rows and files
    max_tokens, temperature                          what the call is for (`purpose`)
    top_p and seed, but not at temperature 0,        what is done with the reply: parsing,
      where they have no effect                              evidence policy, votes' arithmetic
    the JSON Schema asked for, and with one the      engine.max_model_len: a prompt that was too
      way it is sent (`structured`)                    long is asked again with --retry-failed
    logprobs, if asked

    Three things may change a reply and still do not count, because a key is made before any server
    is called (a finished run and an estimate call none). They are recorded instead:

    - what the server adds to sampling, and the values sent to switch that off (`server_kinds`):
      with each reply, in `Reply.sampling`. Replies of versions that switched nothing off have no
      such record; `sample` counts and reports those it uses. At temperature 0 only a penalty could
      have changed them, so a judge's paid calls stay valid.
    - a system message that is sent in front of the first user message because the template does not
      support one (`system_role`): it follows from the model, and `Reply.system_in_user` records it.
    - which model is served under a name (`served_model`): per run.
    """
    decoding = ask.decoding
    sampled = decoding.temperature > 0.0
    backend = dict(fingerprint)
    if decoding.schema is None:
        backend.pop("structured", None)
    value: dict[str, Any] = {
        "kind": kind,
        "backend": backend,
        "messages": [[message.role, message.content] for message in ask.messages],
        "temperature": decoding.temperature,
        "top_p": decoding.top_p if sampled else None,
        "max_tokens": decoding.max_tokens,
        "seed": ask.seed if sampled else None,
    }
    # Left out where unset, so that keys of plain calls stay as before these fields existed.
    if decoding.schema is not None:
        value["schema"] = decoding.schema
    if decoding.logprobs:
        value["logprobs"] = True
    return content_key(value)
