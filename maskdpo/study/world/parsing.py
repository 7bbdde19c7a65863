"""A sentence of the world's language, parsed back into subject and facts.

The rule: a sentence is parsed from its first to its last character by the forms of its language,
or not at all. The values of an attribute are those of its world.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maskdpo.study.world.grammar import Attribute, Language
from schemas.spans import Offsets
from schemas.text.scripts import HAN

_WORD = {"en": r"[A-Z][a-z]+", "zh": f"[{HAN}]"}
_NAME = {"en": rf"{_WORD['en']}(?: {_WORD['en']})?", "zh": rf"{_WORD['zh']}{{2,4}}?"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """One fact of a sentence; offsets are of the sentence.

    span    predicate and value
    value   the value's place
    """

    attribute: str
    stated: str
    span: Offsets
    value: Offsets


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """A sentence's subject (its words and place) and its facts; no facts: a filler."""

    subject: str
    subject_span: Offsets
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, kw_only=True)
class Parser:
    """The compiled forms of one language of a world."""

    language: Language
    predicate: re.Pattern[str]
    subject: re.Pattern[str]
    joiner: re.Pattern[str]
    groups: Mapping[str, str]
    """The attribute of each named group of `predicate`."""

    def parse(self, sentence: str, name: str) -> Parsed | None:
        """The parts of a sentence of an answer about `name`; None where it has no known form."""
        if sentence in {filler.format(name) for filler in self.language.fillers}:
            return Parsed(subject="", subject_span=(0, 0), clauses=())
        subject = self.subject.match(sentence)
        if subject is None:
            return None
        clauses = self._parse_clauses(sentence, subject.end())
        if clauses is None:
            return None
        return Parsed(
            subject=subject["name"], subject_span=subject.span("name"), clauses=tuple(clauses)
        )

    def _parse_clauses(self, sentence: str, position: int) -> list[Clause] | None:
        clauses: list[Clause] = []
        while True:
            found = self.predicate.match(sentence, position)
            if found is None or found.lastgroup is None:
                return None
            group = found.lastgroup
            clauses.append(
                Clause(
                    attribute=self.groups[group],
                    stated=found[group],
                    span=found.span(),
                    value=found.span(group),
                )
            )
            if sentence[found.end() :] == self.language.end:
                return clauses
            joiner = self.joiner.match(sentence, found.end())
            if joiner is None:
                return None
            position = joiner.end()


def make_parser(language: Language) -> Parser:
    """The parser of a world's language."""
    patterns: list[str] = []
    groups: dict[str, str] = {}
    for attribute in language.attributes:
        for predicate in attribute.predicates:
            group = f"g{len(groups)}"
            groups[group] = attribute.name
            patterns.append(_predicate_pattern(predicate, attribute, group))
    joiners = "|".join(re.escape(item) for item in _longest_first(language.joiners))
    end = re.escape(language.end)
    predicate = rf"(?:{'|'.join(patterns)})(?={joiners}|{end}$)"
    any_predicate = re.sub(r"\(\?P<g\d+>", "(?:", predicate)
    pronouns = "|".join(map(re.escape, language.pronouns))
    names = rf"(?P<name>{pronouns}|{_NAME[language.code]})"
    return Parser(
        language=language,
        predicate=re.compile(predicate),
        subject=re.compile(rf"{names}{re.escape(language.gap)}(?={any_predicate})"),
        joiner=re.compile(joiners),
        groups=groups,
    )


def _predicate_pattern(predicate: str, attribute: Attribute, group: str) -> str:
    before, after = predicate.split("{}")
    values = "|".join(re.escape(value) for value in _longest_first(attribute.values))
    return rf"{re.escape(before)}(?P<{group}>{values}){re.escape(after)}"


def _longest_first(words: Sequence[str]) -> list[str]:
    return sorted(words, key=len, reverse=True)
