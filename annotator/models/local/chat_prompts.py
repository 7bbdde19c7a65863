"""Prompts of local models: a conversation rendered with the model's chat template.

The rule: requests that cannot run (the template refuses, the prompt is too long for the context)
are found here, before any weights are loaded, so that they never share a batch with others. For a
template that refuses the system role, the system text is put before the first user message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from annotator.models.backend import RETRY_LONGER, Request, RequestFailure
from annotator.models.detail_line import detail_line
from annotator.models.local.model_loading import context_size, load_tokenizer
from annotator.models.system_role import describe_folding, fold_system, refuses_system
from schemas.errors import ConfigError
from schemas.records import Message

Prompt = tuple[str, list[int]]
"""A rendered conversation and its token ids."""


class PromptRenderer:
    """Renders requests for the model in `folder`; the K responses to a question share one
    rendering.

    `max_context` is a limit in tokens below the model's own, where the engine has one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model: str,
        template_kwargs: Mapping[str, Any],
        max_context: int | None = None,
    ) -> None:
        self._folder = folder
        self._model = model
        self._template_kwargs = template_kwargs
        self._max_context = max_context
        self._prompts: dict[tuple[tuple[Message, ...], int], Prompt | RequestFailure] = {}
        self._folded: set[tuple[Message, ...]] = set()

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer; ConfigError where there is no usable one."""
        return load_tokenizer(self._folder)

    def forget(self) -> None:
        """Drop all renderings."""
        self._prompts.clear()

    def is_folded(self, request: Request) -> bool:
        """Whether the template accepted the request only without its system message."""
        return tuple(request.messages) in self._folded

    def messages(self, request: Request) -> Sequence[Message]:
        """The messages in the form that the template accepted."""
        return fold_system(request.messages) if self.is_folded(request) else request.messages

    def notes(self) -> list[str]:
        """One sentence where system messages had to be moved."""
        return [describe_folding(self._model)] if self._folded else []

    def render(self, request: Request) -> Prompt | RequestFailure:
        """The request's prompt; ConfigError where `max_tokens` alone would fill the context."""
        key = (tuple(request.messages), request.decoding.max_tokens)
        if key not in self._prompts:
            self._prompts[key] = self._render(*key)
        return self._prompts[key]

    def _render(self, messages: tuple[Message, ...], max_tokens: int) -> Prompt | RequestFailure:
        text, complaint = self._write(messages)
        if complaint and refuses_system(complaint, messages):
            text, complaint_of_folded = self._write(fold_system(messages))
            if not complaint_of_folded:
                self._folded.add(messages)
                complaint = ""
        if complaint:
            return RequestFailure(reason="chat_template", detail=detail_line(complaint))
        # The template writes the special tokens itself; added ones would occur twice.
        tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if not tokens:
            return RequestFailure(reason="empty_prompt", detail="the chat template wrote no text")
        room = self._room(max_tokens)
        if room is not None and len(tokens) + max_tokens > room:
            detail = (
                f"{len(tokens)} prompt tokens and max_tokens={max_tokens} exceed "
                f"the model's context of {room}{self._how_to_get_more(room)}"
            )
            return RequestFailure(reason="prompt_too_long", detail=detail)
        return text, tokens

    def _write(self, messages: Sequence[Message]) -> tuple[str, str]:
        """(prompt, "") from the chat template, or ("", its error message)."""
        from jinja2 import TemplateError

        try:
            text = self.tokenizer.apply_chat_template(
                [message.model_dump() for message in messages],
                tokenize=False,
                add_generation_prompt=True,
                **self._template_kwargs,
            )
        except (TemplateError, TypeError, ValueError) as error:
            return "", str(error) or type(error).__name__
        return str(text), ""

    def _room(self, max_tokens: int) -> int | None:
        room = self._context
        if room is not None and max_tokens >= room:
            raise ConfigError(
                f"max_tokens is {max_tokens}, but {self._model} has a context of "
                f"{room} tokens, prompt included; lower max_tokens"
            )
        return room

    def _how_to_get_more(self, room: int) -> str:
        """What to do where the engine's setting is the limit: no content key includes that
        setting."""
        if room != self._max_context:
            return ""
        return f"; raise engine.max_model_len: {RETRY_LONGER}"

    @cached_property
    def _context(self) -> int | None:
        limits = [context_size(self._folder), self._max_context]
        return min((limit for limit in limits if limit is not None), default=None)
