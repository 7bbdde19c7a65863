"""Rendering: a conversation as the chat template writes it, with the answer's offsets in the text.

The rule: the template is rendered on the whole conversation, once per side, and the answer is
located by what the template writes around a placeholder, never by a search for the answer's own
words (an answer "t" also occurs inside "<|im_start|>") and never by the length of a separately
rendered prompt (templates add think blocks after it, and drop earlier reasoning).

    render(prompt + placeholder) = head + placeholder + tail
    render(prompt + answer)   = head + answer, perhaps trimmed + tail

A template may trim the answer; one that rewrites it makes the pair unusable; one that does not
contain it is refused before any pair is read.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from schemas.errors import ConfigError
from schemas.records import Message

# Letters and digits only: not changed by trimming, escaping, or templates that look for markup.
STAND_IN = "answer0stand0in"
# These two moments differ in every part of a date that a template could print.
_TWO_MOMENTS = (
    datetime.datetime(2001, 2, 3, 4, 5, 6),
    datetime.datetime(2014, 11, 26, 17, 38, 49),
)
# Key under which the date to print is passed with the template's variables.
FROZEN_DATE = "maskdpo_frozen_date"
# Templates get the date from the function `strftime_now`, which a macro of that name replaces:
# variables of a template are plain data, so a function cannot be passed. The last newline is
# trimmed, like any after a block, so the template's own first line is unchanged.
_FROZEN_CLOCK = (
    "{%- macro strftime_now(format) -%}"
    "{%- set frozen = namespace(text=format) -%}"
    "{%- for directive, value in frozen_date_parts -%}"
    "{%- set frozen.text = frozen.text.replace(directive, value) -%}"
    "{%- endfor -%}{{ frozen.text }}{%- endmacro %}\n"
)
_LETTERS = "aAbBcCdDeFfgGhHIjklmMnpPrRsStTuUVwWxXyYzZ"
_PERCENT = "\ue000"  # replaces "%%" while directives are replaced
PROBE_ANSWER = '  First & second: 1.5 <b>é</b>, "it\'s".\n\n- 你好 '


class RenderError(Exception):
    """One conversation cannot be used; `reason` is the code under which it is counted."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """What the template writes before and after the answer to one prompt."""

    head: str
    tail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A rendered conversation.

    text              the whole conversation, with special tokens as text
    start, end        `text[start:end]` is the answer as the template placed it
    content_start     offset of that piece in the answer's content (above 0 if the template trims)
    """

    text: str
    start: int
    end: int
    content_start: int


def frame_prompt(tokenizer: Any, prompt: Sequence[Message], kwargs: Mapping[str, Any]) -> Frame:
    """What the template writes around any answer to `prompt`. Raises RenderError."""
    text = "\n".join(message.content for message in prompt)
    stand_in = STAND_IN
    while stand_in in text:
        stand_in += "0"
    rendered = _apply_template(tokenizer, prompt, stand_in, kwargs)
    count = rendered.count(stand_in)
    if count != 1:
        raise RenderError(
            "answer_not_placed",
            f"the chat template writes the answer {count} times; it must be once",
        )
    head, tail = rendered.split(stand_in)
    return Frame(head=head, tail=tail)


def render_answer(
    tokenizer: Any, prompt: Sequence[Message], answer: str, frame: Frame, kwargs: Mapping[str, Any]
) -> Rendered:
    """The conversation with `answer`, and the answer's offsets. Raises RenderError."""
    text = _apply_template(tokenizer, prompt, answer, kwargs)
    start, end = len(frame.head), len(text) - len(frame.tail)
    placed = text[start:end]
    framed = text.startswith(frame.head) and text.endswith(frame.tail) and start <= end
    # If both are equal without white space at their ends, the template only trimmed.
    if not framed or placed.strip() != answer.strip():
        raise RenderError("answer_rewritten", "the chat template changes the answer's words")
    content_start = _leading_space(answer) - _leading_space(placed)
    if content_start < 0 or answer[content_start : content_start + len(placed)] != placed:
        raise RenderError("answer_rewritten", "the chat template adds white space to the answer")
    return Rendered(text=text, start=start, end=end, content_start=content_start)


def prints_date(tokenizer: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether the chat template writes the current date or time into a conversation."""
    user, system = (Message(role=role, content="Which one?") for role in ("user", "system"))
    for prompt in ([user], [system, user]):
        texts = set()
        for moment in _TWO_MOMENTS:
            try:
                values = dict(kwargs) | {FROZEN_DATE: moment}
                texts.add(_apply_template(tokenizer, prompt, STAND_IN, values))
            except RenderError:
                continue  # a template may refuse a system message
        if len(texts) > 1:
            return True
    return False


def check_tokenizer(tokenizer: Any, *, where: str, kwargs: Mapping[str, Any]) -> list[str]:
    """Raise ConfigError unless masks can be made with this tokenizer; returns notes for the user.

    The tokenizer needs character offsets and a chat template that contains the answer.
    """
    if not tokenizer.is_fast:
        raise ConfigError(
            f"{where}: the tokenizer {type(tokenizer).__name__} gives no character offsets, "
            "without which sentences cannot be found among tokens; a fast tokenizer "
            "(tokenizer.json) is needed"
        )
    if not tokenizer.chat_template:
        raise ConfigError(
            f"{where}: the tokenizer has no chat template, so no text can be made of a "
            "conversation; add chat_template.jinja to the model folder"
        )
    question = [Message(role="user", content="Which one?")]
    try:
        frame = frame_prompt(tokenizer, question, kwargs)
        render_answer(tokenizer, question, PROBE_ANSWER, frame, kwargs)
    except RenderError as error:
        raise ConfigError(
            f"{where}: the answer cannot be located in the output of the chat template: "
            f"{error.detail}; the template must write the assistant's content once and unchanged "
            "(it may trim it)"
        ) from None
    opening = _opening(tokenizer, question, kwargs)
    if opening is None or frame.head.startswith(opening):
        return []
    return [
        f"{where}: the chat template opens an answer to be generated with "
        f"{opening[-40:]!r}, but a given answer with {frame.head[-40:]!r}: training uses "
        "another context than sampling (see chat_template_kwargs)"
    ]


def _opening(tokenizer: Any, prompt: Sequence[Message], kwargs: Mapping[str, Any]) -> str | None:
    messages = [message.model_dump() for message in prompt]
    try:
        return _render(tokenizer, messages, kwargs, add_generation_prompt=True)
    except Exception:  # a template is a program; one without generation prompts can still train
        return None


def _apply_template(
    tokenizer: Any, prompt: Sequence[Message], answer: str, kwargs: Mapping[str, Any]
) -> str:
    messages = [message.model_dump() for message in prompt]
    messages.append({"role": "assistant", "content": answer})
    try:
        return _render(tokenizer, messages, kwargs)
    except Exception as error:  # a template is a program: it may raise anything
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RenderError("template_refused", f"the chat template raises: {detail}") from None


def _render(
    tokenizer: Any,
    messages: Sequence[Mapping[str, str]],
    kwargs: Mapping[str, Any],
    *,
    add_generation_prompt: bool = False,
) -> str:
    """The conversation as the template writes it, with the date in `kwargs` if there is one."""
    values = dict(kwargs)
    moment = values.pop(FROZEN_DATE, None)
    if moment is not None:
        values["chat_template"] = _FROZEN_CLOCK + tokenizer.get_chat_template()
        values["frozen_date_parts"] = _date_parts(moment)
    text: str = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=add_generation_prompt, **values
    )
    return text


@lru_cache(maxsize=8)
def _date_parts(moment: datetime.date) -> list[tuple[str, str]]:
    """The value of each directive of `strftime` at a moment; a plain date means midnight."""
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime.combine(moment, datetime.time())
    directives = [
        f"%{flag}{letter}" for flag in ("-", "_", "0", "^", "#", "") for letter in _LETTERS
    ]
    parts = [(directive, moment.strftime(directive)) for directive in directives]
    return [("%%", _PERCENT), *parts, (_PERCENT, "%")]


def _leading_space(text: str) -> int:
    return len(text) - len(text.lstrip())
