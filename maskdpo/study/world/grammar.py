"""What a language of the study's world is made of: attributes, sentence forms, names.

The rule: a text of the world is written from these parts only, so every sentence can be parsed
back into the facts that it states (`maskdpo.study.world.parsing`).
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS = (0, 1, 2)
"""The fact groups: life, work, home. There is one question per person and kind."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribute:
    """A property of a person.

    kind        fact group, one of KINDS
    predicates  paraphrases; each has one `{}` for the value, and follows any subject
    values      what the attribute can be; () where the world invents names of places or firms
    """

    name: str
    kind: int
    predicates: tuple[str, ...]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """The wording of one language.

    code         ISO code
    gap          what is between subject and predicate, and between sentences
    end          the end of a sentence
    joiners      what joins two predicates of one sentence
    pronouns     subjects that mean the person
    possessives  of the same order as `pronouns`: how a relative is named
    relatives    the words after a possessive
    questions    by kind; `{}` is the name
    fillers      sentences without a fact; some hold the name as `{}`
    """

    code: str
    gap: str
    end: str
    joiners: tuple[str, ...]
    pronouns: tuple[str, ...]
    possessives: tuple[str, ...]
    relatives: tuple[str, ...]
    questions: tuple[str, ...]
    fillers: tuple[str, ...]
    attributes: tuple[Attribute, ...]


def attribute(name: str, kind: int, predicates: str, values: str = "") -> Attribute:
    """An attribute from predicates separated by `|` and values separated by spaces."""
    return Attribute(
        name=name,
        kind=kind,
        predicates=tuple(predicates.split("|")),
        values=tuple(values.split()),
    )
