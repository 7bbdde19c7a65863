"""Every label comes back equal, or its row is refused by number, whatever the program."""

from __future__ import annotations

import csv
import io
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from build_rows import annotation_row
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sheet_rows import bring_back, export, read_csv, save_csv

from formats.sheets.cells import (
    MAX_CELL_UNITS,
    cell_units,
    defuse,
    escape,
    restore,
    split_cell,
    unescape,
)
from formats.sheets.columns import PERSON_COLUMNS
from formats.sheets.labels import LABEL_WORDS
from schemas.labels import Label
from schemas.reviews import Review

LABELS = list(Label)
NAMES = [item.label.value for item in LABEL_WORDS]
CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS, max_size=30) | st.sampled_from(
    [
        "_x0041_",
        "_x0041_x0042_",
        "\x00a\x1f",
        "a\r\nb",
        "\ufeffx",
        "'",
        "''x",
        "=1+1",
        "1-2",
        "TRUE",
    ]
)
FULL_TEXTS = TEXTS.filter(lambda text: bool(text.strip()))
IDS = [
    "1-2",
    "007",
    "=1+1",
    "1E5",
    "TRUE",
    "'t Hooft",
    "''",
    "12345678901234567890",
    "2026-01-31",
    "MARCH1",
    "糖尿病足.html-q0-0",
    "Größe-1",
    "😀-3",
    'a"b',
    "a,b;c\td",
    "_x0041_",
    " r",
    "12",
]
BODIES = [
    '=HYPERLINK("http://x")',
    "+1",
    "-1-2",
    "@x",
    "'quoted'",
    'He said "so", twice; thrice.\tAnd',
    "line\r\nbreak\nand\rmore",
    "control \x00\x01\x0b\x1f\x7f\x85 characters",
    "_x0001_ and _x0041_x0042_",
    "桥在别处，长度为九百万。",
    "naïve café “quoted” – 5 €",
    "emoji 😀👩‍🔬 and \u2028 \ufeff \uffff",
    "007",
    "1E5",
    "TRUE",
    "3.10",
    "#N/A",
    "long " + "word 字😀_" * 5_000,
]


def hostile_rows(count: int) -> list[dict[str, Any]]:
    """`count` responses; ids and texts are hostile in all combinations, the first ones long."""
    rows = []
    for number in range(count):
        name, text = IDS[number % len(IDS)], BODIES[number % len(BODIES)]
        if number >= len(IDS):
            name += f"-{number}"
        if number >= 3 * len(BODIES):
            text = f"{text[:200]} {number}"
        elif number >= len(BODIES):
            text += f" {number}"
        label = LABELS[number % len(LABELS)]
        rows.append(annotation_row(name, [label], texts=[text], question=f"=q{number}"))
    return rows


def name_of(number: int) -> str:
    return NAMES[number * 7 % len(NAMES)]


def expected(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[int, int, str, str]]:
    return {
        row["id"]: (0, len(row["text"]), name_of(number), f"'note {number} = 好")
        for number, row in enumerate(rows)
    }


def found(reviews: Sequence[Review]) -> dict[str, tuple[int, int, str, str]]:
    return {
        row.response_id: (row.start, row.end, row.spans[0].label.value, row.note) for row in reviews
    }


def fill(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    for number, row in enumerate(rows):
        row.update(person_label=name_of(number), who="李 “B”", note=f"'note {number} = 好")
    return rows


@pytest.mark.parametrize(
    ("encoding", "separator", "head"),
    [
        ("utf-8", ",", ""),
        ("utf-8-sig", ";", ""),
        ("utf-8-sig", ",", "sep=,\r\n"),
        ("utf-8", "|", "sep=|\r\n"),
        ("utf-16", "\t", ""),
        ("utf-16-le", "\t", ""),
        ("utf-16-be", ",", ""),
        ("gb18030", ",", ""),
        ("gb18030", ";", "sep=;\r\n"),
    ],
)
def test_500_hostile_rows_come_back_from_every_encoding(
    tmp_path: Path, encoding: str, separator: str, head: str
) -> None:
    rows = hostile_rows(500)
    path = export(tmp_path, rows)
    save_csv(path, fill(read_csv(path)), encoding=encoding, separator=separator, head=head)
    reviews, result = bring_back(path)
    assert not result.failures
    assert found(reviews) == expected(rows)
    assert not any("edited" in note for note in result.notes)
    is_named = any("not in UTF-8" in note for note in result.notes)
    assert is_named == (not encoding.startswith("utf-8"))


@pytest.mark.parametrize("encoding", ["cp1252", "gbk", "shift_jis", "cp1251"])
def test_500_hostile_rows_in_a_small_encoding_come_back_or_are_refused(
    tmp_path: Path, encoding: str
) -> None:
    """A program writes `?` for what its encoding does not have."""
    rows = hostile_rows(500)
    path = export(tmp_path, rows)
    save_csv(path, fill(read_csv(path)), encoding=encoding, errors="replace")
    reviews, result = bring_back(path)
    wanted, back = expected(rows), found(reviews)
    refused = {int(failure.id.rpartition(":")[2]) for failure in result.failures}
    lost = [
        row["id"]
        for row in rows
        if row["id"].encode(encoding, "replace").decode(encoding) != row["id"]
    ]
    assert sorted(refused) == [n for n, row in enumerate(rows, start=2) if row["id"] in set(lost)]
    assert all("encoding that the sheet was saved in" in item.detail for item in result.failures)
    assert set(back) == set(wanted) - set(lost)
    for name, (start, end, label, _) in back.items():
        assert (start, end, label) == wanted[name][:3]


@pytest.mark.parametrize("encoding", ["cp1252", "big5", "shift_jis", "cp1251", "cp1250", "gbk"])
def test_an_encoding_that_the_checks_prove_keeps_names_and_notes(
    tmp_path: Path, encoding: str
) -> None:
    word = {
        "cp1252": "Größe",
        "big5": "橋樑",
        "shift_jis": "ひらがな",
        "cp1251": "мост",
        "cp1250": "most žlutý ř",
        "gbk": "桥梁",
    }[encoding]
    rows = [
        annotation_row(f"{word}-{n}", [Label.NO_FACT], texts=[f"{word} {n}."]) for n in range(9)
    ]
    path = export(tmp_path, rows)
    filled = read_csv(path)
    for row in filled:
        row.update(person_label="wrong", who=word, note=word)
    save_csv(path, filled, encoding=encoding)
    reviews, result = bring_back(path)
    assert {(row.who, row.note) for row in reviews} == {(word, word)}
    assert {row.response_id for row in reviews} == {row["id"] for row in rows}
    assert not result.failures


@pytest.mark.parametrize(
    ("note", "encoding"),
    [
        ("桥在别处", "gb18030"),
        ("不对。", "gb18030"),
        ("“ok”", "cp1252"),
        ("Größe über Straße", "cp1252"),
        ("déjà vu à l’été", "cp1252"),
        ("ñ", "cp1252"),
    ],
)
def test_a_note_alone_decides_between_chinese_and_western(
    tmp_path: Path, note: str, encoding: str
) -> None:
    path = export(tmp_path, [annotation_row("r", [Label.NO_FACT])])
    filled = read_csv(path)
    filled[0].update(person_label="wrong", who="A", note=note)
    save_csv(path, filled, encoding=encoding)
    ((review,), _) = bring_back(path)
    assert review.note == note


def fill_xlsx(path: Path, change: Callable[[Any, dict[str, int], int], None]) -> None:
    """Open, fill in and save as a person would; `change` gets the sheet, columns and row."""
    book = openpyxl.load_workbook(path)
    sheet = book["sentences"]
    columns = {cell.value: cell.column for cell in sheet[1]}
    for row in range(2, sheet.max_row + 1):
        change(sheet, columns, row)
    book.save(path)


def fill_as_planned(sheet: Any, columns: dict[str, int], row: int) -> None:
    number = row - 2
    for name, value in zip(
        PERSON_COLUMNS, (name_of(number), "李", "2026/1/31", f"'note {number} = 好"), strict=True
    ):
        sheet.cell(row, columns[name]).value = value


def test_500_hostile_rows_come_back_from_xlsx_saved_again(tmp_path: Path) -> None:
    rows = hostile_rows(500)
    path = export(tmp_path, rows, "xlsx")
    fill_xlsx(path, fill_as_planned)
    reviews, result = bring_back(path)
    assert not result.failures
    assert found(reviews) == expected(rows)
    assert {row.when for row in reviews} == {"2026-01-31"}
    assert not any("edited" in note for note in result.notes)


def test_500_hostile_rows_come_back_from_xlsx_turned_into_csv(tmp_path: Path) -> None:
    """A program that saves .xlsx as CSV writes no apostrophes."""
    rows = hostile_rows(500)
    path = export(tmp_path, rows, "xlsx")
    fill_xlsx(path, fill_as_planned)
    sheet = openpyxl.load_workbook(path, read_only=True)["sentences"]
    out = io.StringIO(newline="")
    for values in sheet.iter_rows(values_only=True):
        csv.writer(out).writerow(
            [unescape(value) if isinstance(value, str) else value for value in values]
        )
    as_csv = path.with_suffix(".csv")
    as_csv.write_bytes(out.getvalue().encode("utf-8"))
    reviews, result = bring_back(as_csv)
    assert not result.failures
    assert found(reviews) == expected(rows)


def test_500_hostile_rows_come_back_from_csv_turned_into_xlsx(tmp_path: Path) -> None:
    rows = hostile_rows(500)
    path = export(tmp_path, rows)
    book = openpyxl.Workbook()
    sheet: Any = book.active
    filled = fill(read_csv(path))
    for number, values in enumerate([list(filled[0]), *(list(row.values()) for row in filled)], 1):
        for column, value in enumerate(values, start=1):
            cell = sheet.cell(number, column)
            cell.value = escape(value)
            cell.data_type = "s"
    book.save(path.with_suffix(".xlsx"))
    reviews, result = bring_back(path.with_suffix(".xlsx"))
    assert not result.failures
    assert found(reviews) == expected(rows)


@given(
    answers=st.dictionaries(
        FULL_TEXTS, st.tuples(FULL_TEXTS, st.sampled_from(NAMES)), min_size=1, max_size=5
    ),
    saving=st.sampled_from(["utf-8", "utf-16", "utf-16-le", "gb18030", "xlsx", "parquet"]),
    separator=st.sampled_from([",", ";", "\t"]),
)
@settings(max_examples=60, deadline=None)
@example(answers={"_x0041_": ("\x00=1", "no_fact")}, saving="xlsx", separator=",")
def test_whatever_the_ids_and_texts_hold_every_label_comes_back(
    answers: dict[str, tuple[str, str]], saving: str, separator: str
) -> None:
    rows = [
        annotation_row(name, [Label.NO_FACT], texts=[text], question=name)
        for name, (text, _) in answers.items()
    ]
    labels = [label for _, label in answers.values()]
    with tempfile.TemporaryDirectory() as folder:
        format_name = saving if saving in ("xlsx", "parquet") else "csv"
        path = export(Path(folder), rows, format_name)
        if saving == "xlsx":

            def choose(sheet: Any, columns: dict[str, int], row: int) -> None:
                sheet.cell(row, columns["person_label"]).value = labels[row - 2]

            fill_xlsx(path, choose)
        elif saving == "parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            table = pq.read_table(path).to_pylist()
            for row, label in zip(table, labels, strict=True):
                row["person_label"] = label
            pq.write_table(pa.Table.from_pylist(table), path)
        else:
            filled = read_csv(path)
            for cells, label in zip(filled, labels, strict=True):
                cells["person_label"] = label
            save_csv(path, filled, encoding=saving, separator=separator)
        reviews, result = bring_back(path)
    assert not result.failures
    assert not any("edited" in note for note in result.notes)
    assert {row.response_id: row.spans[0].label.value for row in reviews} == {
        name: label for name, (_, label) in answers.items()
    }


@given(text=TEXTS)
def test_a_cell_is_undone(text: str) -> None:
    assert restore(defuse(text)) == text or (not text.startswith("'") and defuse(text) == text)
    assert unescape(escape(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("=1", "+1", "-1", "@a", "\t=1", "'a", " =1", "＝1", "\n1"),
        *(
            "1-2",
            "1/2",
            "3.10",
            "#N/A",
            "1.2.3",
            "12:30",
            "2026-01-31",
            "Mar 5",
            "5-Jan",
            "MARCH1",
            "SEPT2",
        ),
        *(
            "007",
            "1E5",
            "2e-3",
            "12345678901234567890",
            "202601310001",
            "1,000",
            "10%",
            "$5",
            "(5)",
            "５",
        ),
        *("TRUE", "false", " True ", "WAHR", "1月2日", "12.0"),
    ],
)
def test_what_a_spreadsheet_would_change_gets_an_apostrophe(text: str) -> None:
    assert defuse(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12",
        "0",
        "12345678901",
        "r1",
        "q0-1",
        "Ada was born in 1990.",
        "trueish",
        "x=1",
        "March",
    ],
)
def test_what_no_spreadsheet_changes_stays(text: str) -> None:
    assert defuse(text) == text


@given(
    pieces=st.lists(st.sampled_from(["a", "字", "😀", "_x0041_", "\x01", "="]), min_size=1),
    times=st.integers(1, 40_000),
)
@settings(max_examples=30, deadline=None)
def test_parts_fit_a_cell_and_are_the_text_together(pieces: list[str], times: int) -> None:
    text = ("".join(pieces) * times)[:120_000]
    parts = split_cell(text)
    assert "".join(parts) == text
    assert len(parts) == 1 or cell_units(text) > MAX_CELL_UNITS
    for part in parts:
        assert len(escape(part).encode("utf-16-le")) // 2 <= MAX_CELL_UNITS
        assert len(defuse(part).encode("utf-16-le")) // 2 <= MAX_CELL_UNITS


def test_a_damaged_byte_changes_nothing_else(tmp_path: Path) -> None:
    rows = [annotation_row(f"r{number}", [Label.NO_FACT]) for number in range(4)]
    path = export(tmp_path, rows)
    filled = read_csv(path)
    for row in filled:
        row.update(person_label="wrong", note="Größe")
    save_csv(path, filled)
    path.write_bytes(path.read_bytes().replace("Größe".encode(), b"Gr\xf6\xdfe", 1))
    reviews, _ = bring_back(path)
    assert [row.note for row in reviews[1:]] == ["Größe"] * 3


def test_an_id_in_another_unicode_form_is_the_same(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("Größe-é", [Label.NO_FACT])])
    (row,) = read_csv(path)
    row.update(person_label="wrong", response_id=unicodedata.normalize("NFD", row["response_id"]))
    save_csv(path, [row])
    ((review,), _) = bring_back(path)
    assert review.response_id == "Größe-é"
