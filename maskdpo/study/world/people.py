"""The people of a world and what is true of them.

The rule: everything follows from the settings and a seed. Two seeds differ in people, facts, fixed
errors, the values that an attribute can have, and the paraphrases that answers use.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from maskdpo.demo.world import invent_names
from maskdpo.study.world.chinese import CHINESE
from maskdpo.study.world.config import WorldConfig
from maskdpo.study.world.english import ENGLISH
from maskdpo.study.world.grammar import KINDS, Attribute, Language

LANGUAGES: Mapping[str, Language] = {language.code: language for language in (ENGLISH, CHINESE)}
NUM_IN_ANSWERS = 2
"""The number of an attribute's paraphrases, from the first, that answers use; documents use all."""

_FACTS_PER_KIND = (3, 4, 4, 5, 5, 6, 7)
_MAX_FACTS = 20
_SURNAMES = "郗逄佟亓仉郏郤邰郜鄢靳殳"
_GIVEN = "岚澈砚霁棠珩苒朔瑾渊蓼彤铮筠骁霖昭衡凛蔚"
_PLACE_FIRST = "涂磬泷枞岬峒潞陂"
_PLACE_LAST = "湾坪岭塘埠洲"
_FIRM_FIRST = "鼎瀚旭钧裕泓隆熙"
_FIRM_LAST = "昌记坊堂号社"


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """An invented person.

    facts   the true value of each attribute that the person has, by its name: 9 to 20
    errors  the one wrong value that texts repeat, for a share of these attributes
    """

    id: str
    name: str
    language: str
    pronoun: str
    facts: Mapping[str, str]
    errors: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """People with their languages.

    people     those whose answers are trained on (seen)
    unseen     those kept for evaluation
    languages  by code, with this world's values and order of paraphrases
    """

    config: WorldConfig
    seed: int
    people: tuple[Person, ...]
    unseen: tuple[Person, ...]
    languages: Mapping[str, Language]

    @property
    def everyone(self) -> tuple[Person, ...]:
        """Seen and unseen people."""
        return self.people + self.unseen


def make_world(config: WorldConfig, *, seed: int) -> World:
    """The world of a seed; its last `num_unseen` people are the unseen ones."""
    rng = random.Random(f"world {seed}")
    codes = [config.languages[i % len(config.languages)] for i in range(config.num_people)]
    names = {code: _invent_people(rng, code, codes.count(code)) for code in config.languages}
    languages: dict[str, Language] = {
        code: _choose_wording(LANGUAGES[code], rng, names[code], config.num_values)
        for code in config.languages
    }
    people = []
    for number, code in enumerate(codes):
        name = names[code][number // len(config.languages)]
        people.append(_make_person(rng, languages[code], name, f"{code}-{number:03d}", config))
    return World(
        config=config,
        seed=seed,
        people=tuple(people[: -config.num_unseen]),
        unseen=tuple(people[-config.num_unseen :]),
        languages=languages,
    )


def _make_person(
    rng: random.Random, language: Language, name: str, person_id: str, config: WorldConfig
) -> Person:
    facts: dict[str, str] = {}
    errors: dict[str, str] = {}
    for attribute in _choose_attributes(rng, language):
        true = rng.choice(attribute.values)
        facts[attribute.name] = true
        wrong = rng.choice([value for value in attribute.values if value != true])
        if rng.random() < config.fixed_share:
            errors[attribute.name] = wrong
    return Person(
        id=person_id,
        name=name,
        language=language.code,
        pronoun=rng.choice(language.pronouns),
        facts=facts,
        errors=errors,
    )


def _choose_attributes(rng: random.Random, language: Language) -> list[Attribute]:
    """3 to 7 attributes of each kind, 20 at most, in the order of the language's table."""
    counts = [rng.choice(_FACTS_PER_KIND) for _ in KINDS]
    if sum(counts) > _MAX_FACTS:
        counts[-1] -= sum(counts) - _MAX_FACTS
    chosen: list[Attribute] = []
    for kind, count in zip(KINDS, counts, strict=True):
        candidates = [item for item in language.attributes if item.kind == kind]
        names = {item.name for item in rng.sample(candidates, count)}
        chosen += [item for item in candidates if item.name in names]
    return chosen


def _choose_wording(
    language: Language, rng: random.Random, people: Sequence[str], num_values: int
) -> Language:
    """The language with this world's values, and its paraphrases in a random order."""
    invented = iter(_invent_values(rng, language.code, people))
    attributes = []
    for attribute in language.attributes:
        values = attribute.values or tuple(next(invented))
        attributes.append(
            replace(
                attribute,
                values=tuple(rng.sample(values, num_values)),
                predicates=tuple(rng.sample(attribute.predicates, len(attribute.predicates))),
            )
        )
    return replace(language, attributes=tuple(attributes))


def _invent_people(rng: random.Random, code: str, count: int) -> list[str]:
    """`count` different names of people."""
    if code == "en":
        words = invent_names(rng, count=2 * count)
        return [f"{words[2 * i]} {words[2 * i + 1]}" for i in range(count)]
    given = [first + last for first in _GIVEN for last in _GIVEN if first != last]
    return [rng.choice(_SURNAMES) + name for name in rng.sample(given, count)]


def _invent_values(
    rng: random.Random, code: str, people: Sequence[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """Names of places and of firms, 16 each, without the words of people's names."""
    if code == "en":
        taken = {word for name in people for word in name.split()}
        words = invent_names(rng, count=32, avoid=taken)
        return words[:16], words[16:]
    places = [first + last for first in _PLACE_FIRST for last in _PLACE_LAST]
    firms = [first + last for first in _FIRM_FIRST for last in _FIRM_LAST]
    return rng.sample(places, 16), rng.sample(firms, 16)
