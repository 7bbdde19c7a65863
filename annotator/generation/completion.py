"""Reading the body of a chat completion. A server's answer is data from outside: it is checked.

The rule: whatever bytes arrive, the outcome is a Reply or a RequestFailure with its reason.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from annotator.generation.backend import Reply, RequestFailure, one_line
from schemas.records import FinishReason

# OpenAI's own names first, then what other servers say for the same.
FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
}


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: Any = None


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: Any = None


def read_completion(body: bytes) -> Reply | RequestFailure:
    """The first choice of a completion's JSON `body`.

    A null content is a reply only beside reasoning: a thinking model that spent all its tokens.
    """
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        start = one_line(body[:100].decode("utf-8", "replace"))
        detail = f"the server's answer is no chat completion ({place}: {first['msg']}): {start}"
        return RequestFailure(reason="bad_response", detail=one_line(detail))
    if not completion.choices:
        return RequestFailure(reason="no_choices", detail="the server's answer holds no choices")
    choice = completion.choices[0]
    message = choice.message
    reasoning = message.reasoning_content or message.reasoning or ""
    if message.content is None and not reasoning:
        if message.refusal:
            return RequestFailure(reason="refused", detail=one_line(message.refusal))
        return RequestFailure(reason="no_content", detail="the message's content is null")
    return Reply(
        text=message.content or "",
        reasoning=reasoning,
        finish_reason=FINISH_REASONS.get(choice.finish_reason or "", "unknown"),
        prompt_tokens=_token_count(completion.usage, "prompt_tokens"),
        completion_tokens=_token_count(completion.usage, "completion_tokens"),
        cached_tokens=_cached_count(completion.usage),
        logprobs=_read_logprobs(choice.logprobs),
    )


class _TokenLogprob(BaseModel):
    token: str
    logprob: float


class _Logprobs(BaseModel):
    content: list[_TokenLogprob]


def _read_logprobs(value: Any) -> tuple[tuple[str, float], ...]:
    """The reply's tokens with their log-probabilities; () where the server tells none we know."""
    if value is None:
        return ()
    try:
        content = _Logprobs.model_validate(value).content
    except ValidationError:
        return ()
    return tuple((item.token, item.logprob) for item in content)


def _cached_count(usage: Any) -> int | None:
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    return _token_count(details, "cached_tokens")


def _token_count(usage: Any, name: str) -> int | None:
    """A count of tokens, or None: odd bookkeeping must not cost a reply that is paid for."""
    count = usage.get(name) if isinstance(usage, dict) else None
    is_count = isinstance(count, int) and not isinstance(count, bool) and count >= 0
    return count if is_count else None
