"""Sheets: what is written, what people fill in, and what comes back."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from build_rows import BAD, GOOD, annotation, annotation_row, write_annotations
from sheet_rows import bring_back, export, fill_csv, read_csv, save_csv
from work_counter import count_steps

from formats.forgotten import FORGOTTEN_NAME, remember
from formats.reviews.log import append_reviews
from formats.sheets import read_xlsx
from formats.sheets.columns import (
    BLIND_COLUMNS,
    columns_of,
    sheet_rows,
)
from formats.sheets.export import run_export_sheet
from formats.sheets.open import open_sheet
from formats.sheets.select import Answer, Answers, Choice
from schemas.errors import InputError
from schemas.files.jsonl import read_records
from schemas.labels import Label
from schemas.records import Failure
from schemas.reviews import make_review, text_sha256
from schemas.stage import failures_path

HOSTILE = [
    '=HYPERLINK("http://x")',
    "+1",
    "-1",
    "@x",
    "'quoted",
    'a "b", c;',
    "line\r\nbreak",
    "日本",
    "1E5",
    "TRUE",
    "007",
    "1-2",
    "12345678901234567890",
]


def test_no_cell_of_the_sheet_is_a_formula_and_the_text_is_all_there(tmp_path: Path) -> None:
    rows = [annotation_row("r", [GOOD] * len(HOSTILE), texts=HOSTILE)]
    path = export(tmp_path, rows)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    cells = read_csv(path)
    assert list(cells[0]) == list(columns_of(blind=False))
    for cell, text in zip(cells, HOSTILE, strict=True):
        assert not cell["text"].startswith(("=", "+", "-", "@"))
        assert cell["text"] in {text, f"'{text}"}
    assert [cell["text"] for cell in cells[-5:]] == [f"'{text}" for text in HOSTILE[-5:]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_people_fill_in_is_a_review_of_exactly_that_sentence(
    tmp_path: Path, separator: str
) -> None:
    rows = [annotation_row("r", [GOOD, GOOD, BAD], texts=["=1+1;", "b,\tb.", "c."])]
    path = export(tmp_path, rows)
    fill_csv(
        path,
        {
            0: {"person_label": "Hallucinated ", "note": "checked"},
            2: {"person_label": "wrong", "who": "B", "when": "2026-01-31T12:00Z"},
        },
        separator=separator,
    )
    reviews, result = bring_back(path)
    assert [(row.who, row.when, row.note, row.start, row.end) for row in reviews] == [
        ("A", "2026-02-01", "checked", 0, 5),
        ("B", "2026-01-31T12:00Z", "", 12, 14),
    ]
    assert [(row.action, row.spans[0].label) for row in reviews] == [("label", BAD), ("agree", BAD)]
    assert result.counts == {
        "reviews": 2,
        "new": 2,
        "known": 0,
        "changed": 0,
        "failed": 0,
        "responses": 1,
        "people": 2,
    }


def test_a_parquet_sheet_comes_back_too(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = export(tmp_path, [annotation_row("r", [GOOD, GOOD])], "parquet")
    rows = pq.read_table(path).to_pylist()
    assert rows[1]["text"] == "Sentence 1 of r."
    rows[1]["person_label"] = "no_fact"
    pq.write_table(pa.Table.from_pylist(rows), path)
    ((review,), _) = bring_back(path)
    assert (review.start, review.end) == (rows[1]["start"], rows[1]["end"])
    assert review.text_sha256 == text_sha256("Sentence 0 of r. Sentence 1 of r.")


@pytest.mark.parametrize(
    ("change", "who", "words"),
    [
        ({"person_label": "maybe"}, "A", "'person_label' is 'maybe', must be one of no_hall"),
        ({"person_label": "maybe"}, "A", "hallucinated (错误)"),
        ({"person_label": "no_fact"}, "", "nobody is named"),
        ({"person_label": "no_fact", "start": "x"}, "A", "'start' is 'x'"),
        ({"person_label": "no_fact", "start": "1.5"}, "A", "'start' is '1.5'"),
        ({"person_label": "no_fact", "end": "0"}, "A", "is not a sentence"),
        ({"person_label": "no_fact", "end": "32"}, "A", "is not what was exported"),
        ({"person_label": "no_fact", "text_sha256": "1E+63"}, "A", "64 hex digits"),
        ({"person_label": "no_fact", "text_sha256": "0" * 64}, "A", "is not what was exported"),
        ({"person_label": "no_fact", "when": "yesterday"}, "A", "'when' is 'yesterday'"),
        ({"person_label": "no_fact", "when": "1/2/2026"}, "A", "'when' is '1/2/2026'"),
        ({"person_label": "no_fact", "response_id": ""}, "A", "'response_id' is empty"),
        ({"person_label": "no_fact", "response_id": "02. Jan"}, "A", "looks like a date that"),
        ({"person_label": "no_fact", "response_id": "1,00E+05"}, "A", "looks like a number that"),
        ({"person_label": "no_fact", "response_id": "??-q0"}, "A", "encoding that the sheet"),
        ({"person_label": "no_fact", "check": ""}, "A", "'check' is ''"),
        ({"person_label": "no_fact", "check": "kaputt"}, "A", "'check' is 'kaputt'"),
    ],
)
def test_a_row_filled_in_badly_is_reported_and_the_others_are_kept(
    tmp_path: Path, change: dict[str, str], who: str, words: str
) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD, GOOD])])
    fill_csv(path, {0: {"person_label": "hallucinated", "who": "B", "start": "0.0"}, 1: change})
    reviews, result = bring_back(path, who=who)
    assert [row.who for row in reviews] == ["B"]
    (failure,) = result.failures
    assert failure.id == "sheet.csv:3"
    assert words in failure.detail
    assert any(note.startswith("row 3 not imported: ") for note in result.notes)
    assert read_records(failures_path(path.with_name("reviews.jsonl")), Failure) == [failure]


def test_a_row_of_a_workbook_has_the_number_that_the_program_shows(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD, GOOD])], "xlsx")
    book = openpyxl.load_workbook(path)
    sheet = book["sentences"]
    label = next(cell.column for cell in sheet[1] if cell.value == "person_label")
    sheet.cell(2, label).value, sheet.cell(3, label).value = "wrong", "maybe"
    book.save(path)
    _, result = bring_back(path)
    assert any(note.startswith("row 3 not imported: ") for note in result.notes)
    assert [row.id for row in result.failures] == ["sheet.xlsx:3"]


def test_one_message_for_one_kind_of_fault_names_its_rows(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD] * 9)])
    changes = {number: {"person_label": "so so"} for number in range(1, 9)}
    fill_csv(path, changes)
    with pytest.raises(InputError) as caught:
        bring_back(path)
    (fault,) = caught.value.faults
    assert fault.line == 3
    assert fault.message.endswith("(and 7 more rows: 4, 5, 6, 7, 8 and 2 more)")
    fill_csv(path, {0: {"person_label": "wrong"}})
    _, result = bring_back(path)
    notes = [note for note in result.notes if "not imported" in note]
    assert len(notes) == 1 and notes[0].startswith("rows 3, 4, 5, 6, 7 and 3 more not imported")


def test_a_sheet_without_labels_or_columns_is_refused(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])])
    with pytest.raises(InputError, match=r"nothing to import$"):
        bring_back(path)
    fill_csv(path, {0: {"note": "I do not know"}})
    with pytest.raises(InputError, match=r"nothing to import \(row 2 has a note and no label\)"):
        bring_back(path)
    rows = read_csv(path)
    names = {"person_label": "my label"}
    renamed = [{names.get(name, name): value for name, value in row.items()} for row in rows]
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(renamed[0]))
        writer.writeheader()
        writer.writerows(renamed)
    with pytest.raises(InputError, match=r"has no column 'person_label' \(others: 'my label'\)"):
        bring_back(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"not readable CSV .*'CSV UTF-8"):
        bring_back(path)
    assert not (tmp_path / "reviews.jsonl").exists()


def test_an_export_of_a_broken_file_names_its_line_and_writes_nothing(tmp_path: Path) -> None:
    broken = write_annotations(tmp_path / "broken.jsonl", [annotation_row("r", [GOOD]), "{"])
    with pytest.raises(InputError, match=r"broken\.jsonl:2"):
        run_export_sheet(source=broken, output=tmp_path / "s.csv", format_name="csv")
    assert not (tmp_path / "s.csv").exists()


def test_a_second_import_adds_and_repeats_nothing(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD, GOOD])])
    fill_csv(path, {0: {"person_label": "wrong"}, 1: {"person_label": "correct"}})
    assert len(bring_back(path)[0]) == 2
    reviews, result = bring_back(path, when="2026-03-01")
    assert len(reviews) == 2
    assert (result.counts["new"], result.counts["known"]) == (0, 2)
    reviews, result = bring_back(path, who="B")
    assert [row.who for row in reviews] == ["A", "A", "B", "B"]
    fill_csv(path, {0: {"person_label": "no fact"}})
    _, result = bring_back(path)
    assert (result.counts["new"], result.counts["changed"]) == (1, 1)
    assert any("another person decided differently: 1;" in note for note in result.notes)
    reviews, _ = bring_back(path, round_number=2)
    assert reviews[-1].round == 2


def test_edited_text_is_reported_and_the_label_is_imported(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD] * 3)])
    fill_csv(
        path,
        {
            0: {"person_label": "wrong", "text": "Sentence  0\r\nof r."},
            1: {"person_label": "wrong", "text": "Sentence one of r."},
            2: {"text": "Other."},
        },
    )
    reviews, result = bring_back(path)
    assert len(reviews) == 2 and not result.failures
    assert any(note.startswith("rows 3, 4: the sentence was edited") for note in result.notes)
    failed = failures_path(tmp_path / "reviews.jsonl")
    edits = read_records(failed, Failure)
    assert [(row.id, row.reason) for row in edits] == [
        ("sheet.csv:3", "edited_text"),
        ("sheet.csv:4", "edited_text"),
    ]
    assert "Sentence one of r." in edits[0].detail
    other = tmp_path / "other.csv"
    path.rename(other)
    fill_csv(other, {1: {"text": "Sentence 1 of r."}, 2: {"text": "Sentence 2 of r."}})
    bring_back(other, who="B")
    assert read_records(failed, Failure) == edits  # another sheet takes nothing away


def test_notes_and_labels_in_the_wrong_column_are_reported(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD] * 4)])
    changes = {
        0: {"person_label": "wrong"},
        1: {"note": "why?"},
        2: {"label": "contradictory"},
        3: {"label": "No_Hallucination"},
    }
    fill_csv(path, changes)
    _, result = bring_back(path)
    assert any(note.startswith("row 3: a note without") for note in result.notes)
    assert any(note.startswith("row 4: the judge's column 'label'") for note in result.notes)


def test_columns_of_others_are_named_and_not_read(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])])
    fill_csv(path, {0: {"person_label": "wrong", "my remarks": "x"}})
    reviews, result = bring_back(path)
    assert len(reviews) == 1
    assert "columns that do not belong to the sheet are not read: my remarks" in result.notes


def test_names_and_notes_keep_their_apostrophe(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("'r", [GOOD])])
    fill_csv(path, {0: {"person_label": "wrong", "who": "'t Hooft", "note": "'90s"}})
    ((review,), result) = bring_back(path)
    assert (review.who, review.note, review.response_id) == ("'t Hooft", "'90s", "'r")
    assert any("names of people stay on this machine" in note for note in result.notes)
    assert result.notes[-1] == "next: maskdpo build"


@pytest.mark.parametrize(
    "identifier", ["1-2", "007", "=1+1", "1E5", "TRUE", "'r", "12", "-", "a.0"]
)
def test_an_id_comes_back_from_every_way_of_saving(tmp_path: Path, identifier: str) -> None:
    path = export(tmp_path, [annotation_row(identifier, [GOOD])])
    for form in {read_csv(path)[0]["response_id"], identifier}:
        fill_csv(path, {0: {"person_label": "wrong", "response_id": form}})
        reviews, _ = bring_back(path, who=form)
        assert reviews[-1].response_id == identifier


def test_a_blind_sheet_shows_nothing_of_the_judge(tmp_path: Path) -> None:
    row = annotation_row("r", [GOOD, Label.CONTRADICTORY], verdict={"rationale": "SECRET"})
    path = export(tmp_path, [row], blind=True)
    assert tuple(read_csv(path)[0]) == BLIND_COLUMNS
    text = path.read_text(encoding="utf-8-sig")
    for word in ("SECRET", "contradictory", "no_hallucination", "judge", "confidence"):
        assert word not in text
    fill_csv(path, {0: {"person_label": "correct"}})
    ((review,), _) = bring_back(path)
    assert review.blind and review.action == "label"


def test_the_checks_of_a_blind_sheet_do_not_depend_on_the_label() -> None:
    cells = [
        [row["check"] for row in sheet_rows(annotation("r", [label]), blind=True)]
        for label in Label
    ]
    assert all(found == cells[0] for found in cells)
    assert cells[0][0].startswith("b")


def test_a_sheet_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("1-2", [GOOD, BAD])])
    fill_csv(path, {0: {"person_label": "wrong", "who": "B"}, 1: {"person_label": "hallucinated"}})
    old = ("answer", "copies", "evidence", "passage", "passage_from", "document", "check")
    rows = [{k: v for k, v in row.items() if k not in old} for row in read_csv(path)]
    with path.open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    reviews, _ = bring_back(path)
    assert [(r.response_id, r.action, r.blind) for r in reviews] == [
        ("1-2", "label", False),
        ("1-2", "agree", False),
    ]


def test_an_annotation_of_the_tests_is_what_the_sheet_shows() -> None:
    verdict: dict[str, Any] = {"confidence": 0.25, "rationale": "Nothing says so."}
    (cells,) = sheet_rows(annotation("r", [Label.UNDETERMINED], verdict=verdict))
    assert (cells["label"], cells["reason"], cells["confidence"]) == (
        "undetermined",
        "not_labelled: Nothing says so.",
        0.25,
    )
    assert (cells["question"], cells["answer"]) == ("What of q?", "Sentence 0 of r.")


def test_a_csv_with_other_line_ends_quotes_and_empty_rows_is_read(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD, GOOD])])
    rows = read_csv(path)
    rows[0]["person_label"] = rows[1]["person_label"] = "wrong"
    for line_end in ("\r", "\n", "\r\n"):
        with path.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, quoting=csv.QUOTE_ALL, lineterminator=line_end)
            writer.writerow([f" {name.upper()} " for name in rows[0]])
            writer.writerow(rows[0].values())
            writer.writerow(["" for _ in rows[0]])
            writer.writerow(rows[1].values())
        reviews, result = bring_back(path, who=repr(line_end))
        assert len(reviews[-2:]) == 2 and reviews[-1].start == 17, result.notes
    rows[1]["start"] = "x"
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([rows[0], rows[0].values(), [], rows[1].values()])
    _, result = bring_back(path, who="Z")
    assert result.failures[0].id == "sheet.csv:4"  # as the program counts, empty rows included


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])])
    path.write_text(path.read_text("utf-8-sig").replace("note", "Who", 1), encoding="utf-8")
    with pytest.raises(InputError, match="has two columns 'who'"):
        bring_back(path)


def test_one_sentence_labelled_twice_by_one_person_is_reported(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])])
    (row,) = read_csv(path)
    save_csv(path, [row | {"person_label": word} for word in ("wrong", "wrong", "no fact")])
    reviews, result = bring_back(path)
    assert [review.spans[0].label for review in reviews] == [BAD, Label.NO_FACT]
    assert any(note.startswith("row 4: the same person gave") for note in result.notes)


def test_what_was_forgotten_is_not_imported_and_not_named(tmp_path: Path) -> None:
    rows = [annotation_row(name, [GOOD], texts=[f"Text {name}."]) for name in ("r1", "r2", "r3")]
    path = export(tmp_path, rows)
    remember(tmp_path / FORGOTTEN_NAME, people=["Mira Tolvan"], responses=["r2"])
    who = {0: "Mira  Tolvan", 1: "B", 2: "B"}
    fill_csv(path, {n: {"person_label": "wrong", "who": name} for n, name in who.items()})
    reviews, result = bring_back(path)
    assert [review.response_id for review in reviews] == ["r3"]
    details = [failure.detail for failure in result.failures]
    assert details[0].startswith("the person in 'who' was forgotten in this run")
    assert details[1].startswith("the response in 'response_id' was forgotten in this run")
    assert not any("Tolvan" in text or "'r2'" in text for text in [*details, *result.notes])


@pytest.mark.parametrize("format_name", ["csv", "xlsx"])
def test_every_long_text_goes_on_in_further_columns(tmp_path: Path, format_name: str) -> None:
    long = "字" * 40_000
    row = annotation_row(
        "r",
        [GOOD],
        texts=[long],
        topic=long,
        language=long,
        verdict={"rationale": long, "judge": long},
        prompt=[{"role": "user", "content": long}],
    )
    path = export(tmp_path, [row], format_name)
    (back,) = open_sheet(path).rows
    for name in ("topic", "language", "question", "answer", "text", "reason", "judge"):
        assert back.written(name) == long
        assert len(str(back.raw(name))) < 32_768 and f"{name} (2)" in back.cells


def test_a_column_that_somebody_added_is_no_part_of_one_of_ours(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD, GOOD])])
    added = {"person_label (2)": "wrong", "response_id (2)": "x"}
    fill_csv(path, {0: {"person_label": "correct", **added}, 1: added})
    reviews, result = bring_back(path)
    assert [review.response_id for review in reviews] == ["r"]
    assert (
        "columns that do not belong to the sheet are not read: person_label (2), response_id (2)"
        in result.notes
    )


def test_a_later_time_counts_before_a_later_row_and_the_note_says_so(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])])
    (row,) = read_csv(path)
    filled = [("wrong", "2026-03-02"), ("no fact", "2026-03-01")]
    save_csv(path, [row | {"person_label": word, "when": when} for word, when in filled])
    _, result = bring_back(path)
    assert any("the one with the later 'when' counts" in note for note in result.notes)


def test_an_old_sheet_that_takes_back_newer_labels_is_reported(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD, GOOD])])
    fill_csv(path, {0: {"person_label": "wrong"}, 1: {"person_label": "wrong"}})
    old = path.read_bytes()
    bring_back(path, when="2026-02-01")
    fill_csv(path, {0: {"person_label": "no fact"}})
    _, newer = bring_back(path, when="2026-02-02")
    path.write_bytes(old)
    reviews, result = bring_back(path, when="2026-02-03")
    assert len(reviews) == 4  # the second sentence was not said anew
    expected = "labels that the person had given before and then changed or withdrew: 1; they count"
    assert any(note.startswith(expected) for note in result.notes)
    assert not any("count again" in note for note in newer.notes)


def test_a_sheet_that_is_imported_after_a_withdrawal_decides_anew(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD, GOOD])])
    filled = {"person_label": "wrong", "who": "A", "when": "2026-02-01"}
    fill_csv(path, {0: filled, 1: filled})
    (first, _), _ = bring_back(path)
    place = first.model_dump(include={"response_id", "text_sha256", "start", "end", "who"})
    taken_back = make_review(
        **place, action="withdraw", withdraws=first.id, when="2026-02-02T00:00:00Z"
    )
    assert append_reviews(tmp_path / "reviews.jsonl", [taken_back]).num_new == 1
    left = tmp_path / "left.csv"
    run_export_sheet(
        source=tmp_path / "annotations.jsonl",
        output=left,
        format_name="csv",
        choice=Choice(unreviewed=True),
        reviews=[tmp_path / "reviews.jsonl"],
    )
    assert [row["start"] for row in read_csv(left)] == [str(first.start)]
    reviews, result = bring_back(path)
    assert (result.counts["new"], result.counts["known"]) == (1, 1)
    assert any("changed or withdrew: 1;" in note for note in result.notes)
    assert reviews[-1].id != first.id and reviews[-1].spans == first.spans
    assert bring_back(path)[1].counts["known"] == 2


def test_a_sheet_that_lost_its_check_is_reported(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])], blind=True)
    (row,) = read_csv(path)
    del row["check"]
    save_csv(path, [row | {"person_label": "wrong"}])
    ((review,), result) = bring_back(path)
    assert not review.blind
    assert any("has no column 'check'" in note for note in result.notes)


def test_many_edits_that_are_imported_again_are_kept_once(tmp_path: Path) -> None:
    few, many = (import_edits_again(tmp_path / str(num), num) for num in (50, 100))
    assert many < 2.5 * few  # 1.9; 4 where each is compared with each


def import_edits_again(folder: Path, num: int) -> int:
    """The steps of importing a sheet with 20 edits for each of `num` responses a second time."""
    folder.mkdir()
    rows = [annotation_row(f"r{n}", [GOOD] * 20, question=f"q{n}") for n in range(num)]
    path = export(folder, rows)
    change = {"text": "Other.", "person_label": "wrong"}
    fill_csv(path, dict.fromkeys(range(20 * num), change))
    bring_back(path)
    steps = count_steps(lambda: bring_back(path))
    failures = failures_path(path.with_name("reviews.jsonl"))
    assert len(read_records(failures, Failure)) == 20 * num
    return steps


def test_one_person_whose_name_is_spaced_differently_is_one(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD] * 3)])
    names = ("Dr Lé", " Dr  Le\u0301", "Dr\u00a0Lé")
    fill_csv(path, {n: {"person_label": "wrong", "who": who} for n, who in enumerate(names)})
    reviews, result = bring_back(path)
    assert {review.who for review in reviews} == {"Dr Lé"} and result.counts["people"] == 1


def test_a_row_above_the_head_is_named(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])])
    path.write_text("For Dr Li,,\n" + path.read_text("utf-8-sig"), encoding="utf-8")
    with pytest.raises(InputError, match=r"not the header of a sheet \(it has 'For Dr Li'.*remove"):
        bring_back(path)


@pytest.mark.parametrize("name", ["sheet.csv", "sheet.xlsx"])
def test_an_empty_file_is_called_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=rf"{name}: is empty; it should be a sheet"):
        bring_back(tmp_path / name)


def test_labels_written_over_the_judges_are_named_where_there_are_no_others(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])])
    fill_csv(path, {0: {"label": "no_fact"}})
    with pytest.raises(InputError, match=r"row 2 has another 'label' than the judge's"):
        bring_back(path)


def test_the_same_label_with_another_note_is_new_and_not_changed(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])])
    fill_csv(path, {0: {"person_label": "wrong"}})
    bring_back(path)
    fill_csv(path, {0: {"note": "see page 3"}})
    reviews, result = bring_back(path)
    assert [review.note for review in reviews] == ["", "see page 3"]
    assert (result.counts["new"], result.counts["changed"]) == (1, 0)


def test_a_column_who_that_was_renamed_is_named(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])])
    (row,) = read_csv(path)
    renamed = {("reviewer" if name == "who" else name): cell for name, cell in row.items()}
    save_csv(path, [renamed | {"person_label": "wrong", "reviewer": "Dr Bo"}])
    ((review,), result) = bring_back(path, who="Dr Li")
    assert review.who == "Dr Li"
    assert any(
        "has no column 'who', so every row is treated as given by --who" in n for n in result.notes
    )


def test_a_name_in_two_spellings_of_its_characters_is_one_person(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD, GOOD])])
    composed, decomposed = "Jos\u00e9 Li", "Jose\u0301  Li"
    fill_csv(path, {0: {"person_label": "wrong", "who": composed}})
    bring_back(path)
    fill_csv(path, {0: {"person_label": "no_fact", "who": decomposed}})
    reviews, result = bring_back(path, when="2026-02-02")
    assert {row.who for row in reviews} == {composed}
    assert result.counts["changed"] == 1
    left = Answers()
    left.add(Answer.of(annotation("r", [GOOD, GOOD]), 0))
    (chosen,) = left.select(Choice(unreviewed=True, who=decomposed), reviews)
    assert list(chosen.sentences) == [1]


def test_a_changed_label_with_an_earlier_date_is_reported_as_not_counting(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])])
    fill_csv(path, {0: {"person_label": "wrong"}})
    bring_back(path, when="2026-02-01T09:00:00+00:00")
    fill_csv(path, {0: {"person_label": "no_fact", "when": "2026-02-01"}})  # midnight
    _, result = bring_back(path)
    assert any(note.startswith("reviews that do not count: 1.") for note in result.notes)
    fill_csv(path, {0: {"when": "2026-02-02", "person_label": "correct"}})
    _, result = bring_back(path)
    assert not any(note.startswith("reviews that do not count") for note in result.notes)


def test_a_workbook_that_unpacks_to_fill_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD])], "xlsx")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b"A" * 20_000_000)
    assert open_sheet(path).kind == "xlsx"  # it is not large
    monkeypatch.setattr(read_xlsx, "_MAX_UNPACKED_BYTES", 10_000_000)
    with pytest.raises(InputError, match=r"unpacks to 20,\d{3},\d{3} bytes, more than 200 times"):
        open_sheet(path)


def test_a_label_dated_in_the_future_is_reported(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("r", [GOOD, GOOD])])
    fill_csv(
        path,
        {
            0: {"person_label": "wrong", "when": "2062-02-01"},
            1: {"person_label": "wrong", "when": "2026-02-02"},  # today, further east
        },
    )
    _, result = bring_back(path)
    assert any(note.startswith("row 2: 'when' is in the future.") for note in result.notes)
