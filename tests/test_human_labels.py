import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.human_labels import (
    NO_QUESTION_PROMPT,
    BadRow,
    read_human_labels,
    scan_human_labels,
)
from formats.import_human_labels import run_import
from schemas.errors import ConfigError, InputError
from schemas.files.jsonl import TornTailWarning, read_records
from schemas.labels import Label
from schemas.records import Annotation, Document, Failure
from schemas.spans import check_cover
from schemas.stage import failures_path

TEXT = "Rome is old. Paris is new!  它很大。Bye."


def human_row(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": "r1",
        "source": "Someone",
        "language": "en",
        "group": "g1",
        "question": "What is old?",
        "documents": [{"id": "d1", "text": "Rome is old."}],
        "response": TEXT,
        "generator": "m",
        "sentences": [
            {"start": 0, "end": 12, "label": "factual"},
            {"start": 13, "end": 26, "label": "hallucinated"},
        ],
    }
    return row | changes


def write_rows(path: Path, *rows: dict[str, Any] | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_one(tmp_path: Path, **changes: Any) -> Annotation:
    return read_human_labels(write_rows(tmp_path / "in.jsonl", human_row(**changes))).annotations[0]


def test_a_row_becomes_an_annotation_with_its_gap_unlabelled(tmp_path: Path) -> None:
    annotation = read_one(tmp_path)
    found = [(TEXT[s.start : s.end], s.verdict.label) for s in annotation.sentences]
    assert found == [
        ("Rome is old.", Label.NO_HALLUCINATION),
        ("Paris is new!", Label.HALLUCINATED),
        ("它很大。Bye.", Label.UNDETERMINED),
    ]
    assert {s.verdict.source for s in annotation.sentences} == {"person"}
    assert {s.verdict.judge for s in annotation.sentences} == {"Someone"}
    assert annotation.sentences[-1].verdict.reason == "not_labelled"
    assert (annotation.question_id, annotation.topic, annotation.model) == ("g1", "g1", "m")
    assert annotation.document_ids == ["d1"]
    assert [m.model_dump() for m in annotation.prompt] == [
        {"role": "user", "content": "What is old?"}
    ]


def test_spans_may_touch(tmp_path: Path) -> None:
    spans = [
        {"start": 0, "end": 5, "label": "factual"},
        {"start": 5, "end": len(TEXT), "label": "hallucinated"},
    ]
    found = [(s.start, s.end) for s in read_one(tmp_path, sentences=spans).sentences]
    assert found == [(0, 5), (5, len(TEXT))]


def test_a_null_label_is_undetermined_and_no_fact_is_kept(tmp_path: Path) -> None:
    spans = [
        {"start": 13, "end": 26, "label": None},
        {"start": 0, "end": 12, "label": "no_fact"},  # unsorted on purpose: disjoint is enough
    ]
    labels = [s.verdict.label for s in read_one(tmp_path, sentences=spans).sentences]
    assert labels == [Label.NO_FACT, Label.UNDETERMINED, Label.UNDETERMINED]


@given(data=st.data(), text=st.text(min_size=1).filter(lambda value: bool(value.strip())))
def test_labelled_spans_survive_and_everything_is_covered(
    data: st.DataObject, text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = [
        {"start": a, "end": b, "label": data.draw(st.sampled_from(["factual", "no_fact", None]))}
        for a, b in zip(cuts[::2], cuts[1::2], strict=False)
        if text[a:b].strip()
    ]
    shuffled = data.draw(st.permutations(spans))
    annotation = read_one(
        tmp_path_factory.mktemp("labels"), response=text, sentences=list(shuffled)
    )
    places = [(s.start, s.end) for s in annotation.sentences]
    check_cover(text, places)
    assert {(span["start"], span["end"]) for span in spans} <= set(places)
    labelled = {(s["start"], s["end"]) for s in spans if s["label"] is not None}
    decided = {
        (s.start, s.end) for s in annotation.sentences if s.verdict.label != Label.UNDETERMINED
    }
    assert decided == labelled


def test_questions_of_one_group_stay_apart_and_rows_without_one_stand_alone(
    tmp_path: Path,
) -> None:
    path = write_rows(
        tmp_path / "in.jsonl",
        human_row(id="a"),
        human_row(id="b", question="Another?"),
        human_row(id="c"),
        human_row(id="d", question=" "),
        human_row(id="e", question="Another?"),
        human_row(id="f", question="A third?"),
    )
    rows = {row.id: row for row in read_human_labels(path).annotations}
    assert {row.topic for row in rows.values()} == {"g1"}
    assert rows["a"].question_id == rows["c"].question_id == "g1"
    assert rows["b"].question_id == rows["e"].question_id != "g1"
    assert rows["f"].question_id not in {"g1", rows["b"].question_id}
    assert rows["d"].question_id == "d"
    assert rows["d"].prompt[0].content == NO_QUESTION_PROMPT


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sentences": [{"start": 0, "end": 99, "label": "factual"}]}, ["sentences[0]", "past"]),
        ({"sentences": [{"start": 5, "end": 5, "label": "factual"}]}, ["sentences[0]", "empty"]),
        ({"sentences": [{"start": 26, "end": 28, "label": "factual"}]}, ["white space"]),
        (
            {
                "sentences": [
                    {"start": 4, "end": 9, "label": "factual"},
                    {"start": 0, "end": 5, "label": "factual"},
                ]
            },
            ["sentences[1] [0, 5)", "sentences[0] [4, 9)", "overlap"],
        ),
        ({"sentences": [{"start": 0, "end": 5, "label": "true"}]}, ["label", "'true'", "factual"]),
        ({"sentences": [{"start": "0", "end": 5, "label": None}]}, ["sentences[0].start", "'0'"]),
        ({"respones": "x"}, ["unknown key 'respones'", "'response'"]),
        ({"response": " \n"}, ["'response'", "white space"]),
        (
            {"documents": [{"id": "d", "text": "x"}, {"id": "d", "text": "y"}]},
            ["document 'd'", "a different text"],
        ),
        ({"group": ""}, ["'group'"]),
    ],
)
def test_a_wrong_row_is_named_by_file_line_and_field(
    tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    path = write_rows(tmp_path / "in.jsonl", human_row(id="ok"), human_row(**changes))
    with pytest.raises(InputError) as caught:
        read_human_labels(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    for word in words:
        assert word in str(caught.value)
    assert [type(item) is BadRow for item in scan_human_labels(path)] == [False, True]


def test_import_keeps_good_rows_and_records_bad_ones(tmp_path: Path) -> None:
    source = write_rows(
        tmp_path / "in.jsonl",
        human_row(id="a"),
        human_row(id="a", response="Twice."),
        "{broken",
        human_row(id="b", documents=[{"id": "d1", "text": "Something else."}]),
        human_row(id="c", surprise=1, extra=2),
        human_row(id="e", documents=[{"id": "d1", "text": "Rome is old."}]),
    )
    result = run_import(
        source=source, annotations=tmp_path / "a.jsonl", documents=tmp_path / "d.jsonl"
    )
    assert [row.id for row in read_records(tmp_path / "a.jsonl", Annotation)] == ["a", "e"]
    assert [row.id for row in read_records(tmp_path / "d.jsonl", Document)] == ["d1"]
    failures = read_records(failures_path(tmp_path / "a.jsonl"), Failure)
    assert [row.id for row in failures] == ["a", "line-3", "b", "line-5"]
    assert [row.detail.split(": ")[0] for row in failures] == [
        f"in.jsonl:{line}" for line in (2, 3, 4, 5)
    ]
    assert "first used on line 1" in failures[0].detail
    assert "on line 1" in failures[2].detail
    assert "'surprise'" in failures[3].detail
    assert "'extra'" in failures[3].detail
    assert (result.num_rows, len(result.failures)) == (6, 4)
    assert result.counts["responses"] == 2
    with pytest.raises(InputError) as caught:
        read_human_labels(source)
    assert [fault.line for fault in caught.value.faults] == [2, 2, 2, 3, 4, 5, 5]


def test_import_of_nothing_sound_writes_nothing(tmp_path: Path) -> None:
    outputs = {"annotations": tmp_path / "a.jsonl", "documents": tmp_path / "d.jsonl"}
    bad = write_rows(tmp_path / "bad.jsonl", "{", "[]")
    with pytest.raises(InputError, match=r"bad\.jsonl:1: not valid JSON"):
        run_import(source=bad, **outputs)
    empty = write_rows(tmp_path / "empty.jsonl")
    with pytest.raises(InputError, match="holds no rows"):
        run_import(source=empty, **outputs)
    with pytest.raises(InputError, match="cannot be read"):
        run_import(source=tmp_path / "absent.jsonl", **outputs)
    assert not outputs["annotations"].exists()
    assert not outputs["documents"].exists()
    with pytest.raises(ConfigError, match="the same file"):
        run_import(source=bad, annotations=tmp_path / "x", documents=tmp_path / "x")


def test_a_torn_last_line_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", human_row(id="a"))
    with path.open("a", encoding="utf-8") as handle:
        handle.write('{"id": "b", "sour')
    with pytest.warns(TornTailWarning, match=r"in\.jsonl:2"):
        assert [row.id for row in read_human_labels(path).annotations] == ["a"]


def test_import_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", human_row(id="a"), human_row(id="b"))
    for name in ("one", "two"):
        run_import(
            source=source,
            annotations=tmp_path / name / "a.jsonl",
            documents=tmp_path / name / "d.jsonl",
        )
    names = ("a.jsonl", "d.jsonl", "a.jsonl.meta.json", "d.jsonl.meta.json")
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
