"""From the facts of responses to a verdict on each: a fact is judged exactly as a sentence is.

The rule: each fact is a response of its own to the same question, with the same documents, so the
judge of the evaluation labels it, whatever kind of judge that is. A fact is

    supported       all its sentences with a fact are correct
    not supported   one of them is hallucinated
    unresolved      anything else: undetermined, failed, or the judge finds no fact in it

and only the first counts as supported. A sentence whose facts could not be read is one unresolved
fact: a model gains nothing from sentences that the writer of facts cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from annotator.judging.facts.dialogue import SentenceFacts
from maskdpo.evaluation.factscore.formula import Verdicts
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label
from schemas.records import Annotation, Response

_FACT_ID = re.compile(r".+-f\d+", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedFacts:
    """The verdicts on the facts of one response.

    num_unread   sentences whose facts could not be read, each one of the unresolved verdicts
    """

    question_id: str
    topic: str
    verdicts: Verdicts
    num_unread: int = 0


def sentence_as_fact(sentence: str) -> SentenceFacts:
    """A sentence as one fact; line breaks and repeated spaces are one space."""
    return SentenceFacts(facts=(" ".join(sentence.split()),))


def make_fact_responses(
    responses: Sequence[Response], facts: Mapping[str, Sequence[SentenceFacts]]
) -> Iterator[Response]:
    """One response per fact, in order; its id is that of the response, with its number."""
    for response in responses:
        for number, text in enumerate(_texts(facts.get(response.id, ()))):
            yield Response(
                id=fact_id(response.id, number),
                question_id=response.question_id,
                topic=response.topic,
                language=response.language,
                document_ids=response.document_ids,
                prompt=response.prompt,
                text=text,
                model=response.model,
            )


def fact_id(response: str, number: int) -> str:
    """The id of a fact: `q1-0` and 2 make `q1-0-f2`."""
    return f"{response}-f{number}"


def is_fact_id(name: str) -> bool:
    """Whether an id has the form of `fact_id`."""
    return _FACT_ID.fullmatch(name) is not None


def collect_verdicts(
    responses: Sequence[Response],
    facts: Mapping[str, Sequence[SentenceFacts]],
    judged: Mapping[str, Annotation],
) -> dict[str, JudgedFacts]:
    """The verdicts on the facts of each response, by its id; `judged` are facts by their id."""
    rows = {}
    for response in responses:
        sentences = facts.get(response.id, ())
        num_facts = sum(len(item.facts) for item in sentences)
        num_unread = sum(not item.is_read for item in sentences)
        found = [judged.get(fact_id(response.id, number)) for number in range(num_facts)]
        verdicts = [None if item is None else read_verdict(item) for item in found]
        rows[response.id] = JudgedFacts(
            question_id=response.question_id,
            topic=response.topic,
            verdicts=[*verdicts, *([None] * num_unread)],
            num_unread=num_unread,
        )
    return rows


def read_verdict(fact: Annotation) -> bool | None:
    """Whether the documents support a judged fact; None where that is not resolved."""
    labels = {item.verdict.label for item in fact.sentences} - {Label.NO_FACT}
    if labels & HALLUCINATED_LABELS:
        return False
    return True if labels and labels <= CORRECT_LABELS else None


def _texts(sentences: Sequence[SentenceFacts]) -> Iterator[str]:
    return (fact for sentence in sentences for fact in sentence.facts)
