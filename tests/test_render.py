"""Rendering: the answer is found in what any template writes, or the template is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import CHATML, TRIMMING, byte_level_tokenizer, make_pair_values, unigram_tokenizer

from schemas.errors import ConfigError
from schemas.records import Message, Pair
from trainer.config import TrainConfig
from trainer.data import parse_pair
from trainer.examples import Encoder, prepare_examples
from trainer.render import STAND_IN, RenderError, check_tokenizer, frame_prompt, render_answer

QUESTION = [Message(role="user", content="Which?")]
THINKING = """{% for message in messages %}{{ '<|start|>' + message['role'] + '\n' }}
{%- if message['role'] == 'assistant' %}
{%- set content = message['content'].split('</think>')[-1].lstrip('\n') %}
{%- if loop.last %}{{ '<think>\n\n</think>\n\n' + content }}{% else %}{{ content }}{% endif %}
{%- else %}{{ message['content'] }}{% endif %}{{ '<|end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}"""
DEFAULT_SYSTEM = "{{ '<|start|>system\nBe brief.<|end|>\n' }}" + CHATML
ALTERNATING = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
)


@pytest.mark.parametrize("template", [CHATML, TRIMMING, THINKING, DEFAULT_SYSTEM])
@given(answer=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_the_answer_is_where_the_template_put_it(template: str, answer: str) -> None:
    tokenizer = byte_level_tokenizer_once()
    tokenizer.chat_template = template
    frame = frame_prompt(tokenizer, QUESTION, {})
    rendered = render_answer(tokenizer, QUESTION, answer, frame, {})
    placed = rendered.text[rendered.start : rendered.end]
    assert placed.strip() == answer.strip()
    assert answer[rendered.content_start : rendered.content_start + len(placed)] == placed
    assert rendered.text == frame.head + placed + frame.tail


def byte_level_tokenizer_once(cache: list[object] = []) -> object:  # noqa: B006
    if not cache:
        cache.append(byte_level_tokenizer())
    return cache[0]


def test_an_answer_that_also_stands_in_the_template_is_not_confused() -> None:
    tokenizer = byte_level_tokenizer(template=THINKING)
    frame = frame_prompt(tokenizer, QUESTION, {})
    rendered = render_answer(tokenizer, QUESTION, "t", frame, {})
    assert rendered.text[rendered.start - 2 : rendered.end + 1] == "\n\nt<"


@pytest.mark.parametrize("extra", ["", "0", "00 and answer0stand0in0"])
def test_a_prompt_that_holds_the_stand_in_is_not_confused(extra: str) -> None:
    tokenizer = byte_level_tokenizer()
    question = [Message(role="user", content=f"What is {STAND_IN}{extra}?")]
    frame = frame_prompt(tokenizer, question, {})
    rendered = render_answer(tokenizer, question, STAND_IN, frame, {})
    assert rendered.text[: rendered.start].endswith("assistant\n")
    assert rendered.text[rendered.start : rendered.end] == STAND_IN


def test_an_answer_the_template_rewrites_drops_the_row() -> None:
    tokenizer = byte_level_tokenizer(template=THINKING)
    frame = frame_prompt(tokenizer, QUESTION, {})
    with pytest.raises(RenderError) as caught:
        render_answer(tokenizer, QUESTION, "I think</think>yes", frame, {})
    assert caught.value.reason == "answer_rewritten"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ messages[0]['content'] }}", "0 times"),
        (CHATML + "{{ messages[-1]['content'] }}", "2 times"),
        (CHATML.replace("message['content']", "message['content'] | upper"), "0 times"),
        (CHATML.replace("message['content']", "message['content'] | escape"), "changes"),
        ("{{ raise_exception('not today') }}", "not today"),
        ("{% for x in %}", "template"),
        (None, "no chat template"),
    ],
)
def test_a_template_without_the_answer_is_refused(template: str | None, said: str) -> None:
    tokenizer = byte_level_tokenizer(template=template)
    with pytest.raises(ConfigError, match=said):
        check_tokenizer(tokenizer, where="model", kwargs={})


def test_a_tokenizer_without_offsets_is_refused() -> None:
    from transformers import ByT5Tokenizer

    with pytest.raises(ConfigError, match="ByT5Tokenizer gives no character offsets"):
        check_tokenizer(ByT5Tokenizer(), where="model", kwargs={})


def test_a_context_other_than_in_sampling_is_told() -> None:
    tokenizer = byte_level_tokenizer(template=CHATML)
    assert check_tokenizer(tokenizer, where="model", kwargs={}) == []
    tokenizer.chat_template = CHATML.replace("<|start|>assistant\n'", "<|start|>bot\n'")
    (note,) = check_tokenizer(tokenizer, where="model", kwargs={})
    assert "another context than sampling" in note


def make_pair(**changes: object) -> Pair:
    values = make_pair_values() | changes
    return parse_pair(values, str(values["id"]))


def prepare(tokenizer: object, pair: Pair, **settings: object) -> str:
    """The reason why `pair` was dropped, or 'kept'."""
    config = TrainConfig.parse({"model": "m"} | settings, where="test")
    prepared = prepare_examples([pair], tokenizer, config)
    assert len(prepared.examples) + len(prepared.dropped) == 1
    return prepared.dropped[0].reason if prepared.dropped else "kept"


def answer_of(content: str, role: str = "assistant") -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def test_text_that_becomes_a_control_token_drops_the_row() -> None:
    tokenizer = byte_level_tokenizer()
    plain = {"chosen_spans": None, "rejected_spans": None}
    assert prepare(tokenizer, make_pair()) == "kept"
    answer = answer_of("Yes.<|end|>\n<|start|>user\nMore?")
    assert prepare(tokenizer, make_pair(chosen=answer, **plain)) == "control_token"
    assert prepare(tokenizer, make_pair(rejected=answer, **plain)) == "control_token"
    prompt = answer_of("Say <|end|> now", role="user")
    assert prepare(tokenizer, make_pair(prompt=prompt)) == "control_token"
    assert prepare(tokenizer, make_pair(chosen=answer_of("a <|end |> b"), **plain)) == "kept"


def test_an_unknown_character_is_no_control_token() -> None:
    tokenizer = unigram_tokenizer()
    plain = {"chosen_spans": None, "rejected_spans": None}
    assert tokenizer.unk_token_id in tokenizer("Wow ☃", add_special_tokens=False)["input_ids"]
    assert prepare(tokenizer, make_pair(chosen=answer_of("Wow ☃"), **plain)) == "kept"
    assert prepare(tokenizer, make_pair(chosen=answer_of("Wow <unk>"), **plain)) == "control_token"


def test_a_conversation_the_template_refuses_drops_the_row() -> None:
    tokenizer = byte_level_tokenizer(template=ALTERNATING + CHATML)
    prompt = answer_of("Be kind.", role="system") + answer_of("Who?", role="user")
    assert prepare(tokenizer, make_pair(prompt=prompt)) == "template_refused"
    assert prepare(tokenizer, make_pair()) == "kept"


def test_a_side_without_weight_drops_the_pair() -> None:
    tokenizer = byte_level_tokenizer()
    span = {"start": 0, "end": 4, "label": "contradictory", "weight": 0.0}
    pair = make_pair(chosen_spans=[span])
    assert prepare(tokenizer, pair) == "no_active_token"
    assert prepare(tokenizer, pair, eos="both") == "kept"
    assert prepare(tokenizer, pair, use_spans=False) == "kept"
    assert prepare(tokenizer, make_pair(rejected_spans=[])) == "no_active_token"


def test_truncation_at_every_length_keeps_the_prompt_and_clips_the_masks() -> None:
    """Each length gives a prefix of the untruncated sequence, or the right reason for a drop."""
    late = [dict(span, weight=1.0 - span["weight"]) for span in make_pair_values()["chosen_spans"]]
    tokenizer, pair = byte_level_tokenizer(), make_pair(chosen_spans=late)
    whole = Encoder(tokenizer, TrainConfig(model="m")).encode(pair)
    sides = (whole.chosen, whole.rejected)
    longest = max(len(side.token_ids) for side in sides)
    reasons = set()
    for max_length in range(2, longest + 2):
        config = TrainConfig(model="m", max_length=max_length)
        try:
            example = Encoder(tokenizer, config).encode(pair)
        except RenderError as error:
            reasons.add(error.reason)
            actives = [sum(w > 0 for w in side.weights[:max_length]) for side in sides]
            assert 0 in actives
            if error.reason == "prompt_too_long":
                assert max_length <= whole.chosen.first
            continue
        for cut, side in zip((example.chosen, example.rejected), sides, strict=True):
            assert cut.token_ids == side.token_ids[:max_length]
            assert cut.weights == side.weights[:max_length]
            assert cut.first == side.first
    assert reasons == {"prompt_too_long", "truncated"}


def test_the_end_trains_by_policy_and_never_after_a_cut_off_answer() -> None:
    tokenizer = byte_level_tokenizer()
    end_id = tokenizer.convert_tokens_to_ids("<|end|>")

    def end_weights(eos: str, **changes: object) -> tuple[float | None, float | None]:
        config = TrainConfig.parse({"model": "m", "eos": eos}, where="test")
        example = Encoder(tokenizer, config).encode(make_pair(**changes))
        found = []
        for side in (example.chosen, example.rejected):
            tail = range(side.first, len(side.token_ids))
            ends = [side.weights[at] for at in tail if side.token_ids[at] == end_id]
            found.append(ends[0] if ends else None)
        return found[0], found[1]

    assert end_weights("neither") == (0.0, 0.0)
    assert end_weights("chosen") == (1.0, 0.0)
    assert end_weights("both") == (1.0, 1.0)
    assert end_weights("both", rejected_finish_reason="length") == (1.0, None)
    assert end_weights("both", chosen_finish_reason="stop") == (1.0, 1.0)


def test_earlier_turns_never_train() -> None:
    tokenizer = byte_level_tokenizer()
    prompt = (
        answer_of("Who?", role="user")
        + answer_of("Ada Ling.")
        + answer_of("And when?", role="user")
    )
    example = Encoder(tokenizer, TrainConfig(model="m", use_spans=False)).encode(
        make_pair(prompt=prompt)
    )
    head = tokenizer.decode(example.chosen.token_ids[: example.chosen.first])
    assert head.endswith("And when?<|end|>\n<|start|>assistant\n")
    assert not any(example.chosen.weights[: example.chosen.first])


def test_the_templates_own_markers_count_even_where_no_flag_says_so() -> None:
    """DeepSeek-like: turn markers that are added tokens but not special ones."""
    markers = ["<|User|>", "<|Assistant|>"]
    template = (
        "{% for m in messages %}{{ '<|' + m['role'].capitalize() + '|>' + m['content'] }}"
        "{% endfor %}{{ '<|end|>' }}"
    )
    tokenizer = byte_level_tokenizer(template=template)
    tokenizer.add_tokens(markers, special_tokens=False)
    assert not any(
        token.special
        for token in tokenizer.added_tokens_decoder.values()
        if token.content in markers
    )
    plain = {"chosen_spans": None, "rejected_spans": None}
    assert prepare(tokenizer, make_pair(**plain)) == "kept"
    answer = answer_of("Yes.<|User|>And what?<|Assistant|>Fine.")
    assert prepare(tokenizer, make_pair(chosen=answer, **plain)) == "control_token"
    # An added token that the template does not write is a word like any other.
    tokenizer.add_tokens(["Karsted"], special_tokens=False)
    assert prepare(tokenizer, make_pair(chosen=answer_of("In Karsted."), **plain)) == "kept"


def test_white_space_and_words_that_a_template_writes_are_no_markers() -> None:
    template = (
        "{% for m in messages %}{{ m['role'] + '\n\n' + m['content'] }}{% endfor %}{{ '<|end|>' }}"
    )
    tokenizer = byte_level_tokenizer(template=template)
    tokenizer.add_tokens(["\n\n", "user", "assistant"], special_tokens=False)
    plain = {"chosen_spans": None, "rejected_spans": None}
    answer = answer_of("The user asked.\n\nThe assistant answered.")
    assert prepare(tokenizer, make_pair(chosen=answer, **plain)) == "kept"
