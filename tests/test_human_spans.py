"""Error spans of human labels: into annotations untouched, and out again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import make_run
from hypothesis import given
from hypothesis import strategies as st
from test_human_labels import TEXT, human_row, read_one, write_rows
from work_counter import count_steps

from formats.export import ExportFormat, run_export
from formats.export_human_labels import human_row as exported_row
from formats.human_labels import HumanRow, make_annotation, read_human_labels
from formats.human_spans import collect, count_spans
from formats.import_human_labels import run_import
from schemas.errors import InputError
from schemas.files.jsonl import read_records
from schemas.files.tables import Table
from schemas.labels import Label
from schemas.records import Annotation, ErrorSpan, Failure
from schemas.stage import failures_path

# TEXT is "Rome is old. Paris is new!  它很大。Bye.": a factual, a hallucinated and a gap sentence.


def span(
    start: int, end: int, label: str | None = "contradictory", kind: str = "Evident Conflict"
) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label, "kind": kind}


def import_rows(tmp_path: Path, *rows: dict[str, Any]) -> Any:
    source = write_rows(tmp_path / "in.jsonl", *rows)
    return run_import(
        source=source, annotations=tmp_path / "a.jsonl", documents=tmp_path / "d.jsonl"
    )


def export_rows(tmp_path: Path, **options: Any) -> Any:
    return run_export(
        source=tmp_path / "a.jsonl",
        output=tmp_path / "back.jsonl",
        format_name=ExportFormat.HUMAN_LABELS,
        documents=tmp_path / "d.jsonl",
        **options,
    )


def test_spans_are_kept_untouched_in_every_sentence_they_touch(tmp_path: Path) -> None:
    given_spans = [
        span(19, 25, "unverifiable", "Subtle Baseless Info"),
        span(8, 18),  # across two sentences
        span(13, 18, None, ""),
        span(13, 18, None, ""),  # the same again
        span(12, 14),  # the space between two sentences, and the first letter of the second
    ]
    rows = read_one(tmp_path, spans=given_spans).sentences
    found = [[item.model_dump(mode="json") for item in row.verdict.error_spans] for row in rows]
    bare = {"start": 13, "end": 18}
    assert found == [
        [given_spans[1]],
        [given_spans[0], given_spans[1], bare, bare, given_spans[4]],
        [],
    ]


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ((12, 13), 0),  # a space: the sentence before it
        ((26, 28), 1),
        ((32, 33), 2),  # a gap that nobody labelled
        ((11, 12), 0),  # punctuation alone
    ],
)
def test_a_span_without_words_has_its_sentence(
    tmp_path: Path, place: tuple[int, int], sentence: int
) -> None:
    rows = read_one(tmp_path, spans=[span(*place)]).sentences
    assert [len(row.verdict.error_spans) for row in rows] == [
        int(index == sentence) for index in range(3)
    ]


def test_a_space_before_all_sentences_belongs_to_the_first(tmp_path: Path) -> None:
    labels = [
        {"start": 2, "end": 5, "label": "hallucinated"},
        {"start": 6, "end": 9, "label": "factual"},
    ]
    row = read_one(tmp_path, response="  Ja. No.", sentences=labels, spans=[span(0, 1)])
    assert [len(item.verdict.error_spans) for item in row.sentences] == [1, 0]


def test_the_space_at_a_sentences_end_is_not_touched(tmp_path: Path) -> None:
    labels = [
        {"start": 0, "end": 13, "label": "factual"},  # "Rome is old. "
        {"start": 13, "end": 26, "label": "hallucinated"},
    ]
    rows = read_one(tmp_path, sentences=labels, spans=[span(12, 18)]).sentences
    assert [len(row.verdict.error_spans) for row in rows] == [0, 1, 0]


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        ([span(0, 4), span(0, 99)], ["spans[1] [0, 99)", "past"]),
        ([span(5, 5)], ["spans[0] [5, 5)", "empty"]),
        ([span(6, 5)], ["spans[0] [6, 5)", "empty"]),
        ([span(-1, 5)], ["spans[0].start", "-1"]),
        ([span(0, 4, "factual")], ["spans[0].label", "'factual'", "'unverifiable'"]),
        ([span(0, 4) | {"text": "Rome"}], ["spans[0].text", "unknown key"]),
        ({"start": 0}, ["'spans'", "array"]),
    ],
)
def test_a_wrong_span_is_named_by_line_and_number(
    tmp_path: Path, spans: Any, words: list[str]
) -> None:
    path = write_rows(tmp_path / "in.jsonl", human_row(id="ok"), human_row(spans=spans))
    with pytest.raises(InputError) as caught:
        read_human_labels(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    for word in words:
        assert word in str(caught.value)


def test_the_import_counts_spans_and_says_which_have_no_effect(tmp_path: Path) -> None:
    spans = [span(13, 18), span(8, 18), span(28, 31), span(12, 13), span(25, 26)]
    result = import_rows(tmp_path, human_row(spans=spans), human_row(id="r2"))
    expected = {
        "spans": 5,
        "spans_across_sentences": 1,
        "spans_in_other_sentences": 3,
        "spans_without_words": 2,
    }
    assert {key: value for key, value in result.counts.items() if "spans" in key} == expected
    sidecar = json.loads((tmp_path / "a.jsonl.meta.json").read_text())
    assert expected.items() <= sidecar["counts"].items()
    notes = " ".join(result.notes)
    assert "not labelled hallucinated: 3 of 5" in notes
    assert "punctuation alone: 2 of 5" in notes


def test_rows_without_spans_have_the_same_counts_and_bytes_as_before(tmp_path: Path) -> None:
    result = import_rows(tmp_path, human_row(), human_row(id="r2", spans=[]))
    assert not [key for key in result.counts if "spans" in key]
    assert "error_spans" not in (tmp_path / "a.jsonl").read_text()
    result = export_rows(tmp_path)
    assert "spans" not in result.counts
    assert all("spans" not in line for line in (tmp_path / "back.jsonl").read_text().splitlines())


def test_spans_come_as_a_split_of_a_data_set(tmp_path: Path) -> None:
    rows = [human_row(spans=[span(13, 18)]), human_row(id="r2", spans=None)]
    rows[0]["spans"].append({"start": 19, "end": 25, "label": None, "kind": None})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    table = Table(name="x/train", folder=tmp_path, files=[tmp_path / "x.parquet"])
    first, second = read_human_labels(table).annotations
    assert collect(first.sentences) == [
        ErrorSpan(start=13, end=18, label=Label.CONTRADICTORY, kind="Evident Conflict"),
        ErrorSpan(start=19, end=25),
    ]
    assert collect(second.sentences) == []


def test_spans_go_out_and_come_back_character_for_character(tmp_path: Path) -> None:
    spans = [
        span(12, 13, None, ""),  # white space only
        span(11, 12, "hallucinated"),  # punctuation only
        span(8, 18),  # across sentences
        span(19, 22, "unverifiable", "Sûbtle, “quoted” 它"),
        span(8, 18),  # the one across sentences again
        span(13, 18),
        span(28, 30),  # in the gap
    ]
    import_rows(tmp_path, human_row(spans=spans), human_row(id="r2"))
    result = export_rows(tmp_path)
    assert result.counts["spans"] == len(spans)
    assert not result.failures
    back = [json.loads(line) for line in (tmp_path / "back.jsonl").read_text().splitlines()]
    assert back[0]["spans"] == spans
    assert "spans" not in back[1]
    again = read_human_labels(tmp_path / "back.jsonl")
    assert again == read_human_labels(tmp_path / "in.jsonl")


def test_the_commands_bring_spans_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(monkeypatch, capsys)
    spans = [span(8, 18), span(28, 30), span(12, 13), span(8, 18)]
    source = write_rows(tmp_path / "in.jsonl", human_row(spans=spans))
    there, again = tmp_path / "there" / "a.jsonl", tmp_path / "again" / "a.jsonl"
    back = tmp_path / "back.jsonl"
    code, _, err = run("import", source, "--output", there)
    assert code == 0
    assert "not labelled hallucinated: 4 of 4; they are kept" in err
    documents = there.with_name("documents.jsonl")
    options = ("--format", "human_labels", there, "--documents", documents, "--output", back)
    assert run("export", *options)[0] == 0
    assert run("import", back, "--output", again)[0] == 0
    assert again.read_bytes() == there.read_bytes()
    found = json.loads(back.read_text())["spans"]
    assert Counter(map(str, found)) == Counter(map(str, spans))


@st.composite
def labelled_rows(draw: st.DrawFn) -> HumanRow:
    """Sentences of few letters with gaps between some, and error spans anywhere over them."""
    text = draw(st.text(alphabet="ab. \n", min_size=1, max_size=14).filter(str.strip))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    labels = st.sampled_from(["factual", "hallucinated", None])
    sentences = [
        {"start": start, "end": end, "label": draw(labels)}
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
        if text[start:end].strip()
    ]
    ends = st.integers(0, len(text))
    spans = draw(
        st.lists(
            st.builds(span, ends, ends, st.sampled_from(["unverifiable", None]), st.just("k")),
            max_size=7,
        )
    )
    sound = [item for item in spans if item["start"] < item["end"]]
    values = human_row(response=text, sentences=sentences, spans=sound)
    return HumanRow.model_validate_json(json.dumps(values))


@given(row=labelled_rows())
def test_any_spans_come_back(row: HumanRow) -> None:
    annotation = make_annotation(row, question_id="g1")
    values = exported_row(annotation, {})
    given_spans = [item.model_dump(mode="json") for item in row.spans]
    found = values.pop("spans", [])
    assert Counter(map(str, found)) == Counter(map(str, given_spans))
    again = HumanRow.model_validate_json(json.dumps(values | {"spans": found, "documents": []}))
    back = make_annotation(again, question_id="g1")
    assert [item.verdict for item in back.sentences] == [
        item.verdict for item in annotation.sentences
    ]


@given(order=st.permutations(range(4)))
def test_the_order_of_a_sentences_spans_is_kept(order: list[int]) -> None:
    """Two in the first sentence, one in both and one in the second: none of the orders changes."""
    four = [span(0, 2), span(3, 5), span(9, 15), span(16, 18)]
    row = HumanRow.model_validate_json(json.dumps(human_row(spans=[four[i] for i in order])))
    annotation = make_annotation(row, question_id="g1")
    found = exported_row(annotation, {})["spans"]
    for members in ((0, 1, 2), (2, 3)):
        kept = [four.index(item) for item in found if four.index(item) in members]
        assert kept == [index for index in order if index in members]


def test_what_the_format_cannot_hold_is_refused_or_asked_for(tmp_path: Path) -> None:
    import_rows(tmp_path, human_row(spans=[span(8, 18)]), human_row(id="fine"))
    row = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    judge = json.loads(json.dumps(row)) | {"id": "judge"}
    for sentence in judge["sentences"]:
        sentence["verdict"] |= {"label": "undetermined", "reason": "x", "source": "judge"}
    del row["sentences"][1]["verdict"]["error_spans"]  # a person reviewed this sentence since
    far = json.loads(json.dumps(row)) | {"id": "far"}
    far["sentences"][0]["verdict"]["error_spans"] = [{"start": 20, "end": 22}]
    source = write_rows(tmp_path / "changed.jsonl", row, judge, far)
    (tmp_path / "a.jsonl.meta.json").unlink()
    source.replace(tmp_path / "a.jsonl")
    export_rows(tmp_path)
    failures = read_records(failures_path(tmp_path / "back.jsonl"), Failure)
    details = {failure.id: failure.detail for failure in failures}
    assert "sentence 1 does not have, but touches, the error span [8, 18)" in details["r1"]
    assert "judged by a program" in details["judge"]
    assert "sentence 0 has, but does not touch, the error span [20, 22)" in details["far"]
    result = export_rows(tmp_path, lossy=True)
    assert [failure.id for failure in result.failures] == ["judge"]
    found = [json.loads(line) for line in (tmp_path / "back.jsonl").read_text().splitlines()]
    assert [item["spans"] for item in found] == [[span(8, 18)], [span(20, 22, None, "")]]


def test_an_annotation_file_keeps_spans(tmp_path: Path) -> None:
    import_rows(tmp_path, human_row(spans=[span(8, 18)]))
    (annotation,) = read_records(tmp_path / "a.jsonl", Annotation)
    assert annotation == read_human_labels(tmp_path / "in.jsonl").annotations[0]
    assert TEXT[8:18] == "old. Paris"


def test_the_work_grows_with_the_number_of_spans_not_with_its_square() -> None:
    few, many = (count_steps(lambda num=num: read_spans(num)) for num in (500, 1_000))
    assert many < 2.5 * few


def read_spans(num: int) -> None:
    values = human_row() | {"spans": [span(n % 12, 14 + n % 12, kind=f"{n}") for n in range(num)]}
    annotation = make_annotation(HumanRow.model_validate(values), question_id="q")
    assert count_spans(annotation)["spans_across_sentences"] == num
    assert [item.kind for item in collect(annotation.sentences)] == [str(n) for n in range(num)]


def test_null_spans_are_no_spans(tmp_path: Path) -> None:
    assert read_one(tmp_path, spans=None) == read_one(tmp_path, spans=[])
