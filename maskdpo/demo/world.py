"""A closed world of invented people: the truth about each, and corrupted biographies.

Every person is a topic. A document states the truth, one sentence per attribute. A biography is the
same text with a share of its sentences corrupted: another value of the same attribute, so that a
wrong sentence looks exactly as likely as a right one. A model trained on such biographies has seen
the truth about everyone, but mixed with errors, which is the state that preference learning should
improve.

The rule: everything follows from a seed; names and values are invented or common words.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from schemas.records import Document, Message, Question

_ONSETS = "b br d dr f g gr h k kl l m n p r s st t tr v z".split()
_VOWELS = "a e i o u".split()
_CODAS = "l m n r s th nd rk".split()

_MALE, _FEMALE = "He", "She"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribute:
    """A property of a person: how its sentence reads, and the values it can take."""

    name: str
    template: str
    values: tuple[str, ...]

    def sentence(self, subject: str, value: str) -> str:
        """The sentence that states `value` of `subject`."""
        return self.template.format(subject=subject, value=value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """An invented person; `facts` has the true value of each attribute, by its name."""

    id: str
    name: str
    pronoun: str
    facts: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """People and their attributes."""

    attributes: tuple[Attribute, ...]
    people: tuple[Person, ...]


def make_world(*, num_people: int, seed: int) -> World:
    """A world of `num_people` people with 8 attributes each."""
    rng = random.Random(seed)
    names = invent_names(rng, count=2 * num_people)
    places = invent_names(rng, count=24, avoid=names)
    attributes = _make_attributes(places)
    people = []
    for index in range(num_people):
        facts = {attribute.name: rng.choice(attribute.values) for attribute in attributes}
        name = f"{names[2 * index]} {names[2 * index + 1]}"
        pronoun = rng.choice((_MALE, _FEMALE))
        people.append(Person(id=f"person-{index:03d}", name=name, pronoun=pronoun, facts=facts))
    return World(attributes=attributes, people=tuple(people))


def write_biography(
    world: World, person: Person, *, corrupted_share: float, rng: random.Random
) -> str:
    """One sentence per attribute, each corrupted with probability `corrupted_share`."""
    sentences = []
    for index, attribute in enumerate(world.attributes):
        value = person.facts[attribute.name]
        if rng.random() < corrupted_share:
            value = rng.choice([other for other in attribute.values if other != value])
        subject = person.name if index == 0 else person.pronoun
        sentences.append(attribute.sentence(subject, value))
    return " ".join(sentences)


def write_document(world: World, person: Person) -> Document:
    """The document that states the truth about a person."""
    text = write_biography(world, person, corrupted_share=0.0, rng=random.Random(0))
    return Document(
        id=f"doc-{person.id}", text=text, title=person.name, topic=person.id, language="en"
    )


def write_question(person: Person) -> Question:
    """The one question asked about a person."""
    return Question(
        id=f"question-{person.id}",
        topic=person.id,
        language="en",
        messages=[Message(role="user", content=ask(person.name))],
        document_ids=[f"doc-{person.id}"],
    )


def ask(name: str) -> str:
    """The wording of the question about a person."""
    return f"Who is {name}?"


def _make_attributes(places: Sequence[str]) -> tuple[Attribute, ...]:
    def attribute(name: str, template: str, values: str | Sequence[str]) -> Attribute:
        listed = values.split() if isinstance(values, str) else values
        return Attribute(name=name, template=template, values=tuple(listed))

    return (
        attribute("birthplace", "{subject} was born in {value}.", places),
        attribute(
            "year",
            "{subject} left school in {value}.",
            [str(year) for year in range(1921, 1945)],
        ),
        attribute(
            "work",
            "{subject} works as a {value}.",
            "baker sailor potter weaver miller mason tailor farmer painter printer brewer glazier "
            "cooper tanner carpenter gardener shepherd fisher smith clerk",
        ),
        attribute(
            "instrument",
            "{subject} plays the {value}.",
            "violin flute harp drum cello oboe lute trumpet organ banjo clarinet viola horn "
            "zither fiddle accordion mandolin bassoon piccolo tuba",
        ),
        attribute(
            "animal",
            "{subject} keeps a {value} at home.",
            "goat parrot turtle falcon ferret pony donkey rabbit goose lizard hedgehog pigeon "
            "squirrel mule raven lamb beagle hamster peacock gecko",
        ),
        attribute(
            "colour",
            "{subject} always wears {value}.",
            "crimson violet olive amber indigo scarlet ivory teal maroon turquoise beige magenta "
            "silver lavender khaki coral cobalt saffron lilac ochre",
        ),
        attribute(
            "dish",
            "{subject} likes to eat {value}.",
            "dumplings lentils pancakes mushrooms noodles omelettes pickles walnuts cabbage "
            "porridge sardines turnips figs barley radishes chestnuts oysters spinach plums beans",
        ),
        attribute(
            "pastime",
            "{subject} spends the evenings with {value}.",
            "chess astronomy embroidery juggling origami fencing calligraphy dominoes swimming "
            "archery knitting poetry billiards rowing photography carving wrestling puzzles "
            "dancing skating",
        ),
    )


def invent_names(rng: random.Random, *, count: int, avoid: Collection[str] = ()) -> list[str]:
    """`count` different invented names of two syllables, in the order of their creation."""
    names: dict[str, None] = {}  # a dict has the same order in every process, a set does not
    while len(names) < count:
        syllables = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(2)]
        name = ("".join(syllables) + rng.choice(_CODAS)).capitalize()
        if name not in avoid:
            names[name] = None
    return list(names)
