"""Whole pairs through `prepare_examples` against the benchmark's oracle, which reads no offsets.

Texts, spans, templates, tokenizers and cuts are generated; what a template writes is known as
plain strings, so that not even the place of the answer is taken from our own code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mask_cases import CASES, TEMPLATES, Template
from mask_oracle import Parts, expected_weights, spell_bytes, spell_marked, train_byte_fallback
from tiny_models import SENTENCES, byte_level_tokenizer, unigram_tokenizer

from schemas.labels import Label, Side
from schemas.records import Message, Pair, Span
from trainer.config import TrainConfig
from trainer.examples import Example, TokenSequence, encode_rendered, prepare_examples
from trainer.masks import token_extents
from trainer.render import Rendered

Spell = Callable[[str], list[list[int]]]
Weighted = list[tuple[int, int, float]]


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """A tokenizer, the templates in its own markers, and how its tokens are spelled."""

    tokenizer: Any
    spell: Spell
    templates: dict[str, Template]

    def write_with(self, name: str) -> Template:
        self.tokenizer.chat_template = self.templates[name].jinja
        return self.templates[name]


def composing_tokenizer() -> Any:
    """Byte-level BPE behind NFC, as Qwen has it."""
    from tokenizers import normalizers

    tokenizer = byte_level_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def stripping_tokenizer() -> Any:
    """Special tokens that take in the white space beside them, as Phi-3's and RoBERTa's do."""
    from transformers import AddedToken

    tokenizer = byte_level_tokenizer()
    markers = [AddedToken(each, lstrip=True, rstrip=True) for each in ("<|start|>", "<|end|>")]
    tokenizer.add_special_tokens(
        {"eos_token": markers[1], "additional_special_tokens": [markers[0]]}
    )
    return tokenizer


@cache
def tiny(name: str) -> Tiny:
    templates = {
        each.name: replace(
            each,
            **{
                field: getattr(each, field).replace("<|im_", "<|")
                for field in ("jinja", "before", "between", "after")
            },
        )
        for each in TEMPLATES
    }
    if name == "byte_fallback":
        under_test = train_byte_fallback(SENTENCES * 3)
        own = {each.name: each for each in TEMPLATES}
        return Tiny(tokenizer=under_test.tokenizer, spell=under_test.spell, templates=own)
    if name == "unigram":
        tokenizer = unigram_tokenizer()
        return Tiny(
            tokenizer=tokenizer,
            spell=lambda text: spell_marked(tokenizer, text, always_marks=False),
            templates=templates,
        )
    tokenizer = {
        "byte_level": byte_level_tokenizer,
        "trimmed_offsets": lambda: byte_level_tokenizer(trim_offsets=True),
        "composing": composing_tokenizer,
        "stripping": stripping_tokenizer,
    }[name]()
    return Tiny(
        tokenizer=tokenizer,
        spell=lambda text: spell_bytes(tokenizer, text),
        templates=templates,
    )


TOKENIZERS = [
    "byte_level",
    "trimmed_offsets",
    "composing",
    "stripping",
    "unigram",
    "byte_fallback",
]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One side as the oracle has it, uncut."""

    ids: list[int]
    weights: list[float]
    first: int

    def reason(self, max_length: int) -> str | None:
        """Why this side cannot train at this length; None if it can."""
        if not any(self.weights):
            return "no_active_token"
        if self.first >= max_length:
            return "prompt_too_long"
        return None if any(self.weights[:max_length]) else "truncated"


def want(model: Tiny, parts: Parts, spans: Weighted, *, end_weight: float, was_cut: bool) -> Wanted:
    spelled = model.spell(parts.text)
    ids = model.tokenizer(parts.text, add_special_tokens=False)["input_ids"]
    assert len(ids) == len(spelled)
    weights = expected_weights(parts, spans, spelled, tail_weight=end_weight)
    start, end = len(parts.head), len(parts.head) + len(parts.answer)
    if was_cut:  # the end that the model never wrote is left out
        num_kept = max(at + 1 for at, some in enumerate(spelled) if some[0] < end)
        ids, weights = ids[:num_kept], weights[:num_kept]
    return Wanted(ids=ids, weights=weights, first=sum(some[-1] < start for some in spelled))


def make_pair(question: str, answers: dict[Side, tuple[str, Weighted]], **changes: Any) -> Pair:
    values: dict[str, Any] = {}
    for side, (text, spans) in answers.items():
        values[str(side)] = [Message(role="assistant", content=text)]
        values[f"{side}_spans"] = [
            Span(start=start, end=end, label=Label.NO_FACT, weight=weight)
            for start, end, weight in spans
        ]
    prompt = [Message(role="user", content=question)]
    return Pair(id="pair", prompt=prompt, **{**values, **changes})


def prepare(model: Tiny, pair: Pair, **config: Any) -> Example | str:
    """The example, or the reason of the drop."""
    prepared = prepare_examples([pair], model.tokenizer, TrainConfig(model="m", **config))
    assert len(prepared.examples) + len(prepared.dropped) == 1
    return prepared.dropped[0].reason if prepared.dropped else prepared.examples[0]


def assert_as_wanted(got: Example | str, wanted: dict[Side, Wanted], max_length: int) -> None:
    reasons = [reason for side in wanted.values() if (reason := side.reason(max_length))]
    if reasons:
        assert got == reasons[0]
        return
    assert isinstance(got, Example), got
    for side, one in wanted.items():
        sequence: TokenSequence = getattr(got, str(side))
        assert sequence.token_ids == one.ids[:max_length]
        assert sequence.weights == one.weights[:max_length]
        assert sequence.first == one.first
        assert sequence.num_active > 0


pieces = st.one_of(
    st.sampled_from(
        [
            "Ada Ling was born.",
            "It is.",
            "It is.",
            "1,204 km",
            "你好，世界。",
            "\U0001f469\u200d\U0001f469\u200d\U0001f467",
            "\U0001f1ec\U0001f1e7\U0001f1eb\U0001f1f7",
            "e\u0301",
            "\u0301",
            "\u1112\u1161\u11ab",
            "| a | b |\n|---|---|\n",
            "```\n  x = 1\n```",
            "- [x] *a*",
            "assistant",
            "answer0stand0in",
            "[/INST]",
            "<|",
            "\u00a0",
            "\u3000",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
).filter(lambda text: "\u2581" not in text)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, Weighted]:
    """An answer, and spans that begin and end anywhere in it, also inside letters and words."""
    text = draw(st.sampled_from(["", "", " ", "\n", "  \n"]))
    for _ in range(draw(st.integers(1, 5))):
        text += draw(pieces) + draw(st.sampled_from(["", " ", "  ", "\n", " \n\n"]))
    text = text or "a"
    edges = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)) | {0, len(text)})
    spans = []
    for start, end in pairwise(edges):
        weight = draw(st.sampled_from([None, 0.0, 1.0, 1.0, 0.5]))
        if weight is not None:
            spans.append((start, end, weight))
    return text, spans


@pytest.mark.parametrize("name", TOKENIZERS)
@given(
    template=st.sampled_from([each.name for each in TEMPLATES]),
    question=st.sampled_from(["Who was she?", " Two\n\nlines? ", "它是什么？"]),
    chosen=answers(),
    rejected=answers(),
    eos=st.sampled_from(["neither", "chosen", "both"]),
    finish=st.sampled_from(["stop", "length"]),
    cut=st.floats(0, 1.2),
)
@example(
    template="chatml",
    question="Caf\u00e9?",
    chosen=("Cafe\u0301.", [(0, 4, 1.0), (4, 5, 0.0), (5, 6, 1.0)]),
    rejected=("So.", [(0, 3, 1.0)]),
    eos="neither",
    finish="stop",
    cut=1.0,
)
@example(  # a token that reaches from a cut-off answer into the end: kept, and of no weight
    template="chatml",
    question="Who?",
    chosen=("So.", [(0, 3, 1.0)]),
    rejected=("So. ", [(0, 4, 1.0)]),
    eos="both",
    finish="length",
    cut=1.0,
)
@settings(max_examples=70)
def test_pairs_equal_the_oracle(  # noqa: PLR0917 - hypothesis draws each by name
    name: str,
    template: str,
    question: str,
    chosen: tuple[str, Weighted],
    rejected: tuple[str, Weighted],
    eos: str,
    finish: str,
    cut: float,
) -> None:
    """Ids, weights, first and reasons, on either side, at any length."""
    model = tiny(name)
    written = model.write_with(template)
    both = {Side.CHOSEN: chosen, Side.REJECTED: rejected}
    wanted = {
        side: want(
            model,
            written.parts(question, text),
            spans,
            end_weight=float(eos in ("both", side.value) and (side is Side.CHOSEN or not was_cut)),
            was_cut=was_cut and side is Side.REJECTED,
        )
        for was_cut in [finish == "length"]
        for side, (text, spans) in both.items()
    }
    longest = max(len(side.ids) for side in wanted.values())
    max_length = max(2, round(cut * longest))
    got = prepare(
        model,
        make_pair(question, both, rejected_finish_reason=finish),
        eos=eos,
        max_length=max_length,
    )
    assert_as_wanted(got, wanted, max_length)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("case", ["markdown_table", "emoji", "repeated_sentences", "outer_spaces"])
def test_no_length_moves_a_mask_or_loses_one_silently(name: str, case: str) -> None:
    """From a budget that holds no prompt to one that cuts nothing."""
    model = tiny(name)
    template = model.write_with("trimming" if case == "emoji" else "spaced")
    (found,) = [each for each in CASES if each.name == case]
    both = {}
    for side, sentences in ((Side.CHOSEN, found.chosen), (Side.REJECTED, found.rejected)):
        text, spans = "", []
        for index, (piece, label) in enumerate(sentences):
            if label is not None:
                # Late weights: there are lengths that keep the answer but none of what trains.
                weight = 0.0 if index < 2 else [1.0, 0.5, 0.0][index % 3 - 2]
                spans.append((len(text), len(text) + len(piece), weight))
            text += piece
        both[side] = (text, spans)
    wanted = {
        side: want(
            model, template.parts(found.question, text), spans, end_weight=0.0, was_cut=False
        )
        for side, (text, spans) in both.items()
    }
    pair = make_pair(found.question, both)
    outcomes = set()
    for max_length in range(2, max(len(side.ids) for side in wanted.values()) + 2):
        got = prepare(model, pair, max_length=max_length)
        assert_as_wanted(got, wanted, max_length)
        outcomes.add(got if isinstance(got, str) else "kept")
    assert {"prompt_too_long", "truncated", "kept"} == outcomes


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("where", ["prompt", "chosen", "rejected"])
def test_control_text_is_refused_wherever_it_stands(name: str, where: str) -> None:
    model = tiny(name)
    fine = ("It is.", [(0, 6, 1.0)])
    controls = [token.content for token in model.tokenizer.added_tokens_decoder.values()]
    assert len(controls) >= 2
    for template in model.templates:
        model.write_with(template)
        for control in controls:
            for said in (control, f"{control} b", f"a{control}b", f"a\n {control}"):
                spans = [(0, len(said), 1.0)]
                both = {
                    side: (said, spans) if where == side else fine
                    for side in (Side.CHOSEN, Side.REJECTED)
                }
                pair = make_pair(said if where == "prompt" else "Who?", both)
                assert prepare(model, pair) == "control_token", (template, said)
        both = dict.fromkeys(Side, ("<| end|> [/INST", [(0, 15, 1.0)]))
        assert isinstance(prepare(model, make_pair("What is <|im_end?", both)), Example)


def test_a_composed_letter_weighs_the_least_of_its_characters() -> None:
    """One token of two characters, which belong to two sentences."""
    model = tiny("composing")
    model.write_with("chatml")
    for weights in ([1.0, 0.0], [0.0, 1.0], [1.0, 0.5]):
        spans = [(0, 4, weights[0]), (4, 6, weights[1])]
        both = dict.fromkeys(Side, ("Cafe\u0301.", spans))
        got = prepare(model, make_pair("Who?", both))
        assert isinstance(got, Example)
        tokens = model.tokenizer.convert_ids_to_tokens(got.chosen.token_ids)
        accented = [at for at, token in enumerate(tokens) if "Ã" in token or "©" in token]
        assert accented
        assert {got.chosen.weights[at] for at in accented} == {min(weights)}


def test_extents_take_back_what_offsets_leave_out() -> None:
    composed = "e\u0301a"
    assert token_extents(composed, [(0, 1), (2, 3)], ["Ã©", "a"]) == [(0, 2), (2, 3)]
    in_two = [(0, 1), (0, 1), (2, 3)]
    assert token_extents(composed, in_two, ["Ã", "©", "a"]) == [(0, 2), (0, 2), (2, 3)]
    hangul = "\u1112\u1161\u11ab"
    assert token_extents(hangul, [(0, 1)], ["x"]) == [(0, 3)]
    # A space before a line break, and one after it, under trimmed offsets.
    assert token_extents("a \nb", [(0, 1), (2, 3), (3, 4)], ["a", "ĠĊ", "b"])[1] == (1, 3)
    assert token_extents("a\n b", [(0, 1), (1, 2), (3, 4)], ["a", "ĊĠ", "b"])[1] == (1, 3)
    assert token_extents("a\n b", [(0, 1), (1, 2), (3, 4)], ["a", "Ċ", "Ġb"])[1:] == [
        (1, 2),
        (2, 4),
    ]
    # A character that the tokenizer drops is part of no token.
    assert token_extents("a\u0007b", [(0, 1), (2, 3)], ["a", "b"]) == [(0, 1), (2, 3)]


def test_the_first_token_of_a_sequence_never_trains() -> None:
    """Nothing predicts it: a template that writes nothing before the answer costs it one token."""
    text = "She wrote eleven novels."
    rendered = Rendered(text=text, start=0, end=len(text), content_start=0)
    sequence = encode_rendered(byte_level_tokenizer(), rendered, None, trailer_weight=0.0)
    assert sequence.first == 1
    assert sequence.weights == [0.0] + [1.0] * (len(sequence.token_ids) - 1)
