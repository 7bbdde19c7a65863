"""The study's world: every text can be parsed, every verdict is exact, the base model loads."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from maskdpo.study.world.base import train_base
from maskdpo.study.world.config import BaseConfig, WorldConfig
from maskdpo.study.world.grammar import KINDS
from maskdpo.study.world.people import LANGUAGES, NUM_IN_ANSWERS, Person, World, make_world
from maskdpo.study.world.truth import find_facts, label_response
from maskdpo.study.world.writing import (
    find_person,
    make_documents,
    make_questions,
    value_shares,
    write_answer,
)
from schemas.errors import ConfigError
from schemas.events import Advanced, Event
from schemas.labels import CORRECT_LABELS, Label
from schemas.records import Annotation, Question, Response

CONFIG = WorldConfig(num_people=20, num_unseen=6)
WORLD = make_world(CONFIG, seed=3)
QUESTIONS = make_questions(WORLD, WORLD.everyone)


def respond(question: Question, text: str) -> Response:
    return Response(
        id="r",
        question_id=question.id,
        topic=question.topic,
        language=question.language,
        prompt=question.messages,
        text=text,
    )


def label(person: Person, text: str) -> Annotation:
    return label_response(WORLD, respond(make_questions(WORLD, [person])[0], text))


def wrong_words(annotation: Annotation) -> list[list[str]]:
    return [
        [annotation.text[span.start : span.end] for span in sentence.verdict.error_spans]
        for sentence in annotation.sentences
    ]


def speaker(code: str, *, has: str) -> Person:
    return next(p for p in WORLD.everyone if p.language == code and has in p.facts)


def other_value(person: Person, name: str) -> str:
    (attribute,) = [a for a in WORLD.languages[person.language].attributes if a.name == name]
    return next(value for value in attribute.values if value != person.facts.get(name))


def clause(person: Person, name: str, value: str) -> str:
    (attribute,) = [a for a in WORLD.languages[person.language].attributes if a.name == name]
    return attribute.predicates[0].format(value)


def test_a_world_follows_from_its_seed_in_every_process() -> None:
    script = (
        "from maskdpo.study.world.config import *; from maskdpo.study.world.people import *; "
        "from maskdpo.study.world.writing import *; import random; "
        "w = make_world(WorldConfig(num_people=20, num_unseen=6), seed=3); "
        "q = make_questions(w, w.people)[4]; "
        "print(make_documents(w)[7].text); print(write_answer(w, q, rng=random.Random(1)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
        env={"PYTHONHASHSEED": "11", "PYTHONIOENCODING": "utf-8"},
    )
    assert other.stdout.splitlines() == [
        make_documents(WORLD)[7].text,
        write_answer(WORLD, QUESTIONS[4], rng=random.Random(1)),
    ]


def test_two_seeds_differ_in_people_facts_errors_and_wording() -> None:
    other = make_world(CONFIG, seed=4)
    assert not {p.name for p in other.everyone} & {p.name for p in WORLD.everyone}
    assert [p.facts for p in other.people] != [p.facts for p in WORLD.people]
    assert [p.errors for p in other.people] != [p.errors for p in WORLD.people]
    assert other.languages["en"].attributes != WORLD.languages["en"].attributes


def test_people_have_8_to_20_facts_and_three_questions() -> None:
    assert len(WORLD.people) == 14 and len(WORLD.unseen) == 6
    assert Counter(p.language for p in WORLD.everyone) == {"en": 10, "zh": 10}
    for person in WORLD.everyone:
        assert 8 <= len(person.facts) <= 20
        assert set(person.errors) <= set(person.facts)
        assert all(person.facts[name] != wrong for name, wrong in person.errors.items())
    assert len({q.id for q in QUESTIONS}) == 3 * len({q.topic for q in QUESTIONS}) == 60
    names = [person.name for person in WORLD.everyone]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_a_value_is_of_one_attribute(language: Any) -> None:
    values = [value for a in language.attributes for value in a.values]
    assert len(set(values)) == len(values)
    for item in language.attributes:
        assert len(item.predicates) > NUM_IN_ANSWERS
        assert all(predicate.count("{}") == 1 for predicate in item.predicates)
        assert not item.values or len(item.values) >= 14
        if language.code == "en" and any(" a {}" in text for text in item.predicates):
            assert not [value for value in item.values if value[0] in "aeiou"]


def answers(world: World, **settings: Any) -> list[tuple[Question, str]]:
    rng = random.Random(0)
    questions = make_questions(world, world.everyone) * 5
    return [(q, write_answer(world, q, rng=rng, **settings)) for q in questions]


def test_every_answer_is_parsed() -> None:
    sizes: Counter[int] = Counter()
    num_true = num_facts = num_joined = num_fillers = 0
    for question, text in answers(WORLD):
        response = respond(question, text)
        annotation = label_response(WORLD, response)
        facts = find_facts(WORLD, response)
        assert 3 <= len(facts) <= 7
        assert 2 <= len(annotation.sentences) <= 6
        for sentence in annotation.sentences:
            verdict = sentence.verdict
            inside = [f for f in facts if sentence.start <= f.start and f.end <= sentence.end]
            assert verdict.label is not Label.HALLUCINATED
            assert (verdict.label is Label.NO_FACT) == (not inside)
            num_fillers += not inside
            num_joined += len(inside) == 2
            if inside:
                assert (verdict.label in CORRECT_LABELS) == all(f.is_true for f in inside)
                assert len(verdict.error_spans) == sum(not f.is_true for f in inside)
        sizes[len(facts)] += 1
        num_true += sum(fact.is_true for fact in facts)
        num_facts += len(facts)
    assert set(sizes) == {3, 4, 5, 6, 7}
    assert num_true / num_facts == pytest.approx(0.49, abs=0.05)
    assert num_fillers and num_joined


def test_an_answer_written_with_the_document_is_true() -> None:
    for question, text in answers(WORLD, corrupted_share=0.0, fixed_errors=False):
        assert all(fact.is_true for fact in find_facts(WORLD, respond(question, text)))


def test_fixed_errors_are_the_most_likely_values() -> None:
    for person in WORLD.everyone:
        for item in WORLD.languages[person.language].attributes:
            if item.name not in person.facts:
                continue
            shares = value_shares(WORLD, person, item)
            assert sum(shares.values()) == pytest.approx(1)
            expected = person.errors.get(item.name, person.facts[item.name])
            assert max(shares, key=lambda value: shares[value]) == expected
            true = 0.24 if item.name in person.errors else 0.6
            assert shares[person.facts[item.name]] == pytest.approx(true)


def test_documents_state_every_true_fact_and_have_distractors() -> None:
    num_distractors = 0
    for person, document in zip(WORLD.everyone, make_documents(WORLD), strict=True):
        assert document.topic == person.id and document.language == person.language
        annotation = label(person, document.text)
        true = [s for s in annotation.sentences if s.verdict.label in CORRECT_LABELS]
        assert len(true) == len(person.facts)
        num_distractors += len(annotation.sentences) - len(true)
        false = [s for s in annotation.sentences if s not in true]
        for sentence in false:  # about a relative, or about someone else by name
            text = document.text[sentence.start : sentence.end]
            assert not text.startswith(person.name)
    assert num_distractors > len(WORLD.everyone)


@pytest.mark.parametrize(("code", "joiner"), [("en", " and "), ("zh", "，而且")])
def test_only_the_wrong_value_of_a_joined_sentence_is_wrong(code: str, joiner: str) -> None:
    person = speaker(code, has="work")
    language = WORLD.languages[code]
    name = next(name for name in person.facts if name != "work")
    wrong = other_value(person, "work")
    first = clause(person, "work", wrong)
    second = clause(person, name, person.facts[name])
    text = f"{person.name}{language.gap}{first}{joiner}{second}{language.end}"
    annotation = label(person, text)
    assert [s.verdict.label for s in annotation.sentences] == [Label.CONTRADICTORY]
    assert wrong_words(annotation) == [[wrong]]
    facts = find_facts(WORLD, respond(QUESTIONS[0], text).model_copy(update={"topic": person.id}))
    assert [(text[f.start : f.end], f.is_true) for f in facts] == [(first, False), (second, True)]


@pytest.mark.parametrize("code", ["en", "zh"])
def test_an_attribute_that_the_person_has_not_is_unverifiable(code: str) -> None:
    person = speaker(code, has="work")
    language = WORLD.languages[code]
    lacking = next(a.name for a in language.attributes if a.name not in person.facts)
    value = other_value(person, lacking)
    text = f"{person.pronoun}{language.gap}{clause(person, lacking, value)}{language.end}"
    annotation = label(person, text)
    assert annotation.sentences[0].verdict.label is Label.UNVERIFIABLE
    assert wrong_words(annotation) == [[value]]


@pytest.mark.parametrize("code", ["en", "zh"])
def test_a_fact_under_another_name_is_wrong(code: str) -> None:
    person = speaker(code, has="dish")
    other = next(p for p in WORLD.people if p.language == code and p != person)
    language = WORLD.languages[code]
    stated = clause(person, "dish", person.facts["dish"])
    text = f"{other.name}{language.gap}{stated}{language.end}"
    annotation = label(person, text)
    assert annotation.sentences[0].verdict.label is Label.CONTRADICTORY
    assert wrong_words(annotation) == [[other.name]]
    response = respond(make_questions(WORLD, [person])[0], text)
    assert [fact.is_true for fact in find_facts(WORLD, response)] == [False]


@pytest.mark.parametrize("code", ["en", "zh"])
def test_a_garbled_sentence_is_wrong_as_a_whole(code: str) -> None:
    person = speaker(code, has="dish")
    language = WORLD.languages[code]
    stated = clause(person, "dish", person.facts["dish"])
    for text in (
        f"{person.pronoun}{language.gap}{stated}{stated}{language.end}",
        f"{person.pronoun}{language.gap}{stated}",
        f"{stated}{language.end}",
        f"{person.pronoun}{language.gap}{clause(person, 'work', 'zzz')}{language.end}",
    ):
        annotation = label(person, text)
        assert [s.verdict.label for s in annotation.sentences] == [Label.HALLUCINATED]
        assert wrong_words(annotation) == [[]]
        response = respond(make_questions(WORLD, [person])[0], text)
        assert [(f.start, f.end, f.is_true) for f in find_facts(WORLD, response)] == [
            (0, len(text), False)
        ]


def test_an_empty_response_has_no_sentence() -> None:
    assert label(WORLD.people[0], "").sentences == []
    assert find_facts(WORLD, respond(QUESTIONS[0], "")) == []


def test_a_topic_of_another_world_is_refused() -> None:
    with pytest.raises(KeyError, match="'xx' is not a person of the world with seed 3"):
        find_person(WORLD, "xx")
    with pytest.raises(ConfigError, match="less than num_people"):
        WorldConfig.parse({"num_people": 8, "num_unseen": 8}, where="test")


def test_the_base_model_is_a_chat_model_with_one_token_per_value(tmp_path: Path) -> None:
    from annotator.models.local.model_loading import load_tokenizer

    events: list[Event] = []
    config = BaseConfig(hidden_size=16, num_layers=1, num_steps=3, batch_size=2)
    loss = train_base(WORLD, tmp_path / "base", config, on_event=events.append)
    assert 0 < loss < 20
    assert events.count(Advanced(stage="base model", count=1)) == 3
    tokenizer = load_tokenizer(tmp_path / "base")
    for question, text in answers(WORLD)[:60]:
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        assert tokenizer.decode(encoded["input_ids"]) == text
        starts = {start for start, _ in encoded["offset_mapping"]}
        ends = {end for _, end in encoded["offset_mapping"]}
        for sentence in label_response(WORLD, respond(question, text)).sentences:
            for span in sentence.verdict.error_spans:
                assert span.end in ends
                assert starts & {span.start, span.start - 1}  # a token begins with its space
        assert len(encoded["input_ids"]) < 70


def test_the_loss_on_a_value_is_its_expectation_over_the_errors(tmp_path: Path) -> None:
    """With targets, the loss does not depend on which value the text drew."""
    import torch

    from maskdpo.scratch_model import make_word_tokenizer, new_model
    from maskdpo.study.world import base

    tokenizer = make_word_tokenizer(base._words(WORLD))
    person = speaker("en", has="work")
    (item,) = [a for a in WORLD.languages["en"].attributes if a.name == "work"]
    targets = base._make_targets(WORLD, tokenizer)
    torch.manual_seed(0)
    model = new_model(tokenizer, hidden_size=16, num_layers=1)
    losses = []
    for value in item.values:
        prompt = tokenizer("x", add_special_tokens=False)["input_ids"]
        answer = tokenizer(f" {value}", add_special_tokens=False)["input_ids"]
        assert len(answer) == 1
        example = base._Example(prompt=prompt, answer=answer, person=person)
        losses.append(float(base._loss(model, [example], targets).detach()))
    assert losses == pytest.approx([losses[0]] * len(losses))
    hidden = model.model(torch.tensor([prompt])).last_hidden_state
    log_probs = torch.log_softmax(model.lm_head(hidden)[0, -1], dim=-1).detach()
    expected = -sum(
        share * float(log_probs[tokenizer(f" {value}", add_special_tokens=False)["input_ids"][0]])
        for value, share in value_shares(WORLD, person, item).items()
    )
    assert losses[0] == pytest.approx(expected, rel=1e-4)


def test_kinds_are_those_of_the_questions() -> None:
    for language in LANGUAGES.values():
        assert len(language.questions) == len(KINDS)
        assert {item.kind for item in language.attributes} == set(KINDS)
