"""Reads what the page of one response is made of from a source.

The rule: one function reads, and only what this response needs: its line of the file, its reviews,
the documents that it names and that its verdicts cite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from formats.reviews.standing import standing
from maskdpo.desk.reading.view import Material
from schemas.records import Document

if TYPE_CHECKING:
    from maskdpo.desk.desk import OpenSource

MAX_DOCUMENTS = 200


def read_material(source: OpenSource, response: int) -> Material:
    """All of one response; raises KeyError where there is none of this number."""
    index = source.index
    annotation = index.annotation(response)
    wanted = dict.fromkeys(
        item.document_id for sentence in annotation.sentences for item in sentence.verdict.evidence
    )
    named = list(dict.fromkeys([*annotation.document_ids, *wanted]))
    found: list[Document] = []
    missing: list[str] = []
    for name in named[:MAX_DOCUMENTS]:
        document = index.document(name)
        if document is None:
            missing.append(name)
        else:
            found.append(document)
    entries = sorted(standing(source.entries(response)), key=lambda entry: entry.order)
    return Material(
        annotation=annotation,
        rows=index.rows_of(response),
        states=index.states_of(response),
        entries=entries,
        documents=found,
        copies=[name for name in index.copies(response) if name != annotation.id],
        missing=missing,
    )
