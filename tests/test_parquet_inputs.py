"""Commands that read annotations take Parquet and folders of parts as they take JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from build_rows import questions, write_annotations
from command_line import Run, make_run
from show_rows import annotation_row, document_row, write

from formats.export import ExportFormat, run_export
from formats.parquet_records import write_parquet_records
from formats.sheets.export import run_export_sheet
from maskdpo.show.sources import Kind, count_rows, find_source, read_source
from schemas.errors import InputError
from schemas.files.jsonl import read_records
from schemas.files.row_folder import list_row_files
from schemas.files.sidecar import make_sidecar, write_sidecar
from schemas.records import Annotation, Response


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run(monkeypatch, capsys)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    write(tmp_path / "documents.jsonl", [document_row()])
    return write(
        tmp_path / "annotations.jsonl",
        [annotation_row(f"r{number}", question_id=f"q{number}") for number in range(4)],
    )


def as_parquet(lines: Path, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    write_parquet_records(path, read_records(lines, Annotation), Annotation)
    return path


def as_parts(lines: Path, folder: Path) -> Path:
    """The rows in two parts, one of each format, with what a run writes next to them."""
    rows = read_records(lines, Annotation)
    folder.mkdir()
    half = len(rows) // 2
    write_parquet_records(folder / "a-00001-of-00001.parquet", rows[:half], Annotation)
    write(
        folder / "b-00001-of-00001.jsonl",
        [json.loads(row.model_dump_json()) for row in rows[half:]],
    )
    write(folder / "b-00001-of-00001.failed.jsonl", [{"id": "x"}])
    write(folder / "notes.jsonl", [{"id": "x"}])
    return folder


def test_show_prints_the_rows_of_parquet_and_of_parts(run: Run, lines: Path) -> None:
    _, expected, _ = run("show", lines, "--documents", "documents.jsonl")
    for source in (
        as_parquet(lines, lines.with_suffix(".parquet")),
        as_parts(lines, lines.with_name("parts")),
    ):
        code, out, _ = run("show", source, "--documents", "documents.jsonl")
        assert code == 0
        assert out.replace(str(source), str(lines)) == expected


def test_a_folder_of_parts_is_one_source_in_the_order_of_names(lines: Path) -> None:
    source = find_source(str(as_parts(lines, lines.with_name("parts"))))
    assert source.kind is Kind.ANNOTATIONS
    assert count_rows(source) == 4
    assert [item.record.id for item in read_source(source) if hasattr(item, "record")] == [
        "r0",
        "r1",
        "r2",
        "r3",
    ]


def test_responses_in_parquet_are_shown(run: Run, lines: Path, tmp_path: Path) -> None:
    rows = [
        Response(**row.model_dump(exclude={"sentences"})) for row in read_records(lines, Annotation)
    ]
    path = tmp_path / "responses.parquet"
    write_parquet_records(path, rows, Response)
    assert find_source(str(path)).kind is Kind.RESPONSES
    assert run("show", path)[0] == 0
    mixed = tmp_path / "mixed"
    as_parquet(lines, mixed / "a.parquet")
    write_parquet_records(mixed / "b.parquet", rows, Response)
    with pytest.raises(InputError, match=r"holds responses, and a\.parquet holds annotations"):
        find_source(str(mixed))


def test_a_newer_part_is_refused(lines: Path) -> None:
    folder = as_parts(lines, lines.with_name("parts"))
    sidecar = make_sidecar("annotation", config={}, inputs=[], version=(9, 0))
    write_sidecar(folder / "b-00001-of-00001.jsonl", sidecar)
    for read in (
        lambda: find_source(str(folder)),
        lambda: run_export(
            source=folder, output=folder / "x.jsonl", format_name=ExportFormat.HUMAN_LABELS
        ),
        lambda: run_export_sheet(source=folder, output=folder / "x.csv", format_name="csv"),
    ):
        with pytest.raises(InputError, match="newer than"):
            read()


def test_exports_of_parquet_and_of_parts_have_the_same_bytes(tmp_path: Path) -> None:
    rows = questions(2)
    for sentence in (item for row in rows for item in row["sentences"]):
        sentence["verdict"]["source"] = "person"
    lines = write_annotations(tmp_path / "annotations.jsonl", rows)
    sources = [
        lines,
        as_parquet(lines, lines.with_suffix(".parquet")),
        as_parts(lines, lines.with_name("parts")),
    ]
    labels, sheets = [], []
    for number, source in enumerate(sources):
        output = tmp_path / f"{number}.jsonl"
        run_export(source=source, output=output, format_name=ExportFormat.HUMAN_LABELS, lossy=True)
        labels.append(output.read_bytes())
        sheet = tmp_path / f"{number}.csv"
        assert run_export_sheet(source=source, output=sheet, format_name="csv").num_rows
        sheets.append(sheet.read_bytes())
    assert labels[0].count(b"\n") == len(read_records(lines, Annotation))
    assert labels == labels[:1] * 3
    assert sheets == sheets[:1] * 3


def test_a_sheet_of_a_bad_row_names_it(lines: Path, tmp_path: Path) -> None:
    path = as_parquet(lines, tmp_path / "a.parquet")
    table = pq.read_table(path)
    place = table.column_names.index("text")
    pq.write_table(table.set_column(place, "text", pa.array(["x", *["y" * 61] * 3])), path)
    with pytest.raises(InputError, match=r"a\.parquet:1: .*ends past the text"):
        run_export_sheet(source=path, output=tmp_path / "x.csv", format_name="csv")


def test_build_takes_a_folder_a_glob_and_both_formats(run: Run, tmp_path: Path) -> None:
    lines = write_annotations(tmp_path / "all.jsonl", questions(8))
    folder = as_parts(lines, tmp_path / "parts")
    options = ("--no-plots", "--set", "build.test_share=0")
    assert run("build", "--annotations", lines, "--output", "one", *options)[0] == 0
    assert run("build", "--annotations", folder, "--output", "two", *options)[0] == 0
    pattern = f"{folder}/*-of-00001.*[tl]"
    (folder / "b-00001-of-00001.failed.jsonl").unlink()
    assert run("build", "--annotations", pattern, "--output", "three", *options)[0] == 0
    files = "pairs/train-00000-of-00001.parquet", "sentences/train-00000-of-00001.parquet"
    for name in files:
        expected = (tmp_path / "one" / name).read_bytes()
        assert (tmp_path / "two" / name).read_bytes() == expected
        assert (tmp_path / "three" / name).read_bytes() == expected


def test_a_folder_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    for number in (1, 3):
        write(tmp_path / f"a-{number:05}-of-00005.jsonl", [{}])
    with pytest.raises(InputError, match=r"lacks a-00002-of-00005\.jsonl \(and 2 more\)"):
        list_row_files(tmp_path)
    for number in (2, 4, 5):
        write(tmp_path / f"a-{number:05}-of-00005.jsonl", [{}])
    assert [path.name[:7] for path in list_row_files(tmp_path)] == [
        f"a-0000{n}" for n in range(1, 6)
    ]
    for number in range(2):  # as other programs count
        pq.write_table(pa.table({"id": ["a"]}), tmp_path / f"b-{number:05}-of-00002.parquet")
    assert len(list_row_files(tmp_path)) == 7
    empty = tmp_path / "empty"
    empty.mkdir()
    write(empty / "notes.jsonl", [{}])
    with pytest.raises(InputError, match="holds no rows; a folder of rows has Parquet files"):
        list_row_files(empty)


def test_agreement_takes_labels_and_verdicts_in_parquet(
    run: Run, lines: Path, tmp_path: Path
) -> None:
    documents = ("--documents", tmp_path / "documents.jsonl")
    gold, judge = (
        as_parquet(lines, tmp_path / "g.parquet"),
        as_parquet(lines, tmp_path / "j.parquet"),
    )
    code, expected, err = run(
        "agreement", "--gold", lines, *documents, "--judge", lines, "--json", "--output", "1.json"
    )
    assert code == 0, err
    code, found, err = run(
        "agreement", "--gold", gold, *documents, "--judge", judge, "--json", "--output", "2.json"
    )
    assert code == 0, err
    names = {"gold", "judge"}
    assert {key: value for key, value in json.loads(found).items() if key not in names} == {
        key: value for key, value in json.loads(expected).items() if key not in names
    }


def test_the_review_desk_refuses_parquet_in_one_sentence(run: Run, lines: Path) -> None:
    path = as_parquet(lines, lines.with_suffix(".parquet"))
    code, _, err = run("review", path)
    assert code == 2
    assert "the review desk reads one file of JSON Lines" in err
