"""What the quotes of one verdict show: where documents say them, what is missing, what is weak.

The rule: no quote is lost. Each is located, or it is in `missing`; a quote that a document's
title says counts as found but has no offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from annotator.judging.material import Material
from schemas.records import Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundEvidence:
    """What became of the quotes of a verdict.

    evidence     places of the located quotes, offsets into the untouched documents
    missing      quotes that neither the text nor the title of a document says
    in_response  those of `missing` that the response says
    is_weak      what was located carries too little content for this sentence; False where
                 nothing was located
    """

    evidence: list[Evidence]
    missing: list[str]
    in_response: list[str]
    is_weak: bool


def find_evidence(quotes: Sequence[str], material: Material, number: int) -> FoundEvidence:
    """What the documents of `material` hold of the quotes given for sentence `number`."""
    locate = material.finder.locate
    titles = [document.title for document in material.task.documents if document.title.strip()]
    found = {quote: locate(quote, material.texts) for quote in quotes}
    missing = [quote for quote, places in found.items() if not places and not locate(quote, titles)]
    response = material.task.response.text
    evidence = [
        Evidence(
            document_id=material.task.documents[place.document].id,
            start=place.start,
            end=place.end,
            score=place.score,
        )
        for place in dict.fromkeys(place for places in found.values() for place in places)
    ]
    return FoundEvidence(
        evidence=evidence,
        missing=missing,
        in_response=[quote for quote in missing if locate(quote, [response])],
        is_weak=False,
    )
