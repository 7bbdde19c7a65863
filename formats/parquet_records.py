"""Responses, annotations and questions as Parquet: one row per record, without loss.

The rule: the columns are the record's fields in their order, and a row read back
(`schemas.files.parquet_lines`) is an equal record: it has the same bytes as JSON. A field that a
record need not have is null. Two fields have no fixed columns: `sampling` is the text of a JSON
object, and `votes` a list of {answer, count}, as in a data set's `sentences`.

    id, question_id, topic, language    string
    document_ids                        list of string
    prompt                              list of {role, content: string}
    text, reasoning, model              string
    sampling                            string, a JSON object
    finish_reason                       string
    sentences (annotations only)        list of {start, end: int64, verdict}
    verdict     {label, reason: string, confidence: double, confidence_kind: string,
                 votes: list of {answer: string, count: int64},
                 evidence: list of {document_id: string, start, end: int64, score: double},
                 missing_quotes: list of string,
                 error_spans: list of {start, end: int64, label, kind: string},
                 missing_error_words: list of {words, reason: string},
                 rationale, source, judge, protocol: string}

Questions have id, topic, language, messages (as `prompt`) and document_ids.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from formats.parquet import ROWS_PER_GROUP, open_writer
from schemas.files.writing import atomic_descriptor
from schemas.records import Question, Response


def record_schema(model: type[Response] | type[Question]) -> Any:
    """The Arrow schema of `Response`, `Annotation` or `Question`."""
    import pyarrow as pa

    text = pa.string()
    messages = pa.list_(pa.struct([("role", text), ("content", text)]))
    types = {
        "document_ids": pa.list_(text),
        "prompt": messages,
        "messages": messages,
        "sentences": pa.list_(_sentence_type()),
    }
    return pa.schema([(name, types.get(name, text)) for name in model.model_fields])


def _sentence_type() -> Any:
    import pyarrow as pa

    text, whole, number = pa.string(), pa.int64(), pa.float64()
    place = [("start", whole), ("end", whole)]
    verdict = pa.struct(
        [
            ("label", text),
            ("reason", text),
            ("confidence", number),
            ("confidence_kind", text),
            ("votes", pa.list_(pa.struct([("answer", text), ("count", whole)]))),
            ("evidence", pa.list_(pa.struct([("document_id", text), *place, ("score", number)]))),
            ("missing_quotes", pa.list_(text)),
            ("error_spans", pa.list_(pa.struct([*place, ("label", text), ("kind", text)]))),
            ("missing_error_words", pa.list_(pa.struct([("words", text), ("reason", text)]))),
            ("rationale", text),
            ("source", text),
            ("judge", text),
            ("protocol", text),
        ]
    )
    return pa.struct([*place, ("verdict", verdict)])


def record_row(record: Response | Question) -> dict[str, Any]:
    """The values of a record's row, by column."""
    row = record.model_dump()
    if isinstance(record, Response):
        row["sampling"] = to_json(record.sampling, inf_nan_mode="null").decode()
    for sentence in row.get("sentences", ()):
        votes = sentence["verdict"]["votes"]
        if votes is not None:
            sentence["verdict"]["votes"] = [
                {"answer": answer, "count": count} for answer, count in votes.items()
            ]
    return row


def write_parquet_records(
    path: Path, records: Iterable[Response | Question], model: type[Response] | type[Question]
) -> int:
    """Write the rows of `records`, all of type `model`, atomically; returns how many.

    A file without rows has the columns all the same. Raises OSError where the file cannot be
    written; an earlier file at `path` is then unchanged.
    """
    import pyarrow as pa

    schema, count, remaining = record_schema(model), 0, iter(records)
    with (
        atomic_descriptor(Path(os.path.realpath(path))) as descriptor,
        os.fdopen(descriptor, "wb", closefd=False) as handle,
        open_writer(handle, schema) as writer,
    ):
        while rows := [record_row(record) for record in islice(remaining, ROWS_PER_GROUP)]:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count
