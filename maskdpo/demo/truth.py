"""The closed world's ground truth: how often the judge is right there.

The demo's scores depend on the lexical judge. In this world, and only here, the truth of every
sentence is known, so the judge itself can be checked sentence by sentence.
"""

from __future__ import annotations

from pathlib import Path

from maskdpo.demo.world import Person, World
from schemas.files.jsonl import read_records
from schemas.labels import CORRECT_LABELS
from schemas.records import Annotation


def true_sentences(world: World, person: Person) -> set[str]:
    """Every true sentence about a person of this world."""
    return {
        attribute.sentence(subject, person.facts[attribute.name])
        for attribute in world.attributes
        for subject in (person.name, person.pronoun)
    }


def measure_judge(world: World, annotations: Path) -> float:
    """Share of the sentences whose verdict agrees with the truth."""
    truth = {person.id: true_sentences(world, person) for person in world.people}
    num_right = num_sentences = 0
    for annotation in read_records(annotations, Annotation):
        for sentence in annotation.sentences:
            is_true = annotation.text[sentence.start : sentence.end] in truth[annotation.topic]
            num_right += is_true == (sentence.verdict.label in CORRECT_LABELS)
            num_sentences += 1
    return num_right / num_sentences
