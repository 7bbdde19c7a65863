"""Records as Parquet: without loss, read by the same reader as JSON Lines, and named faults."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from build_rows import BAD, GOOD, annotation_row, write_annotations
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.parquet import ROWS_PER_GROUP
from formats.parquet_records import record_row, record_schema, write_parquet_records
from schemas.errors import Fault, InputError
from schemas.files.arrow_json import json_rows
from schemas.files.jsonl import read_ids, read_records, scan_rows, write_records
from schemas.labels import Label
from schemas.records import Annotation, Question, Response

Json = dict[str, Any]

# Unicode of all planes, what JSON escapes, and what a careless reader takes for the end of a line.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        '"',
        "\\",
        "\\n",
        "a\nb\r\tc",
        "\x00\x1f\x7f",
        "\u2028\u0085",
        "𝒳👩‍🚀",
        "null",
        '{"a":1}',
        "\ufeff",
    ]
)
names = texts.filter(bool)
numbers = st.floats(0, 1) | st.sampled_from(
    [0.0, -0.0, 1.0, 5e-324, 0.1, 1e-7, 0.30000000000000004]
)
wholes = st.integers(0, 2**53 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": texts}),
    min_size=1,
    max_size=3,
)


def some(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Json]:
    """Rows with any of these fields: those left out take their defaults."""
    return st.fixed_dictionaries({}, optional=fields)


evidence = st.tuples(wholes, wholes, names, numbers | st.none()).map(
    lambda item: {
        "document_id": item[2],
        "start": min(item[:2]),
        "end": max(item[:2]),
        "score": item[3],
    }
)
missing_words = st.fixed_dictionaries(
    {"words": texts, "reason": st.sampled_from(["nowhere", "no_word"])}
)
verdicts = some(
    {
        "confidence": numbers,
        "confidence_kind": st.sampled_from(["votes", "logprob", "lexical", None]),
        "votes": st.dictionaries(texts, wholes, max_size=3) | st.none(),
        "evidence": st.lists(evidence, max_size=2),
        "missing_quotes": st.lists(texts, max_size=2),
        "missing_error_words": st.lists(missing_words, max_size=2),
        "rationale": texts,
        "source": st.sampled_from(["judge", "person"]),
        "judge": texts,
        "protocol": texts,
    }
)
error_spans = some(
    {"label": st.sampled_from(["contradictory", "unverifiable", "hallucinated"]), "kind": texts}
)
heads = some(
    {
        "topic": texts,
        "language": texts,
        "document_ids": st.lists(texts, max_size=2),
        "reasoning": texts,
        "model": texts,
        "sampling": st.dictionaries(texts, json_values, max_size=3),
        "finish_reason": st.sampled_from(["stop", "length", "unknown"]),
    }
)


@st.composite
def judged(draw: st.DrawFn) -> Annotation:
    sentences, place = [], 0
    bodies = draw(st.lists(texts.filter(lambda text: bool(text.strip())), max_size=3))
    for body in bodies:
        verdict = draw(verdicts) | {"label": draw(st.sampled_from(list(Label)))}
        verdict["reason"] = draw(texts.filter(bool) | st.none()) or "not_labelled"
        spans = draw(st.lists(error_spans, max_size=2))
        verdict["error_spans"] = [{"start": 0, "end": 1} | span for span in spans]
        sentences.append({"start": place, "end": place + len(body), "verdict": verdict})
        place += len(body)
    row = draw(heads) | {
        "id": draw(names),
        "question_id": draw(names),
        "prompt": draw(messages),
        "text": "".join(bodies),
        "sentences": sentences,
    }
    return Annotation.model_validate_json(json.dumps(row))


def through_parquet(
    rows: Sequence[Response | Question], path: Path, model: type[Response] | type[Question]
) -> list[bytes]:
    """The rows as JSON, after they were written as Parquet and read again."""
    assert write_parquet_records(path, rows, model) == len(rows)
    found = [item for item in scan_rows(path, model) if not isinstance(item, Fault)]
    assert [item.line for item in found] == list(range(1, len(rows) + 1))
    return [item.record.model_dump_json().encode() for item in found]


@given(rows=st.lists(judged(), max_size=4))
@settings(deadline=None)
def test_an_annotation_has_the_same_bytes_after_parquet(
    rows: list[Annotation], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rows") / "annotations.parquet"
    expected = [row.model_dump_json().encode() for row in rows]
    assert through_parquet(rows, path, Annotation) == expected
    assert pq.read_schema(path).equals(record_schema(Annotation))


@given(head=heads, prompt=messages)
@settings(deadline=None)
def test_a_response_has_the_same_bytes_after_parquet(
    head: Json, prompt: list[Json], tmp_path_factory: pytest.TempPathFactory
) -> None:
    row = Response.model_validate_json(
        json.dumps(head | {"id": "r", "question_id": "q", "prompt": prompt, "text": " \u2028"})
    )
    path = tmp_path_factory.mktemp("rows") / "responses.parquet"
    assert through_parquet([row], path, Response) == [row.model_dump_json().encode()]


def test_a_question_has_the_same_bytes_after_parquet_and_may_use_the_shorthand(
    tmp_path: Path,
) -> None:
    row = Question.model_validate({"id": "q", "question": "Where?\n", "document_ids": ["d"]})
    path = tmp_path / "questions.parquet"
    assert through_parquet([row], path, Question) == [row.model_dump_json().encode()]
    pq.write_table(pa.table({"id": ["q"], "question": ["Where?\n"], "topic": [None]}), path)
    assert read_records(path, Question) == [row.model_copy(update={"document_ids": []})]


def test_many_rows_are_written_in_row_groups_and_read_in_order(tmp_path: Path) -> None:
    count = ROWS_PER_GROUP * 2 + 7
    rows = [Question.model_validate({"id": f"q{n}", "question": f"{n}?"}) for n in range(count)]
    path = tmp_path / "questions.parquet"
    assert write_parquet_records(path, iter(rows), Question) == count
    assert pq.read_metadata(path).num_row_groups == 3
    assert read_records(path, Question) == rows
    assert list(read_ids(path)) == [row.id for row in rows]
    lines = tmp_path / "questions.jsonl"
    write_records(lines, read_records(path, Question))
    assert read_records(lines, Question) == rows


def test_a_file_without_rows_has_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "annotations.parquet"
    assert write_parquet_records(path, [], Annotation) == 0
    assert pq.read_schema(path).equals(record_schema(Annotation))
    assert list(scan_rows(path, Annotation)) == []
    with pytest.raises(InputError, match="holds no rows"):
        read_records(path, Annotation)


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "questions.parquet"
    write_parquet_records(path, [Question.model_validate({"id": "q", "question": "?"})], Question)
    before = path.read_bytes()

    def broken() -> Any:
        yield Question.model_validate({"id": "p", "question": "?"})
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_parquet_records(path, broken(), Question)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


# --- files of others ---------------------------------------------------------------------------

arrow_values = st.recursive(
    st.sampled_from(
        [
            (pa.string(), texts),
            (pa.large_string(), texts),
            (pa.string_view(), texts),
            (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
            (pa.uint8(), st.integers(0, 255)),
            (pa.float64(), st.floats()),
            (pa.float32(), st.floats(width=32)),
            (pa.bool_(), st.booleans()),
            (pa.null(), st.none()),
            (pa.dictionary(pa.int32(), pa.string()), texts),
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda item: (pa.list_(item[0]), st.lists(item[1] | st.none(), max_size=3))),
        inner.map(lambda item: (pa.large_list(item[0]), st.lists(item[1], max_size=3))),
        inner.map(lambda item: (pa.list_(item[0], 2), st.lists(item[1], min_size=2, max_size=2))),
        st.tuples(inner, inner).map(
            lambda two: (
                pa.struct([("a", two[0][0]), ('b"', two[1][0])]),
                st.fixed_dictionaries({"a": two[0][1] | st.none(), 'b"': two[1][1] | st.none()}),
            )
        ),
    ),
    max_leaves=3,
)


def without_nulls(value: Any) -> Any:
    """What a row of a table says as JSON: a null member of an object is an absent one."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


@given(data=st.data(), kind_and_values=arrow_values, start=st.integers(0, 3))
@settings(deadline=None)
def test_json_of_any_column_is_what_python_says(
    data: st.DataObject, kind_and_values: tuple[Any, Any], start: int
) -> None:
    kind, values = kind_and_values
    rows = data.draw(st.lists(values | st.none(), max_size=6))
    batch = pa.RecordBatch.from_arrays([pa.array(rows, kind)], names=["column"]).slice(start)
    found = [json.loads(text) for text in json_rows(batch)]
    expected = [without_nulls(row) for row in batch.to_pylist()]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert repr(one) == repr(other)  # equal types; nan, and the sign of zero


def table_of(path: Path, rows: Sequence[Json], **changed: Any) -> Path:
    """Annotations as a table whose types pyarrow derives, with columns changed or added."""
    table = pa.Table.from_pylist(list(rows))
    for name, values in changed.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    pq.write_table(table, path)
    return path


def faults_of(path: Path) -> list[tuple[int | None, str]]:
    found = [item for item in scan_rows(path, Annotation) if isinstance(item, Fault)]
    assert all(item.path == str(path) for item in found)
    return [(item.line, item.message) for item in found]


ROWS = [
    annotation_row(f"q/{n}", [GOOD, BAD], question="q") | {"finish_reason": "stop"}
    for n in range(3)
]


def test_a_table_with_derived_types_is_read_as_the_same_rows(tmp_path: Path) -> None:
    path = table_of(tmp_path / "a.parquet", ROWS)
    lines = write_annotations(tmp_path / "a.jsonl", ROWS)
    assert read_records(path, Annotation) == read_records(lines, Annotation)


def test_votes_and_sampling_as_structs_lose_only_their_nulls(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS[:2]]
    for row, votes, sampling in zip(
        rows, ({"a": 1}, {"b": 2}), ({"seed": 1}, {"top_p": 1.0}), strict=True
    ):
        row["sampling"] = sampling
        sentence = row["sentences"][0]
        verdict = sentence["verdict"] | {"votes": votes}
        row["sentences"] = [sentence | {"verdict": verdict}, *row["sentences"][1:]]
    found = read_records(table_of(tmp_path / "a.parquet", rows), Annotation)
    assert [row.sampling for row in found] == [{"seed": 1}, {"top_p": 1.0}]
    assert [type(row.sampling.get("top_p")) for row in found] == [type(None), float]
    assert [row.sentences[0].verdict.votes for row in found] == [{"a": 1}, {"b": 2}]


def test_faults_name_the_row_as_those_of_lines_do(tmp_path: Path) -> None:
    rows = [*ROWS[:1], ROWS[1] | {"finish_reason": "odd"}, ROWS[2] | {"text": "other"}]
    lines = write_annotations(tmp_path / "a.jsonl", rows)
    path = table_of(tmp_path / "a.parquet", rows)
    found = faults_of(path)
    assert found == [
        (item.line, item.message)
        for item in scan_rows(lines, Annotation)
        if isinstance(item, Fault)
    ]
    assert [line for line, _ in found] == [2, 3]
    with pytest.raises(InputError, match=r"a\.parquet:2: 'finish_reason' is 'odd'"):
        read_records(path, Annotation)


def test_a_null_is_an_absent_key_and_nothing_else_is_guessed(tmp_path: Path) -> None:
    path = table_of(tmp_path / "a.parquet", ROWS, id=pa.array(["a", None, "c"]))
    assert faults_of(path) == [(2, "required key 'id' is missing")]
    path = table_of(tmp_path / "b.parquet", ROWS, id=pa.array([1, 2, 3]))
    assert [line for line, _ in faults_of(path)] == [1, 2, 3]
    path = table_of(tmp_path / "c.parquet", ROWS, sampling=pa.array(["[1]", "{}", "{"]))
    assert [line for line, _ in faults_of(path)] == [1, 3]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"score": pa.nulls(3)}, "unknown column 'score'; known: .*sentences"),
        ({"topics": pa.array(["a"] * 3)}, "unknown column 'topics'; did you mean 'topic'"),
        (
            {"topic": pa.array([0, 1, 2], pa.timestamp("ms"))},
            r"column 'topic' has the type timestamp\[ms\], for which JSON has no value",
        ),
    ],
)
def test_columns_that_no_annotation_has_are_refused_once(
    tmp_path: Path, changed: Json, message: str
) -> None:
    path = table_of(tmp_path / "a.parquet", ROWS, **changed)
    with pytest.raises(InputError, match=message) as caught:
        read_records(path, Annotation)
    assert len(caught.value.faults) == 1


def test_other_tables_and_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"chosen": ["a"]}), path)
    with pytest.raises(InputError, match="has no column 'id', so it holds no Annotation rows"):
        read_records(path, Annotation)
    pq.write_table(pa.table([["a"], ["b"]], names=["id", "id"]), path)
    with pytest.raises(InputError, match="column 'id' is there twice"):
        read_records(path, Question)
    path.write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_records(path, Annotation)
    with pytest.raises(InputError, match=r"cannot be read as Parquet: .*No such file"):
        read_records(tmp_path / "none.parquet", Annotation)


def test_rows_are_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with one large row group, as others write it, is not read as a whole."""
    path = tmp_path / "questions.parquet"
    rows = [{"id": f"q{n}", "question": "?"} for n in range(5_000)]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=5_000)
    sizes: list[int] = []

    def counted(batch: Any) -> list[str]:
        sizes.append(batch.num_rows)
        return json_rows(batch)

    monkeypatch.setattr("schemas.files.parquet_lines.json_rows", counted)
    assert len(list(read_ids(path))) == 5_000
    assert max(sizes) <= 1_024


def test_a_row_keeps_what_a_record_holds() -> None:
    row = record_row(Annotation.model_validate_json(json.dumps(ROWS[0])))
    assert list(row) == list(Annotation.model_fields)
    assert json.loads(row["sampling"]) == ROWS[0].get("sampling", {})
