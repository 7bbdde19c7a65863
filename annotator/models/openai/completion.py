"""Reading the body of a chat completion. A server's answer is external data: it is checked.

The rule: for any bytes that arrive, the outcome is a Reply or a RequestFailure with its reason. The
text of a thinking model before its answer is reasoning, in every form a server returns it: a field,
a part of the content, or `<think>` tags left in the text.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from annotator.models.backend import Reply, RequestFailure
from annotator.models.detail_line import detail_line
from annotator.models.openai.reply_parts import (
    Parts,
    UnreadablePartError,
    read_parts,
    read_thoughts,
)
from annotator.models.reasoning import split_tags
from schemas.records import FinishReason

# OpenAI's names first, then the names of other servers for the same.
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
    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    function_call: Any = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: Any = None
    logprobs: Any = None


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: Any = None


def read_completion(body: bytes) -> Reply | RequestFailure:
    """The first choice of a completion's JSON `body`.

    Without any text it is a reply only where there is reasoning: a thinking model that spent all
    its tokens before its answer.
    """
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        start = detail_line(body[:100].decode("utf-8", "replace"))
        detail = f"the server's answer is not a chat completion ({place}: {first['msg']}): {start}"
        return RequestFailure(reason="bad_response", detail=detail_line(detail))
    if not completion.choices:
        return RequestFailure(reason="no_choices", detail="the server's answer holds no choices")
    choice = completion.choices[0]
    message = choice.message
    try:
        parts = read_parts(message.content)
    except UnreadablePartError as error:
        return RequestFailure(reason="bad_response", detail=detail_line(str(error)))
    kept = read_thoughts(message.reasoning_content) or read_thoughts(message.reasoning)
    reasoning = "\n".join(text for text in (kept, parts.thoughts) if text)
    failure = None if parts.text else _without_text(message, parts)
    if failure is None and parts.text is None and not reasoning:
        failure = _nothing(_finish_reason(choice.finish_reason))
    if failure is not None:
        return failure
    tagged, text = split_tags(parts.text or "")
    logprobs = _read_logprobs(choice.logprobs)
    return Reply(
        text=text,
        reasoning="\n".join(item for item in (reasoning, tagged) if item),
        finish_reason=_finish_reason(choice.finish_reason),
        prompt_tokens=_token_count(completion.usage, "prompt_tokens"),
        completion_tokens=_token_count(completion.usage, "completion_tokens"),
        cached_tokens=_cached_count(completion.usage),
        logprobs=logprobs if text == parts.text else _of_the_end(logprobs, text),
    )


def _without_text(message: _Message, parts: Parts) -> RequestFailure | None:
    """The content of a message without text; None where it is empty."""
    refusal = parts.refusal or read_thoughts(message.refusal)
    if refusal:
        return RequestFailure(reason="refused", detail=detail_line(refusal))
    if message.tool_calls or message.function_call:
        return RequestFailure(
            reason="tool_call",
            detail="the model called a tool and wrote no text; no tool was offered: set "
            "params={tool_choice: none}, or start the server without automatic tool choice",
        )
    return None


def _nothing(finish_reason: FinishReason) -> RequestFailure:
    detail = f"the message's content is null (finish_reason: {finish_reason})"
    if finish_reason == "length":
        detail += "; the model wrote nothing before max_tokens: raise it, or let the model think "
        detail += "less with params={reasoning_effort: low}"
    return RequestFailure(reason="no_content", detail=detail)


def _finish_reason(value: Any) -> FinishReason:
    return FINISH_REASONS.get(value, "unknown") if isinstance(value, str) else "unknown"


def _of_the_end(
    logprobs: tuple[tuple[str, float], ...], text: str
) -> tuple[tuple[str, float], ...]:
    """The tokens that form `text` at the end of a reply; () where they cannot be found."""
    start = "".join(token for token, _ in logprobs).rfind(text) if text else -1
    kept: list[tuple[str, float]] = []
    for token, logprob in logprobs if start >= 0 else ():
        if start <= 0:
            kept.append((token, logprob))
        start -= len(token)
    return tuple(kept)


class _TokenLogprob(BaseModel):
    token: str
    logprob: float


class _Logprobs(BaseModel):
    content: list[_TokenLogprob]


def _read_logprobs(value: Any) -> tuple[tuple[str, float], ...]:
    """The reply's tokens with their log-probabilities.

    () where the server reports none in a known form.
    """
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
    """A count of tokens, or None: a wrong count must not make a paid reply unusable."""
    count = usage.get(name) if isinstance(usage, dict) else None
    is_count = isinstance(count, int) and not isinstance(count, bool) and count >= 0
    return count if is_count else None
