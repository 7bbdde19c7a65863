"""Evidence with numbers: each document of what is shown, each place in it that a verdict cites.

The rule: a place is shown in the document's own words, looked up by its offsets; one that does not
fit its document is named by its offsets, and no words are made up for it. Cited documents are
numbered first, in the order in which verdicts cite them; places by their order in the document:
D2.1 is the first place in the second document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maskdpo.show.documents import document_ids
from schemas.records import Annotation, Document, Evidence, Pair, Response, Verdict

Place = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Cited:
    """A document of what is shown. `document` is None where its text is not known."""

    number: int
    id: str
    document: Document | None
    places: Sequence[Place]

    @property
    def name(self) -> str:
        """Id and title."""
        title = self.document.title.strip() if self.document else ""
        return f"{self.id} ({title})" if title and title != self.id else self.id


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A place that a verdict cites. `quote` is empty where the words are not known."""

    cited: Cited
    start: int
    end: int
    quote: str

    @property
    def number(self) -> int:
        """Of the place in its document, from 1."""
        return self.cited.places.index((self.start, self.end)) + 1

    @property
    def label(self) -> str:
        """`D2.1`."""
        return f"D{self.cited.number}.{self.number}"


class Citations:
    """The documents and places of some records, numbered."""

    def __init__(
        self,
        records: Sequence[Annotation | Response | Pair],
        documents: Mapping[str, Document],
    ) -> None:
        places: dict[str, set[Place]] = {}
        for record in records:
            for verdict in _verdicts(record):
                for item in verdict.evidence:
                    places.setdefault(item.document_id, set()).add((item.start, item.end))
        ids = document_ids(records)
        self.documents = {
            name: Cited(
                number=number,
                id=name,
                document=documents.get(name),
                places=sorted(places.get(name, ())),
            )
            for number, name in enumerate(ids, start=1)
        }

    def of(self, verdict: Verdict) -> list[Citation]:
        """What a verdict cites, in its order."""
        return [self._find(item) for item in verdict.evidence]

    def _find(self, item: Evidence) -> Citation:
        cited = self.documents[item.document_id]
        text = cited.document.text if cited.document else ""
        quote = text[item.start : item.end] if item.end <= len(text) else ""
        return Citation(cited=cited, start=item.start, end=item.end, quote=quote)


def _verdicts(record: Annotation | Response | Pair) -> list[Verdict]:
    if isinstance(record, Annotation):
        return [sentence.verdict for sentence in record.sentences]
    return []
