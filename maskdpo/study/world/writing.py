"""The texts of a world: questions, responses with errors, documents with distractors.

The rule: an answer is written from the language's forms only, so it can be parsed exactly; a
document states every true fact once and nothing false about its person.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from maskdpo.study.world.grammar import KINDS, Attribute, Language
from maskdpo.study.world.people import NUM_IN_ANSWERS, Person, World
from schemas.records import Document, Message, Question

_MIN_FACTS = 3
_MAX_SENTENCES = 6
_ORDER_JITTER = 2.0
"""Two facts can change places where they are less than this many places apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Statement:
    attribute: Attribute
    value: str


def make_questions(
    world: World, people: Sequence[Person], *, kinds: Sequence[int] = KINDS
) -> list[Question]:
    """One question per person and kind, in this order; the topic is the person."""
    return [_make_question(world, person, kind) for person in people for kind in kinds]


def make_documents(world: World) -> list[Document]:
    """One document per person, seen and unseen."""
    return [_write_document(world, person) for person in world.everyone]


def find_person(world: World, topic: str) -> Person:
    """The person with this id. Raises KeyError for another topic."""
    for person in world.everyone:
        if person.id == topic:
            return person
    raise KeyError(f"topic {topic!r} is not a person of the world with seed {world.seed}")


def ask(world: World, person: Person, kind: int) -> str:
    """The wording of the question about a person's facts of this kind."""
    return world.languages[person.language].questions[kind].format(person.name)


def write_answer(
    world: World,
    question: Question,
    *,
    rng: random.Random,
    corrupted_share: float | None = None,
    fixed_errors: bool = True,
) -> str:
    """An answer of 3 to 7 facts in 2 to 6 sentences.

    corrupted_share  share of random wrong values; None: that of the world's settings
    fixed_errors     whether the person's fixed errors are repeated. An author who has the document
                     at hand would not: give False and a small `corrupted_share`
    """
    person = find_person(world, question.topic)
    statements = []
    for item in _choose_facts(world, person, _kind_of(question), rng):
        shares = value_shares(
            world, person, item, corrupted_share=corrupted_share, fixed_errors=fixed_errors
        )
        (value,) = rng.choices(list(shares), weights=list(shares.values()))
        statements.append(_Statement(attribute=item, value=value))
    return _write_sentences(world, person, _group(world, statements, rng), rng)


def _make_question(world: World, person: Person, kind: int) -> Question:
    return Question(
        id=f"question-{person.id}-{kind}",
        topic=person.id,
        language=person.language,
        messages=[Message(role="user", content=ask(world, person, kind))],
        document_ids=[f"doc-{person.id}"],
    )


def _kind_of(question: Question) -> int:
    return int(question.id.rsplit("-", 1)[1])


def _attributes(language: Language, person: Person, kind: int) -> list[Attribute]:
    return [a for a in language.attributes if a.kind == kind and a.name in person.facts]


def _choose_facts(world: World, person: Person, kind: int, rng: random.Random) -> list[Attribute]:
    """The attributes that an answer states, nearly in the order of the table."""
    attributes = _attributes(world.languages[person.language], person, kind)
    kept = [item for item in attributes if rng.random() >= world.config.omitted_share]
    if len(kept) < _MIN_FACTS:
        kept = attributes[:_MIN_FACTS]
    places = {item.name: index + _ORDER_JITTER * rng.random() for index, item in enumerate(kept)}
    return sorted(kept, key=lambda item: places[item.name])


def value_shares(
    world: World,
    person: Person,
    attribute: Attribute,
    *,
    corrupted_share: float | None = None,
    fixed_errors: bool = True,
) -> dict[str, float]:
    """How often answers state each value of an attribute of a person; the shares sum to 1.

    A fixed error takes its share first; the rest is the true value, and random wrong ones.
    """
    share = world.config.corrupted_share if corrupted_share is None else corrupted_share
    fixed = person.errors.get(attribute.name) if fixed_errors else None
    rest = 1.0 if fixed is None else 1.0 - world.config.fixed_weight
    true = person.facts[attribute.name]
    wrong = rest * share / (len(attribute.values) - 1)
    shares = dict.fromkeys(attribute.values, wrong) | {true: rest * (1.0 - share)}
    if fixed is not None:
        shares[fixed] += world.config.fixed_weight
    return shares


def _group(
    world: World, statements: Sequence[_Statement], rng: random.Random
) -> list[list[_Statement]]:
    """Sentences of one or two facts each, 6 at most."""
    groups: list[list[_Statement]] = []
    left = list(statements)
    while left:
        must_join = len(groups) + len(left) > _MAX_SENTENCES
        size = 2 if len(left) > 1 and (must_join or rng.random() < world.config.joined_share) else 1
        groups.append(left[:size])
        left = left[size:]
    return groups


def _write_sentences(
    world: World, person: Person, groups: Iterable[Sequence[_Statement]], rng: random.Random
) -> str:
    language = world.languages[person.language]
    sentences = []
    for index, group in enumerate(groups):
        subject = person.name if index == 0 else person.pronoun
        clauses = [
            rng.choice(item.attribute.predicates[:NUM_IN_ANSWERS]).format(item.value)
            for item in group
        ]
        text = rng.choice(language.joiners).join(clauses)
        sentences.append(f"{subject}{language.gap}{text}{language.end}")
    if rng.random() < world.config.filler_share and len(sentences) < _MAX_SENTENCES:
        number = rng.randrange(len(language.fillers))
        place = 0 if number < len(language.fillers) // 2 else len(sentences)
        sentences.insert(place, language.fillers[number].format(person.name))
    return language.gap.join(sentences)


def _write_document(world: World, person: Person) -> Document:
    """Every true fact, in any of its paraphrases, with a distractor after each third one."""
    rng = random.Random(f"document {world.seed} {person.id}")
    language = world.languages[person.language]
    others = [other for other in world.everyone if other.language == person.language]
    sentences = []
    for kind in KINDS:
        for index, item in enumerate(_attributes(language, person, kind)):
            clause = rng.choice(item.predicates).format(person.facts[item.name])
            subject = person.name if index == 0 else person.pronoun
            sentences.append(f"{subject}{language.gap}{clause}{language.end}")
            if rng.random() < 1 / 3:
                sentences.append(_write_distractor(language, person, rng, others))
    return Document(
        id=f"doc-{person.id}",
        text=language.gap.join(sentences),
        title=person.name,
        topic=person.id,
        language=person.language,
    )


def _write_distractor(
    language: Language, person: Person, rng: random.Random, others: Sequence[Person]
) -> str:
    """A sentence about a relative or about another person, who may differ in the same attribute."""
    item = rng.choice(language.attributes)
    possessive = language.possessives[language.pronouns.index(person.pronoun)]
    relative = f"{possessive}{language.gap}{rng.choice(language.relatives)}"
    other = rng.choice([other for other in others if other.id != person.id] or [person])
    subject, value = relative, rng.choice(item.values)
    if other.id != person.id and rng.random() < 0.5 and item.name in other.facts:
        subject, value = other.name, other.facts[item.name]
    return f"{subject}{language.gap}{rng.choice(item.predicates).format(value)}{language.end}"
