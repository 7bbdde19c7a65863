"""What a sheet shows: which sentences, which passages, and what it never writes over."""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from build_rows import BAD, GOOD, annotation, annotation_row, write_annotations
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.comments import Comment
from sheet_rows import bring_back, export, fill_csv, read_csv

from formats.sheets.evidence import (
    PASSAGE_CHARS,
    FoundPassage,
    show_documents,
)
from formats.sheets.export import run_export_sheet
from formats.sheets.labels import LABEL_WORDS, read_label
from formats.sheets.select import Answer, Answers, Choice, share_out
from formats.sheets.times import read_when
from schemas.errors import ConfigError, InputError
from schemas.labels import Label
from schemas.records import Annotation, Document
from schemas.reviews import make_review

LAST = [Label.UNDETERMINED, BAD, BAD, BAD, BAD]
MANY = [annotation_row(f"r{n}", [GOOD, GOOD, LAST[n % 5]], question=f"q{n % 7}") for n in range(60)]


def places(path: Path) -> list[tuple[str, str]]:
    return [(row["response_id"], row["start"]) for row in read_csv(path)]


# --- copies and samples --------------------------------------------------------------------------


def test_copies_of_an_answer_are_shown_once_with_their_count(tmp_path: Path) -> None:
    rows = [
        annotation_row("b", [GOOD], texts=["Same."]),
        annotation_row("a", [GOOD], texts=["Same."]),
        annotation_row("c", [GOOD], texts=["Same."], question="other"),
        annotation_row("d", [GOOD], texts=["Other."]),
    ]
    path = export(tmp_path, rows)
    assert [(row["response_id"], row["copies"]) for row in read_csv(path)] == [
        ("a", "2"),
        ("c", "1"),
        ("d", "1"),
    ]
    source = tmp_path / "annotations.jsonl"
    result = run_export_sheet(source=source, output=path, format_name="csv")
    assert result.counts["copies_left_out"] == 1
    assert any("repeat another answer to their question: 1;" in note for note in result.notes)


def test_a_sample_does_not_depend_on_the_order_of_the_file(tmp_path: Path) -> None:
    choice = Choice(sample=20, seed=3)
    path = export(tmp_path, MANY, choice=choice)
    first = path.read_bytes()
    assert len(places(path)) == 20
    export(tmp_path, MANY[::-1], choice=choice)
    assert path.read_bytes() == first
    export(tmp_path, MANY, choice=Choice(sample=20, seed=4))
    assert path.read_bytes() != first


def test_a_sample_has_the_proportions_of_topics_and_labels(tmp_path: Path) -> None:
    path = export(tmp_path, MANY, choice=Choice(sample=90))
    drawn = Counter((row["topic"], row["label"]) for row in read_csv(path))
    whole = Counter(
        (row["topic"], item["verdict"]["label"]) for row in MANY for item in row["sentences"]
    )
    assert set(drawn) == set(whole)
    for stratum, count in whole.items():
        assert abs(drawn[stratum] - count / 2) <= 1, stratum


@given(
    sizes=st.dictionaries(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz")), st.integers(1, 50), min_size=1
    ),
    size=st.integers(1, 400),
)
def test_places_are_shared_out_exactly(sizes: dict[tuple[str, str], int], size: int) -> None:
    shares = share_out(sizes, size, 0)
    assert sum(shares.values()) == min(size, sum(sizes.values()))
    assert all(0 <= shares[key] <= sizes[key] for key in sizes)
    if size >= len(sizes):
        assert min(shares.values()) >= 1
    if size >= len({label for _, label in sizes}):
        assert {label for (_, label), count in shares.items() if count} == {k[1] for k in sizes}
    assert shares == share_out(dict(reversed(sizes.items())), size, 0)


def test_only_some_labels_or_what_nobody_reviewed(tmp_path: Path) -> None:
    path = export(tmp_path, MANY, choice=Choice(labels=frozenset({Label.UNDETERMINED})))
    assert {row["label"] for row in read_csv(path)} == {"undetermined"}
    assert len(places(path)) == 12
    fill_csv(path, {n: {"person_label": "wrong", "who": "AB"[n % 2]} for n in range(5)})
    done = places(path)
    bring_back(path)
    source, left = tmp_path / "annotations.jsonl", tmp_path / "left.csv"
    reviews = [tmp_path / "reviews.jsonl"]
    choice = Choice(labels=frozenset({Label.UNDETERMINED}), unreviewed=True)
    run_export_sheet(source=source, output=left, format_name="csv", choice=choice, reviews=reviews)
    assert places(left) == done[5:]
    choice = Choice(labels=frozenset({Label.UNDETERMINED}), unreviewed=True, who="A")
    run_export_sheet(source=source, output=left, format_name="csv", choice=choice, reviews=reviews)
    assert sorted(places(left)) == sorted([done[1], done[3], *done[5:]])


def test_a_persons_reviews_are_known_however_the_name_is_spaced() -> None:
    shown = annotation("r", [GOOD, GOOD])
    answers = Answers()
    answers.add(Answer.of(shown, 0))
    (answer,) = [item.answer for item in answers.select(Choice())]
    one = make_review(
        response_id="r", text_sha256=answer.digest, start=answer.places[0][0],
        end=answer.places[0][1], action="skip", who="Dr  Li", when="2026-02-01",
    )  # fmt: skip
    (left,) = answers.select(Choice(unreviewed=True, who=" Dr Li"), [one])
    assert left.sentences == [1]


def test_a_review_of_a_copy_counts(tmp_path: Path) -> None:
    path = export(tmp_path, [annotation_row("b", [GOOD, GOOD], texts=["Same.", "Two."])])
    fill_csv(path, {0: {"person_label": "wrong"}})
    (review,), _ = bring_back(path)
    answers = Answers()
    for name in ("b", "a"):
        row = annotation(name, [GOOD, GOOD], texts=["Same.", "Two."])
        answers.add(Answer.of(row, 0))
    (selected,) = answers.select(Choice(unreviewed=True), [review])
    assert (selected.answer.id, selected.sentences, selected.copies) == ("a", [1], 2)


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no sentence is left under --only no_fact; nothing is"):
        export(tmp_path, MANY, choice=Choice(labels=frozenset({Label.NO_FACT})))
    assert not (tmp_path / "sheet.csv").exists()


def test_the_order_of_a_blind_sheet_is_not_that_of_the_labels(tmp_path: Path) -> None:
    rows = [annotation_row(f"r{n:02}", [GOOD if n < 20 else BAD], question="q") for n in range(40)]
    path = export(tmp_path, rows, blind=True)
    order = [row["response_id"] for row in read_csv(path)]
    assert sorted(order) == [row["id"] for row in rows] and order != sorted(order)
    assert 4 < sum(name < "r20" for name in order[:20]) < 16


# --- passages ------------------------------------------------------------------------------------

TEXT = "Start of it. " * 60 + "The bridge is 90 m long. " + "End of it. " * 60
AT = TEXT.index("90 m")


def quoted(**evidence: Any) -> Annotation:
    place = {"document_id": "d", "start": AT, "end": AT + 4} | evidence
    return annotation("r", [GOOD, BAD], verdict={"evidence": [place]})


def no_search(_: Annotation) -> list[FoundPassage | None]:
    return [None, None]


def test_a_passage_is_the_words_around_the_quote(tmp_path: Path) -> None:
    documents = {"d": Document(id="d", text=TEXT, title="Bridges")}
    first, _ = show_documents(quoted(), documents, no_search, blind=False)
    assert (first.evidence, first.document, first.origin) == ("90 m", "Bridges", "judge")
    assert "The bridge is >>90 m<< long." in first.passage
    assert PASSAGE_CHARS * 0.8 < len(first.passage) < PASSAGE_CHARS * 1.1
    assert first.passage.startswith("...") and first.passage.endswith("...")
    plain = first.passage.strip(".").replace(">>", "").replace("<<", "")
    assert plain in TEXT


def test_without_a_quote_and_in_a_blind_sheet_the_passage_is_searched_for() -> None:
    document = Document(id="d", text=TEXT)
    found = FoundPassage(document=document, start=13, end=60)
    asked: list[str] = []

    def search(row: Annotation) -> list[FoundPassage | None]:
        asked.append(row.id)
        return [found, None]

    for row, blind in ((quoted(), True), (quoted(document_id="gone"), False)):
        first, second = show_documents(row, {"d": document}, search, blind=blind)
        assert (first.evidence, first.document) == ("", "d")
        assert first.passage == TEXT[13:60].strip()
        assert first.origin == ("" if blind else "search")
        assert second.passage == ""
    assert asked == ["r", "r"]


@given(start=st.integers(0, 1_500), length=st.integers(1, 1_500))
def test_a_passage_is_always_of_the_document(start: int, length: int) -> None:
    end = min(start + length, len(TEXT))
    if start >= end:
        return
    documents = {"d": Document(id="d", text=TEXT)}
    first, _ = show_documents(quoted(start=start, end=end), documents, no_search, blind=False)
    plain = first.passage.removeprefix("...").removesuffix("...")
    assert plain.replace(">>", "").replace("<<", "") in TEXT
    assert len(first.passage) <= PASSAGE_CHARS + 10


# --- .xlsx ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "second"), [("en", "contradictory"), ("zh", "矛盾")])
def test_an_xlsx_sheet_is_made_for_people(tmp_path: Path, language: str, second: str) -> None:
    rows = [annotation_row("1-2", [GOOD, BAD], texts=["=1+1", "_x0041_"])]
    path = export(tmp_path, rows, "xlsx", language=language)
    book = openpyxl.load_workbook(path)
    sheet = book["sentences"]
    assert sheet.freeze_panes == "A2"
    head = [cell.value for cell in sheet[1]]
    for row in (2, 3):
        for cell in sheet[row]:
            assert cell.number_format == "@"
            assert cell.value is None or cell.data_type in {"n", "s"}
    assert sheet.cell(2, head.index("text") + 1).value == "=1+1"
    assert sheet.cell(2, head.index("response_id") + 1).value == "1-2"
    assert sheet.cell(3, head.index("text") + 1).value == "_x005F_x0041_"
    assert sheet.cell(2, 1).alignment.wrap_text
    (choice,) = sheet.data_validations.dataValidation
    letter = openpyxl.utils.get_column_letter(head.index("person_label") + 1)
    assert str(choice.sqref) == f"{letter}2:{letter}3"
    assert choice.formula1 == "labels!$A$2:$A$7"
    words = [row[0].value for row in book["labels"].iter_rows(min_row=2)]
    assert words[1] == second and [read_label(word) for word in words] == [
        item.label for item in LABEL_WORDS
    ]


def test_the_labels_are_chinese_where_most_responses_are(tmp_path: Path) -> None:
    for language, text in (("zh-CN", "Hm."), ("", "桥在别处。")):
        rows = [
            annotation_row(name, [GOOD], texts=[f"{text}{name}"], language=language)
            for name in "ab"
        ]
        (tmp_path / "sheet.xlsx").unlink(missing_ok=True)
        path = export(tmp_path, [*rows, annotation_row("c", [GOOD])], "xlsx")
        assert openpyxl.load_workbook(path)["labels"]["A2"].value == "正确"


def test_an_xlsx_cell_of_another_type_is_named_or_read(tmp_path: Path) -> None:
    import datetime

    names = ("1-2", "007", "12", "x", "y")
    rows = [annotation_row(name, [GOOD], texts=[f"Text {name}."]) for name in names]
    path = export(tmp_path, rows, "xlsx")
    book = openpyxl.load_workbook(path)
    sheet = book["sentences"]
    columns = {cell.value: cell.column for cell in sheet[1]}
    for row in range(2, 7):
        sheet.cell(row, columns["person_label"]).value = "Wrong"
    sheet.cell(2, 1).value = datetime.datetime(2026, 1, 2)
    sheet.cell(3, 1).value = 7
    sheet.cell(4, 1).value = 12.0
    for name, value in (("who", 42), ("when", datetime.datetime(2026, 1, 31)), ("note", "=1+1")):
        sheet.cell(5, columns[name]).value = value
    sheet.cell(6, columns["when"]).value = 46_000
    book.save(path)
    reviews, result = bring_back(path)
    assert [(row.response_id, row.who, row.when, row.note) for row in reviews] == [
        ("12", "A", "2026-02-01", ""),
        ("x", "42", "2026-01-31", "=1+1"),
    ]
    details = [failure.detail for failure in result.failures]
    assert "is the number 7 that" in details[1] and "'when' is '46000'" in details[2]
    assert details[0].startswith("'response_id' is the date '2026-01-02'")


def test_strings_that_another_program_shares_keep_what_they_say(tmp_path: Path) -> None:
    """Excel moves texts to a table of strings, in which openpyxl loses `_x005F_`."""
    path = export(tmp_path, [annotation_row("_x0041_", [GOOD])], "xlsx")
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    with zipfile.ZipFile(path) as source:
        parts = {name: source.read(name).decode("utf-8") for name in source.namelist()}
    cells = parts["xl/worksheets/sheet1.xml"]
    cells = cells.replace("<is><t>_x005F_x0041_</t></is>", "<v>0</v>")
    label = r'<c r="P2" (s="\d+") [^>]*?(?:/>|></c>)'  # as written with and without lxml
    cells, found = re.subn(label, r'<c r="P2" \1 t="s"><v>1</v></c>', cells)
    assert found == 1
    parts["xl/worksheets/sheet1.xml"] = cells.replace('t="inlineStr"><v>0</v>', 't="s"><v>0</v>')
    parts["xl/sharedStrings.xml"] = (
        f'<sst xmlns="{main}/main"><si><t>_x005F_x0041_</t></si>'
        "<si><r><t>wr</t></r><r><t>ong</t></r></si></sst>"
    )
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    types = parts["[Content_Types].xml"]
    parts["[Content_Types].xml"] = types.replace("</Types>", override)
    with zipfile.ZipFile(path, "w") as target:
        for name, data in parts.items():
            target.writestr(name, data)
    ((review,), _) = bring_back(path)
    assert (review.response_id, review.spans[0].label) == ("_x0041_", Label.HALLUCINATED)


# --- what is never written over ------------------------------------------------------------------


@pytest.mark.parametrize("format_name", ["csv", "xlsx", "parquet"])
def test_an_untouched_sheet_is_replaced_and_what_is_no_sheet_is_not(
    tmp_path: Path, format_name: str
) -> None:
    path = export(tmp_path, MANY, format_name)
    export(tmp_path, MANY[:3], format_name)
    for content in (b"mine\n", b"PK\x03\x04 no zip", b"PAR1 no parquet", b"a,b\n1,2\n"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="it is not overwritten; name another file with"):
            export(tmp_path, MANY, format_name)
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"person_label": "wrong"}, "holds 1 labels of people"),
        ({"who": "B"}, "holds 0 labels of people .rows in which people wrote: 1."),
        ({"when": "2026"}, "rows in which people wrote: 1"),
        ({"note": "?"}, "rows in which people wrote: 1"),
        ({"text": "Better."}, "rows in which people wrote: 1"),
        ({"label": "no_fact"}, "rows in which people wrote: 1"),
    ],
)
def test_a_sheet_in_which_somebody_wrote_stays(
    tmp_path: Path, change: dict[str, str], words: str
) -> None:
    path = export(tmp_path, MANY)
    fill_csv(path, {3: change})
    before = path.read_bytes()
    with pytest.raises(InputError, match=words) as caught:
        export(tmp_path, MANY)
    assert f"maskdpo import {path} --who NAME, or name another file" in str(caught.value)
    assert path.read_bytes() == before


def test_columns_and_sheets_of_others_stay(tmp_path: Path) -> None:
    path = export(tmp_path, MANY)
    fill_csv(path, {n: {"my remarks": "x"} for n in range(180)})
    with pytest.raises(InputError, match=r"content that no export wrote \(my remarks\)"):
        export(tmp_path, MANY)
    path = export(tmp_path, MANY, "xlsx")
    book = openpyxl.load_workbook(path)
    book.create_sheet("mine")
    book.save(path)
    with pytest.raises(InputError, match="sheet 'mine'"):
        export(tmp_path, MANY, "xlsx")
    book.remove(book["mine"])
    book["sentences"].cell(3, 60).value = "x"
    book.save(path)
    with pytest.raises(InputError, match=r"column 60"):
        export(tmp_path, MANY, "xlsx")


def test_comments_on_cells_are_not_read_and_not_written_over(tmp_path: Path) -> None:
    path = export(tmp_path, MANY, "xlsx")
    book = openpyxl.load_workbook(path)
    sheet = book["sentences"]
    sheet.cell(2, 5).comment = Comment("This is wrong.", "Dr Li")
    book.save(path)
    with pytest.raises(InputError, match="comments on cells"):
        export(tmp_path, MANY, "xlsx")
    sheet.cell(2, column_of(sheet, "person_label")).value = "wrong"
    book.save(path)
    _, result = bring_back(path)
    assert any(note.startswith("comments on cells are not read") for note in result.notes)


def test_of_two_copies_of_the_sheet_the_filled_one_is_read_and_never_one_of_two(
    tmp_path: Path,
) -> None:
    path = export(tmp_path, MANY, "xlsx")
    book = openpyxl.load_workbook(path)
    first, second = book["sentences"], book.copy_worksheet(book["sentences"])
    column = column_of(first, "person_label")
    second.cell(3, column).value = "wrong"
    book.save(path)
    reviews, _ = bring_back(path)
    assert [review.spans[0].label for review in reviews] == [BAD]
    first.cell(2, column).value = "correct"
    book.save(path)
    with pytest.raises(InputError, match="has 2 sheets in which people wrote"):
        bring_back(path)


def test_merged_cells_are_reported(tmp_path: Path) -> None:
    path = export(tmp_path, MANY, "xlsx")
    book = openpyxl.load_workbook(path)
    sheet = book["sentences"]
    column = column_of(sheet, "person_label")
    sheet.cell(2, column).value = "wrong"
    book.save(path)
    _, before = bring_back(path)
    sheet.merge_cells(start_row=2, end_row=4, start_column=column, end_column=column)
    book.save(path)
    reviews, after = bring_back(path)
    assert len(reviews) == 1
    assert any("the sheet has merged cells" in note for note in after.notes)
    assert not any("merged" in note for note in before.notes)


def column_of(sheet: Any, name: str) -> int:
    return next(cell.column for cell in sheet[1] if cell.value == name)


def test_a_name_of_another_format_and_a_folder_are_refused(tmp_path: Path) -> None:
    source = write_annotations(tmp_path / "annotations.jsonl", MANY)
    with pytest.raises(ConfigError, match=r"ends in \.xlsx, but --format is csv"):
        run_export_sheet(source=source, output=tmp_path / "s.xlsx", format_name="csv")
    with pytest.raises(ConfigError, match="is a folder"):
        run_export_sheet(source=source, output=tmp_path, format_name="csv")
    with pytest.raises(InputError, match="not a sheet from maskdpo export"):
        run_export_sheet(source=source, output=source, format_name="csv")


# --- words and times -----------------------------------------------------------------------------


@pytest.mark.parametrize("item", LABEL_WORDS, ids=lambda item: item.label.value)
def test_every_word_of_the_table_means_one_label(item: Any) -> None:
    words = [item.label.value, item.zh, *item.words.split(", ")]
    for word in words:
        forms = (word, word.upper(), f" {word} ", word.replace("_", " "), word.replace(" ", "-"))
        assert {read_label(form) for form in forms} == {item.label}
    for other in LABEL_WORDS:
        assert other is item or not set(words) & set(other.words.split(", "))


@pytest.mark.parametrize("word", ["", "true", "false", "right", "yes", "ok", "是", "错了吗", "1"])
def test_other_words_mean_no_label(word: str) -> None:
    assert read_label(word) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31T12:00Z", "2026-01-31T12:00Z"),
        ("2026/1/31", "2026-01-31"),
        ("31.1.2026", "2026-01-31"),
        ("31. 1. 2026 9:05", "2026-01-31T09:05:00"),
        ("2026年1月31日", "2026-01-31"),
        ("1/31/2026", "2026-01-31"),
        ("31/1/2026 14:00:05", "2026-01-31T14:00:05"),
        ("5/5/2026", "2026-05-05"),
        ("1/2/2026", None),
        ("31.1.26", None),
        ("31.2.2026", None),
        ("46000", None),
        (46_000, None),
        ("yesterday", None),
    ],
)
def test_a_time_has_one_reading_or_none(value: object, expected: str | None) -> None:
    assert read_when(value) == expected


# --- the commands --------------------------------------------------------------------------------


def test_the_verbs_write_and_read_sheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from command_line import make_run

    run = make_run(monkeypatch, capsys)
    monkeypatch.chdir(tmp_path)
    at = ("--set", "run.dir=run")
    rows = [
        annotation_row("r1", [GOOD], texts=["The bridge is 90 m long."], topic="bridges"),
        annotation_row("r2", [BAD], texts=["It is red."], document_ids=["d2"]),
    ]
    write_annotations(tmp_path / "run" / "annotations.jsonl", rows)
    documents = [
        {"id": "d1", "text": "A bridge. The bridge is 90 m long.", "topic": "bridges"},
        {"id": "d2", "text": "The tower is red.", "title": "Towers"},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in documents)
    (tmp_path / "run" / "documents.jsonl").write_text(lines)
    code, _, err = run("export", "--format", "csv", "--output", "s.csv", *at)
    assert code == 0 and "maskdpo import s.csv --who NAME --set run.dir=run\n" in err
    first, second = read_csv(tmp_path / "s.csv")
    assert "The bridge is 90 m long." in first["passage"]
    assert (first["document"], first["passage_from"]) == ("d1", "search")
    assert (second["passage"], second["document"]) == ("The tower is red.", "Towers")
    fill_csv(tmp_path / "s.csv", {0: {"person_label": "hallucinated"}})
    code, _, err = run("import", "s.csv", *at)
    assert code == 2 and "give --who NAME" in err
    code, out, err = run("import", "s.csv", "--who", "A", "--round", "2", *at)
    assert (
        code == 0
        and "reviews 1, new 1, known 0" in out
        and "next: maskdpo build --set run.dir=run\n" in err
    )
    (tmp_path / "s.txt").write_bytes((tmp_path / "s.csv").read_text("utf-8").encode("utf-16-le"))
    code, out, _ = run("import", "s.txt", "--who", "A", "--round", "2", *at)
    assert code == 0 and "new 0, known 1" in out
    code, _, err = run("export", "--format", "csv", "--output", "s.csv", *at)
    assert code == 2 and "maskdpo import s.csv --who NAME --set run.dir=run, or name" in err
    (line,) = (tmp_path / "run" / "reviews.jsonl").read_text().splitlines()
    assert json.loads(line)["round"] == 2
    left = ("export", "--format", "xlsx", "--output", "left.xlsx", "--only", "unreviewed", *at)
    code, out, _ = run(*left)
    assert code == 0 and "responses 1, sentences 1" in out
    code, out, _ = run(*left, "--who", "B")
    assert "responses 2, sentences 2" in out
    code, _, err = run("export", "--format", "csv", "--output", "s.csv", *at)
    assert code == 2 and "holds 1 labels of people" in err
    code, _, err = run(
        *("export", "--format", "csv", "--output", "b.csv", "--blind", "--only", "hallucinated"),
        *at,
    )
    assert code == 0 and "reveals the judge's label" in err
    code, _, err = run("export", "--format", "csv", "--output", "x.csv", "--who", "B", *at)
    assert code == 2 and "--only unreviewed" in err
    filled = (tmp_path / "s.csv").read_bytes()
    code, _, err = run("export", "--format", "human_labels", "--output", "s.csv", *at)
    assert code == 2 and "s.csv" in err and "not overwritten" in err
    assert (tmp_path / "s.csv").read_bytes() == filled
    code, _, err = run("export", "--format", "trl", "run", "--output", "x", "--blind")
    assert code == 2 and "are for sheets" in err
