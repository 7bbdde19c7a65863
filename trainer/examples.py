"""Examples: a preference pair as token ids and weights, or the reason why it cannot train.

The rule: each side is rendered and tokenised once, as a whole, with offsets and without added
special tokens, so that the model trains on exactly the ids it would see in use; and a pair that
cannot train is a counted drop, never an exception and never a pair with a silent mask.

Reasons for a drop:

    control_token      a message holds text that the tokenizer reads as a control token
    template_refused   the chat template raised an error for this conversation
    answer_not_placed, answer_rewritten    the answer is not in what the template wrote
    prompt_too_long    the prompt alone fills max_length
    no_active_token    a side has no active token: nothing on it may train
    truncated          a side had active tokens, but max_length cut all of them off
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.labels import Side
from schemas.records import Failure, FinishReason, Message, Pair, Span
from trainer.config import TrainConfig
from trainer.masks import (
    end_of_answer,
    first_answer_token,
    token_extents,
    weigh_characters,
    weigh_tokens,
)
from trainer.render import Frame, Rendered, RenderError, frame_prompt, render_answer


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSequence:
    """One side of a pair: prompt and answer as the model reads them.

    token_ids    all tokens, prompt first
    weights      one per token; 0 = masked. Prompt tokens weigh 0
    first        index of the first completion token; the reference is computed from here on
    """

    token_ids: list[int]
    weights: list[float]
    first: int

    @property
    def num_completion(self) -> int:
        """Number of tokens of the answer and the trailer."""
        return len(self.token_ids) - self.first

    @property
    def num_active(self) -> int:
        """Number of active tokens (non-zero weight)."""
        return sum(weight > 0 for weight in self.weights)


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A pair ready to train."""

    id: str
    chosen: TokenSequence
    rejected: TokenSequence

    @property
    def num_tokens(self) -> int:
        """Number of tokens of both sides; the prompt counts twice."""
        return len(self.chosen.token_ids) + len(self.rejected.token_ids)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Examples in the order of their pairs, and what was dropped with its reason."""

    examples: Sequence[Example]
    dropped: Sequence[Failure]


def prepare_examples(pairs: Iterable[Pair], tokenizer: Any, config: TrainConfig) -> Prepared:
    """Tokenise and mask every pair; a pair that cannot train is dropped with its reason.

    `tokenizer` must have passed `render.check_tokenizer`.
    """
    encoder = Encoder(tokenizer, config)
    examples: list[Example] = []
    dropped: list[Failure] = []
    for pair in pairs:
        try:
            examples.append(encoder.encode(pair))
        except RenderError as error:
            dropped.append(
                Failure(id=pair.id, stage="train", reason=error.reason, detail=error.detail)
            )
    return Prepared(examples=examples, dropped=dropped)


class Encoder:
    """Pairs to examples with one tokenizer and one set of settings."""

    def __init__(self, tokenizer: Any, config: TrainConfig) -> None:
        self._tokenizer = tokenizer
        self._config = config
        self._template_values = config.template_values
        self._control_ids = (
            {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
            | set(tokenizer.all_special_ids)
            | _template_ids(tokenizer, config.template_values)
        )

    def encode(self, pair: Pair) -> Example:
        """The example of one pair. Raises RenderError with the reason when it cannot train."""
        for message in pair.prompt:
            self._refuse_control_text(message.content, "the prompt")
        frame = frame_prompt(self._tokenizer, pair.prompt, self._template_values)
        return Example(
            id=pair.id,
            chosen=self._encode_side(
                pair, frame, Side.CHOSEN, pair.chosen_spans, pair.chosen_finish_reason
            ),
            rejected=self._encode_side(
                pair, frame, Side.REJECTED, pair.rejected_spans, pair.rejected_finish_reason
            ),
        )

    def _encode_side(
        self,
        pair: Pair,
        frame: Frame,
        side: Side,
        spans: Sequence[Span] | None,
        finish_reason: FinishReason,
    ) -> TokenSequence:
        answer = (pair.chosen if side is Side.CHOSEN else pair.rejected)[0].content
        self._refuse_control_text(answer, f"the {side} answer")
        rendered = render_answer(self._tokenizer, pair.prompt, answer, frame, self._template_values)
        was_cut = finish_reason == "length"  # the answer has no end to train
        spans = spans if self._config.use_spans else None
        # Stock DPO trains the end of an answer; sentence masks do not, unless `eos` is set.
        eos = self._config.eos or ("both" if spans is None else "neither")
        eos_trains = eos in ("both", side.value)
        sequence = encode_rendered(
            self._tokenizer,
            rendered,
            spans,
            trailer_weight=1.0 if eos_trains and not was_cut else 0.0,
            keep_trailer=not was_cut,
        )
        return _truncate(sequence, self._config.max_length, side)

    def _refuse_control_text(self, text: str, where: str) -> None:
        """Raise RenderError when `text`, alone, holds a control token.

        The unknown token is special too, but an unknown character is not control text.
        """
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        unknown = self._tokenizer.unk_token
        for token_id, (start, end) in zip(
            encoded["input_ids"], encoded["offset_mapping"], strict=True
        ):
            if token_id not in self._control_ids:
                continue
            if token_id == self._tokenizer.unk_token_id and unknown not in text[start:end]:
                continue
            marker = text[start:end].strip()
            raise RenderError("control_token", f"{where} holds the control token {marker!r}")


def _template_ids(tokenizer: Any, kwargs: Mapping[str, Any]) -> set[int]:
    """Added tokens that the template itself writes around messages.

    Some tokenizers hold their turn markers as added tokens that are not flagged special; in a
    message they would still start a turn.
    """
    user, reply = Message(role="user", content="Yes?"), Message(role="assistant", content="Yes.")
    # White space and plain words may also be added tokens; they are not markers.
    added = {
        index
        for index, token in tokenizer.added_tokens_decoder.items()
        if token.content.strip() and not token.content.isalnum()
    }
    found: set[int] = set()
    for prompt in ([user], [user, reply, user], [Message(role="system", content="Yes."), user]):
        try:
            frame = frame_prompt(tokenizer, prompt, kwargs)
        except RenderError:
            continue  # a template may refuse a system message
        for text in (frame.head, frame.tail):
            found |= added & set(tokenizer(text, add_special_tokens=False)["input_ids"])
    return found


def encode_rendered(
    tokenizer: Any,
    rendered: Rendered,
    spans: Sequence[Span] | None,
    *,
    trailer_weight: float,
    keep_trailer: bool = True,
) -> TokenSequence:
    """Tokens and weights of one rendered conversation, not truncated."""
    encoded = tokenizer(rendered.text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = encoded["input_ids"]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    extents = token_extents(rendered.text, encoded["offset_mapping"], tokens)
    characters = weigh_characters(rendered, spans, trailer_weight=trailer_weight)
    weights = weigh_tokens(rendered, extents, characters)
    # Nothing predicts the first token of a sequence, so it cannot train.
    first = max(first_answer_token(rendered, extents), 1)
    weights[:first] = [0.0] * min(first, len(weights))
    end = len(ids) if keep_trailer else end_of_answer(rendered, extents)
    return TokenSequence(token_ids=ids[:end], weights=weights[:end], first=first)


def _truncate(sequence: TokenSequence, max_length: int, side: Side) -> TokenSequence:
    """Cut the answer at its end; the prompt stays whole. Raises RenderError."""
    if sequence.num_active == 0:
        raise RenderError("no_active_token", f"no token of the {side} side has a non-zero weight")
    if sequence.first >= max_length:
        raise RenderError(
            "prompt_too_long", f"the prompt has {sequence.first} tokens, max_length is {max_length}"
        )
    kept = TokenSequence(
        token_ids=sequence.token_ids[:max_length],
        weights=sequence.weights[:max_length],
        first=sequence.first,
    )
    if kept.num_active == 0:
        raise RenderError(
            "truncated",
            f"all active tokens of the {side} side are after the first {max_length} tokens",
        )
    return kept
