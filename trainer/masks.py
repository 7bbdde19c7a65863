"""Masks: the weight of every token, from the weights of the sentences that contain it.

The rule: a token's weight is the smallest weight among the non-space characters it covers. So it
trains if and only if all of them are in spans with non-zero weight. It follows that:

- a character of the answer outside all spans weighs 0;
- white space follows the sentence before it (at the start of the answer, the sentence after it),
  whether or not a span includes it: trimming a span, or extending it over the white space at its
  ends, changes no mask;
- a token of white space alone has the smallest weight of that white space;
- a token that covers the end of the prompt and the start of the answer weighs 0, even if it shares
  only a space;
- the template's trailer (end-of-text and what follows) has the weight that `eos` sets;
- a token without characters has the weight of the character before it.

Weights are floats, and 0 is a weight like any other: no label, id or sentinel means "masked".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import accumulate

from schemas.records import Span
from schemas.spans import Offsets
from trainer.render import Rendered

# How byte-level BPE and SentencePiece write a space inside a token.
_SPACE_MARKS = "Ġ▁"


def weigh_characters(
    rendered: Rendered, spans: Sequence[Span] | None, *, trailer_weight: float
) -> list[float]:
    """One weight per character of `rendered.text`; prompt and template before the answer weigh 0.

    Span offsets are characters of the answer's content, whose ends the template may have trimmed.
    Without spans every character of the answer weighs 1 (stock DPO).
    """
    num_answer = rendered.end - rendered.start
    if spans is None:
        answer = [1.0] * num_answer
    else:
        answer = [0.0] * num_answer
        for span in spans:
            start = max(span.start - rendered.content_start, 0)
            end = min(span.end - rendered.content_start, num_answer)
            if start < end:  # else the template trimmed away the whole span
                answer[start:end] = [span.weight] * (end - start)
        answer = _lend_to_spaces(rendered.text[rendered.start : rendered.end], answer)
    trailer = [trailer_weight] * (len(rendered.text) - rendered.end)
    return [0.0] * rendered.start + answer + trailer


def weigh_tokens(
    rendered: Rendered, extents: Sequence[Offsets], character_weights: Sequence[float]
) -> list[float]:
    """One weight per token, 0 for masked; `extents` come from `token_extents`.

    `character_weights` has one weight per character of `rendered.text` (`weigh_characters`).
    A token without characters takes the weight of the character before it, if that is in the answer
    or the trailer.
    """
    text, answer_start = rendered.text, rendered.start
    weights = []
    for start, end in extents:
        if start == end:
            weights.append(character_weights[start - 1] if start > answer_start else 0.0)
        elif start < answer_start:
            weights.append(0.0)
        else:
            covered = range(start, end)
            words = [character_weights[at] for at in covered if not text[at].isspace()]
            weights.append(min(words or [character_weights[at] for at in covered]))
    return weights


def token_extents(text: str, offsets: Sequence[Offsets], tokens: Sequence[str]) -> list[Offsets]:
    """The characters that each token covers: its offsets, plus those that some tokenizers omit.

    Byte-level BPE with `trim_offsets` (GPT-2, RoBERTa, older Llama 3 files) reports "Ġcat" at "cat"
    alone, others at " cat". That space decides whether a token crosses from prompt to answer, so it
    is added again, at both ends: as many spaces as the token's own text has there, unless another
    token covers them.

    A tokenizer that composes letters (Qwen's NFC) reports "é" written as two characters at the
    first of them; the others are added again too.

    >>> token_extents("a cat", [(0, 1), (2, 5)], ["a", "Ġcat"])
    [(0, 1), (1, 5)]
    """
    starts = _true_starts(text, offsets, tokens)
    extents: list[Offsets] = []
    limit = following = len(text)  # where the characters of later tokens begin
    for start, (_, end), token in zip(
        reversed(starts), reversed(offsets), reversed(tokens), strict=True
    ):
        # Several tokens of one character share their offsets, and so their limit.
        limit = following if following >= end else limit
        extents.append((start, _true_end(text, start, end, limit, token)))
        following = start
    return extents[::-1]


def first_answer_token(rendered: Rendered, extents: Sequence[Offsets]) -> int:
    """Index of the first token that ends after the prompt; the number of tokens if none does."""
    for index, (_, end) in enumerate(extents):
        if end > rendered.start:
            return index
    return len(extents)


def end_of_answer(rendered: Rendered, extents: Sequence[Offsets]) -> int:
    """The number of tokens without those that are entirely in the trailer."""
    count = len(extents)
    while count and extents[count - 1][0] >= rendered.end:
        count -= 1
    return count


def _lend_to_spaces(answer: str, weights: list[float]) -> list[float]:
    """White space takes the weight of the last word character before it, else of the first one."""
    first = next((w for w, c in zip(weights, answer, strict=True) if not c.isspace()), 0.0)
    lent = accumulate(
        zip(weights, answer, strict=True),
        lambda last, item: last if item[1].isspace() else item[0],
        initial=first,
    )
    return list(lent)[1:]


def _true_starts(text: str, offsets: Sequence[Offsets], tokens: Sequence[str]) -> list[int]:
    """Where each token starts, with the spaces before it that no earlier token covers."""
    starts = []
    reached = 0
    for (given, end), token in zip(offsets, tokens, strict=True):
        piece, start = text[given:end], given
        missing = len(token) - len(token.lstrip(_SPACE_MARKS))
        # Only spaces: a token " \n" reported at "\n" still needs its space.
        missing -= len(piece) - len(piece.lstrip(" " + _SPACE_MARKS))
        while missing > 0 and start > reached and text[start - 1].isspace():
            start -= 1
            missing -= 1
        starts.append(start)
        reached = max(reached, end)
    return starts


def _true_end(text: str, start: int, given: int, limit: int, token: str) -> int:
    """Where a token ends, with the omitted characters before `limit` that belong to it."""
    if start == given:
        return given
    piece, end = text[start:given], given
    missing = len(token) - len(token.rstrip(_SPACE_MARKS))
    missing -= len(piece) - len(piece.rstrip(" " + _SPACE_MARKS))
    while end < limit:
        if text[end].isspace():
            if missing <= 0:
                break
            missing -= 1
        elif not _is_folded(text[start:end], text[end]):
            break  # omitted by the tokenizer, like control characters: part of no token
        end += 1
    return end


def _is_folded(piece: str, letter: str) -> bool:
    """Whether Unicode composes `letter` into the end of `piece`."""
    whole, alone = (len(unicodedata.normalize("NFKC", text)) for text in (piece + letter, piece))
    return whole <= alone
