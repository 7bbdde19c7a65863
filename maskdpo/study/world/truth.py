"""The exact verdict on every sentence and fact of a response.

The rule: each sentence is judged by itself. A pronoun means the person asked about.

    sentence                                  label             wrong words
    all values are those of the person        no_hallucination
    another value than the person's           contradictory     the values
    an attribute that the person has not      unverifiable      its value
    the name of someone else                  contradictory     the name; none of its facts is true
    without a fact (a filler)                 no_fact
    no form of the language (garbled)         hallucinated      none: the whole sentence
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from annotator.text.sentences import split_sentences
from maskdpo.study.world.grammar import Language
from maskdpo.study.world.parsing import Clause, Parsed, Parser, make_parser
from maskdpo.study.world.people import LANGUAGES, Person, World
from maskdpo.study.world.writing import find_person
from schemas.labels import Label
from schemas.records import Annotation, ErrorSpan, Response, Sentence, Verdict
from schemas.spans import Offsets

JUDGE = "world"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """An atomic fact: `text[start:end]` of a response states it. Stated twice, it counts twice."""

    start: int
    end: int
    is_true: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """A sentence of a response: its place and what it says, None for a garbled one."""

    start: int
    end: int
    parsed: Parsed | None


def label_response(world: World, response: Response) -> Annotation:
    """The response with the exact verdict for each sentence.

    Raises KeyError where its topic is not a person of this world.
    """
    person = find_person(world, response.topic)
    sentences = [
        Sentence(start=read.start, end=read.end, verdict=_judge(person, read))
        for read in _read(world, person, response.text)
    ]
    return Annotation(**dict(response), sentences=sentences)


def find_facts(world: World, response: Response) -> list[Fact]:
    """The atomic facts of a response, in its order; a garbled sentence is one false fact."""
    person = find_person(world, response.topic)
    facts: list[Fact] = []
    for read in _read(world, person, response.text):
        if read.parsed is None:
            facts.append(Fact(start=read.start, end=read.end, is_true=False))
            continue
        about = _is_about(person, read.parsed)
        facts += [
            Fact(
                start=read.start + clause.span[0],
                end=read.start + clause.span[1],
                is_true=about and _is_true(person, clause),
            )
            for clause in read.parsed.clauses
        ]
    return facts


def _read(world: World, person: Person, text: str) -> Iterator[_Read]:
    parser = _parser(world.languages[person.language])
    for start, end in split_sentences(text, language=person.language):
        yield _Read(start=start, end=end, parsed=parser.parse(text[start:end], person.name))


@lru_cache(maxsize=32)
def _parser(language: Language) -> Parser:
    return make_parser(language)


def _judge(person: Person, read: _Read) -> Verdict:
    label, spans = _find_errors(person, read.parsed)
    return Verdict(
        label=label,
        confidence=1.0,
        judge=JUDGE,
        error_spans=[ErrorSpan(start=read.start + a, end=read.start + b) for a, b in spans],
    )


def _find_errors(person: Person, parsed: Parsed | None) -> tuple[Label, list[Offsets]]:
    """The label of a sentence, and its wrong words in offsets of the sentence."""
    if parsed is None:
        return Label.HALLUCINATED, []
    if not parsed.clauses:
        return Label.NO_FACT, []
    if not _is_about(person, parsed):
        return Label.CONTRADICTORY, [parsed.subject_span]
    wrong = [clause for clause in parsed.clauses if not _is_true(person, clause)]
    if not wrong:
        return Label.NO_HALLUCINATION, []
    is_contradicted = any(clause.attribute in person.facts for clause in wrong)
    label = Label.CONTRADICTORY if is_contradicted else Label.UNVERIFIABLE
    return label, [clause.value for clause in wrong]


def _is_about(person: Person, parsed: Parsed) -> bool:
    """Whether the subject is the person or a pronoun, of either form."""
    return parsed.subject == person.name or parsed.subject in LANGUAGES[person.language].pronouns


def _is_true(person: Person, clause: Clause) -> bool:
    return person.facts.get(clause.attribute) == clause.stated
