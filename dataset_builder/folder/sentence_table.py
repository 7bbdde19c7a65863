"""The rows of `sentences` as columns: one row per sentence, in the columns of `sentence_schema`.

The rule: what is published names no machine (`pairs.public_name`), and evidence is stored as ids
and offsets, with its text only if the document's licence permits it (`quoted_evidence`). A judge's
free-text rationale is left out: it may quote documents that must not be published.

Values are collected column by column, those of lists of records too: making a dictionary per
sentence, which Arrow takes apart again, needs three times as long.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from dataset_builder.pairs import public_name
from formats.reviews.apply import Replaced
from formats.reviews.names import show_names
from schemas.records import Annotation, Evidence, Verdict
from schemas.spans import Offsets

Quote = Callable[[Evidence], tuple[str | None, str | None]]


class SentenceTable:
    """Rows of sentences, added response by response.

    quote         the text and the licence of a piece of evidence; (None, None): not to be quoted
    pseudonyms    by reviewer; without it their names are written
    """

    def __init__(
        self, schema: Any, *, quote: Quote, pseudonyms: Mapping[str, str] | None = None
    ) -> None:
        self._schema = schema
        self._quote = quote
        self._pseudonyms = pseudonyms
        self._columns: defaultdict[str, list[Any]] = defaultdict(list)
        self._lists = {
            name: _Lists(schema.field(name).type)
            for name in ("votes", "evidence", "error_spans")
            if name in schema.names
        }

    def add(self, row: Annotation, replaced: Mapping[Offsets, Replaced] | None = None) -> None:
        """Add the sentences of a response.

        replaced   verdicts that people's decisions replaced, by the offsets of the present sentence
        """
        columns, origins = self._columns, replaced or {}
        for name, value in (
            ("response_id", row.id),
            ("question_id", row.question_id),
            ("topic", row.topic),
            ("language", row.language),
            ("policy", public_name(row.model)),
        ):
            columns[name] += [value] * len(row.sentences)
        places = [(item.start, item.end) for item in row.sentences]
        verdicts = [item.verdict for item in row.sentences]
        columns["start"] += [start for start, _ in places]
        columns["end"] += [end for _, end in places]
        columns["text"] += [row.text[start:end] for start, end in places]
        columns["label"] += [verdict.label.value for verdict in verdicts]
        columns["reason"] += [verdict.reason for verdict in verdicts]
        columns["confidence"] += [verdict.confidence for verdict in verdicts]
        columns["confidence_kind"] += [verdict.confidence_kind for verdict in verdicts]
        columns["source"] += [verdict.source for verdict in verdicts]
        columns["judge"] += [public_name(verdict.judge) for verdict in verdicts]
        columns["protocol"] += [verdict.protocol for verdict in verdicts]
        columns["correction"] += [
            _correction(origins.get(place), self._pseudonyms) for place in places
        ]
        for verdict in verdicts:
            self._add_lists(verdict)

    def to_arrow(self) -> Any:
        """The rows so far, as an Arrow table."""
        import pyarrow as pa

        return pa.Table.from_arrays(
            [
                self._lists[field.name].to_arrow()
                if field.name in self._lists
                else pa.array(self._columns[field.name], field.type)
                for field in self._schema
            ],
            schema=self._schema,
        )

    def _add_lists(self, verdict: Verdict) -> None:
        lists = self._lists
        if verdict.votes is None:
            lists["votes"].add_null()
        else:
            lists["votes"].add([(name, verdict.votes[name]) for name in sorted(verdict.votes)])
        lists["evidence"].add(
            [
                (item.document_id, item.start, item.end, item.score, *self._quote(item))
                for item in verdict.evidence
            ]
        )
        if "error_spans" in lists:
            lists["error_spans"].add(
                [(span.start, span.end, span.label, span.kind) for span in verdict.error_spans]
            )


class _Lists:
    """A column of lists of records; a record is a tuple in the order of the type's fields."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._records: list[tuple[Any, ...]] = []
        self._starts: list[int | None] = []

    def add(self, records: list[tuple[Any, ...]]) -> None:
        self._starts.append(len(self._records))
        self._records += records

    def add_null(self) -> None:
        self._starts.append(None)

    def to_arrow(self) -> Any:
        import pyarrow as pa

        record = self._kind.value_type
        columns = list(zip(*self._records, strict=True)) or [()] * record.num_fields
        arrays = [
            pa.array(column, field.type) for column, field in zip(columns, record, strict=True)
        ]
        return pa.ListArray.from_arrays(
            pa.array([*self._starts, len(self._records)], pa.int32()),
            pa.StructArray.from_arrays(arrays, fields=list(record)),
            type=self._kind,
        )


def _correction(
    replaced: Replaced | None, pseudonyms: Mapping[str, str] | None
) -> dict[str, Any] | None:
    if replaced is None:
        return None
    return {
        "who": show_names(replaced.who, pseudonyms),
        "when": replaced.when,
        "replaced": [
            {
                "start": sentence.start,
                "end": sentence.end,
                "label": sentence.verdict.label.value,
                "source": sentence.verdict.source,
                "judge": public_name(sentence.verdict.judge),
            }
            for sentence in replaced.sentences
        ],
    }
