"""Masks against an oracle that walks characters and knows nothing of offsets."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_models import CHATML, TRIMMING, byte_level_tokenizer, unigram_tokenizer

from schemas.labels import Label
from schemas.records import Message, Span
from trainer.examples import TokenSequence, encode_rendered
from trainer.masks import token_extents, weigh_characters, weigh_tokens
from trainer.render import Rendered, frame_prompt, render_answer

PROMPT = [Message(role="user", content="Who was she?")]


@cache
def tokenizer_named(name: str) -> Any:
    return {
        "byte_level": byte_level_tokenizer,
        "byte_level_trimmed_offsets": lambda: byte_level_tokenizer(trim_offsets=True),
        "unigram": unigram_tokenizer,
    }[name]()


TOKENIZERS = ["byte_level", "byte_level_trimmed_offsets", "unigram"]


def make_span(start: int, end: int, weight: float) -> Span:
    label = Label.NO_HALLUCINATION if weight else Label.CONTRADICTORY
    return Span(start=start, end=end, label=label, weight=weight)


def render(tokenizer: Any, answer: str) -> Rendered:
    frame = frame_prompt(tokenizer, PROMPT, {})
    return render_answer(tokenizer, PROMPT, answer, frame, {})


def encode(tokenizer: Any, answer: str, spans: list[Span] | None, trailer: float) -> TokenSequence:
    return encode_rendered(tokenizer, render(tokenizer, answer), spans, trailer_weight=trailer)


def covered_characters(tokenizer: Any, text: str) -> list[list[int]]:
    """Which characters each token is made of, from the tokens' own spelling alone."""
    tokens = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).tokens
    if "▁the" in tokenizer.get_vocab() or "▁" in tokenizer.get_vocab():
        return _walk_metaspace(tokens, text)
    return _walk_bytes(tokens, text)


def _walk_bytes(tokens: list[str], text: str) -> list[list[int]]:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    byte_of = {letter: byte for byte, letter in bytes_to_unicode().items()}
    owner = [at for at, letter in enumerate(text) for _ in letter.encode("utf-8")]
    raw = text.encode("utf-8")
    position, covered = 0, []
    for token in tokens:
        special = token.encode("utf-8")
        spelled = special if token.startswith("<|") else bytes(byte_of[letter] for letter in token)
        assert raw[position : position + len(spelled)] == spelled
        covered.append(sorted(set(owner[position : position + len(spelled)])))
        position += len(spelled)
    assert position == len(raw)
    return covered


def _walk_metaspace(tokens: list[str], text: str) -> list[list[int]]:
    position, covered = 0, []
    for token in tokens:
        mine = []
        for letter in token:
            if letter == "▁" and (position == len(text) or text[position] not in " ▁"):
                continue  # a mark put before a word that has no space before it
            assert text[position] == letter or (letter == "▁" and text[position] == " ")
            mine.append(position)
            position += 1
        covered.append(mine)
    assert position == len(text)
    return covered


def oracle(
    rendered: Rendered,
    covered: list[list[int]],
    spans: list[tuple[int, int, float]],
    trailer: float,
) -> list[float | None]:
    """The rules, one character at a time; None for a token that is made of no character."""

    def in_answer(at: int) -> bool:
        return rendered.start <= at < rendered.end

    def weight_of_letter(at: int) -> float:
        if at >= rendered.end:
            return trailer
        for start, end, weight in spans:
            if start <= at - rendered.start + rendered.content_start < end:
                return weight
        return 0.0

    def weight(at: int) -> float:
        if not (in_answer(at) and rendered.text[at].isspace()):
            return weight_of_letter(at)
        for before in range(at, rendered.start - 1, -1):
            if not rendered.text[before].isspace():
                return weight_of_letter(before)
        for after in range(at, rendered.end):
            if not rendered.text[after].isspace():
                return weight_of_letter(after)
        return 0.0

    expected: list[float | None] = []
    for positions in covered:
        if not positions:
            expected.append(None)
        elif min(positions) < rendered.start:
            expected.append(0.0)
        else:
            letters = [at for at in positions if not rendered.text[at].isspace()]
            expected.append(min(weight(at) for at in letters or positions))
    return expected


def assert_matches(tokenizer: Any, answer: str, spans: list[Span], trailer: float) -> None:
    rendered = render(tokenizer, answer)
    sequence = encode_rendered(tokenizer, rendered, spans, trailer_weight=trailer)
    plain = [(span.start, span.end, span.weight) for span in spans]
    covered = covered_characters(tokenizer, rendered.text)
    expected = oracle(rendered, covered, plain, trailer)
    assert len(sequence.weights) == len(expected)
    for got, wanted in zip(sequence.weights, expected, strict=True):
        assert wanted is None or got == wanted


FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"  # five code points, one picture
pieces = st.one_of(
    st.sampled_from(
        [
            "Ada Ling was born.",
            "It is.",
            "It is.",
            "1,204 km",
            "你好。",
            "😀",
            "👩‍👩‍👧",
            "é",
            "\n\n",
            "- a",
        ]
    ),
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=6
    ).filter(lambda text: "<|" not in text and "▁" not in text),
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[Span]]:
    """Sentences with gaps and white space around them, as people and splitters leave them."""
    text, spans = draw(st.sampled_from(["", " ", "\n", "  \n"])), []
    for _ in range(draw(st.integers(1, 5))):
        sentence = draw(pieces)
        weight = draw(st.sampled_from([None, 0.0, 1.0, 0.5]))
        if sentence and weight is not None:
            spans.append(make_span(len(text), len(text) + len(sentence), weight))
        text += sentence + draw(st.sampled_from(["", " ", "  ", "\n", " \n\n"]))
    return text, spans


@pytest.mark.parametrize("name", TOKENIZERS)
@given(case=answers(), trailer=st.sampled_from([0.0, 1.0]))
@example(case=("😀😀", [make_span(0, 1, 1.0), make_span(1, 2, 0.0)]), trailer=0.0)
@example(case=("It is. It is.", [make_span(0, 6, 0.0), make_span(7, 13, 1.0)]), trailer=1.0)
@settings(max_examples=150, deadline=None)
def test_equals_the_character_oracle(
    name: str, case: tuple[str, list[Span]], trailer: float
) -> None:
    answer, spans = case
    assert_matches(tokenizer_named(name), answer, spans, trailer)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(case=answers())
@settings(max_examples=60, deadline=None)
def test_trimming_spans_changes_nothing(name: str, case: tuple[str, list[Span]]) -> None:
    answer, spans = case
    tokenizer = tokenizer_named(name)
    trimmed = []
    for span in spans:
        piece = answer[span.start : span.end]
        if piece.strip():
            start = span.start + len(piece) - len(piece.lstrip())
            trimmed.append(make_span(start, start + len(piece.strip()), span.weight))
    wide = encode(tokenizer, answer, spans, 0.0)
    assert encode(tokenizer, answer, trimmed, 0.0).weights == wide.weights


@pytest.mark.parametrize("name", TOKENIZERS)
def test_whole_text_in_spans_equals_plain_dpo(name: str) -> None:
    answer = "  Ada Ling was born.  She wrote 😀. "
    spans = [make_span(2, 20, 1.0), make_span(22, 34, 1.0)]
    tokenizer = tokenizer_named(name)
    masked = encode(tokenizer, answer, spans, 1.0)
    plain = encode(tokenizer, answer, None, 1.0)
    assert masked.weights == plain.weights
    assert all(weight == 1.0 for weight in plain.weights[plain.first + 1 :])
    assert not any(plain.weights[: plain.first])


def test_a_character_of_several_tokens_trains_whole() -> None:
    tokenizer = tokenizer_named("byte_level")
    sequence = encode(tokenizer, "😀", [make_span(0, 1, 1.0)], 0.0)
    assert sum(sequence.weights) == len("😀".encode())


def test_the_smallest_weight_inside_a_token_wins() -> None:
    rendered = Rendered(text="xab", start=1, end=3, content_start=0)
    weights = weigh_characters(
        rendered, [make_span(0, 1, 1.0), make_span(1, 2, 0.25)], trailer_weight=0.0
    )
    assert weigh_tokens(rendered, [(0, 1), (1, 3)], weights) == [0.0, 0.25]


@pytest.mark.parametrize("trim", [False, True])
def test_a_token_that_straddles_prompt_and_answer_never_trains(trim: bool) -> None:
    """The template ends in a space, and " was" is one token: half template, half answer."""
    template = CHATML.replace("+ message['content']", "+ ' ' + message['content']")
    tokenizer = byte_level_tokenizer(template=template, trim_offsets=trim)
    rendered = render(tokenizer, "was born in Lima.")
    ids = tokenizer(rendered.text, add_special_tokens=False)["input_ids"]
    sequence = encode_rendered(tokenizer, rendered, [make_span(0, 17, 1.0)], trailer_weight=0.0)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert tokens[sequence.first] == "Ġwas"
    assert sequence.weights[sequence.first] == 0.0
    assert sequence.weights[sequence.first + 1] == 1.0


def test_trimmed_offsets_get_their_spaces_back() -> None:
    assert token_extents("a  cat ", [(0, 1), (2, 2), (3, 6), (7, 7)], ["a", "Ġ", "Ġcat", "Ġ"]) == [
        (0, 1),
        (1, 2),
        (2, 6),
        (6, 7),
    ]
    included = [(0, 1), (1, 5)]
    assert token_extents("a cat", included, ["a", "Ġcat"]) == included
    beginning = [(0, 3)]
    assert token_extents("cat", beginning, ["▁cat"]) == beginning


@pytest.mark.parametrize("name", TOKENIZERS)
@given(case=answers())
@settings(max_examples=60, deadline=None)
def test_a_trimming_template_is_followed(name: str, case: tuple[str, list[Span]]) -> None:
    answer, spans = case
    tokenizer = tokenizer_named(name)
    tokenizer.chat_template = TRIMMING
    try:
        rendered = render(tokenizer, answer)
        assert rendered.text[rendered.start : rendered.end] == answer.strip()
        assert_matches(tokenizer, answer, spans, 0.0)
    finally:
        tokenizer.chat_template = CHATML
