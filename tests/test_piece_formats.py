"""Pieces of sentences through other formats: whole sentences again, and nothing lost unsaid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from build_rows import BAD, GOOD, annotation_row, write_annotations
from sheet_rows import bring_back, export, fill_csv, read_csv

from dataset_builder.build import load_pairs, run_build
from dataset_builder.config import BuildConfig, Granularity
from formats.export import ExportFormat, run_export
from formats.import_pairs import run_import_pairs
from formats.reviews.apply import apply_reviews
from formats.reviews.log import Logged
from formats.sheets.export import run_export_sheet
from formats.sheets.open import open_sheet
from schemas.error_spans import wrong_words
from schemas.errors import InputError
from schemas.files.jsonl import read_records
from schemas.records import Annotation
from schemas.reviews import ReviewSpan, make_review, text_sha256
from schemas.stage import StageResult

SPAN = BuildConfig(granularity=Granularity.SPAN, test_share=0.0)
TEXTS = ["Rome is old.", "Oslo lies in Spain, they say.", "So it is."]


def rows_of(number: int, errors: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """A faultless response, and one whose second sentence has these error spans."""
    question = f"q{number}"
    best = annotation_row(f"{question}/best", [GOOD, GOOD], question=question)
    worst = annotation_row(f"{question}/worst", [GOOD, BAD, BAD], question=question, texts=TEXTS)
    worst["sentences"][1]["verdict"]["error_spans"] = [
        {"start": start, "end": end, "label": "contradictory", "kind": "k"} for start, end in errors
    ]
    return [best, worst]


def build_with_pieces(tmp_path: Path) -> Path:
    """Pairs with wrong words at two places, with none marked, and with a comma marked."""
    marked = [[(26, 31), (18, 22)], [], [(31, 32)]]
    rows = [row for number, errors in enumerate(marked) for row in rows_of(number, errors)]
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    run_build(SPAN, annotations=source, output=tmp_path / "dataset")
    return tmp_path / "dataset"


def export_and_import(tmp_path: Path, folder: Path, format_name: ExportFormat) -> StageResult:
    run_export(source=folder, output=tmp_path / "out", format_name=format_name)
    return run_import_pairs(
        source=tmp_path / "out" / "train.jsonl",
        annotations=tmp_path / "back.jsonl",
        format_name=format_name,
    )


def wrong_in(path: Path) -> dict[str, list[list[str]]]:
    """The wrong words of each sentence by response."""
    return {
        row.id: [
            [row.text[start:end] for start, end in wrong_words(row.text, sentence)]
            for sentence in row.sentences
        ]
        for row in read_records(path, Annotation)
    }


def test_trl_keeps_pieces_and_the_import_makes_sentences_of_them(tmp_path: Path) -> None:
    folder = build_with_pieces(tmp_path)
    result = export_and_import(tmp_path, folder, ExportFormat.TRL)
    lines = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    spans = [span for line in lines for span in json.loads(line)["rejected_spans"]]
    assert {tuple(span) for span in spans} == {
        ("start", "end", "label", "weight", "sentence", "part")
    }
    assert wrong_in(tmp_path / "back.jsonl") == wrong_in(tmp_path / "annotations.jsonl")
    rows = read_records(tmp_path / "back.jsonl", Annotation)
    texts = [[row.text[item.start : item.end] for item in row.sentences] for row in rows]
    assert texts.count(TEXTS) == 3
    assert result.counts["error_spans"] == 3
    assert "error spans made from the pieces of sentences: 3" in " ".join(result.notes)


def test_pairs_rebuilt_from_trl_are_the_same(tmp_path: Path) -> None:
    folder = build_with_pieces(tmp_path)
    export_and_import(tmp_path, folder, ExportFormat.TRL)
    run_build(SPAN, annotations=tmp_path / "back.jsonl", output=tmp_path / "again")
    assert load_pairs(tmp_path / "again", "train") == load_pairs(folder, "train")


def test_a_mark_on_punctuation_is_not_a_wrong_sentence_after_the_round_trip(tmp_path: Path) -> None:
    """Its sentence trains nothing; without a mark, all of it would train."""
    export_and_import(tmp_path, build_with_pieces(tmp_path), ExportFormat.TRL)
    rows = {row.id: row for row in read_records(tmp_path / "back.jsonl", Annotation)}
    marks = [len(item.verdict.error_spans) for item in rows["q2/worst"].sentences]
    assert marks == [0, 1, 0]


def test_published_has_whole_sentences_and_says_what_it_lost(tmp_path: Path) -> None:
    folder = build_with_pieces(tmp_path)
    output = tmp_path / "out"
    result = run_export(source=folder, output=output, format_name=ExportFormat.PUBLISHED)
    assert result.counts == {
        "train": 3,
        "sentences_without_pieces": 2,
        "wrong_words_left_out": 2,
    }
    assert result.num_rows == 3
    assert "the wrong words of 2 sentences (2 places) are not in this format" in result.notes[-1]
    rows = [json.loads(line) for line in (output / "train.jsonl").read_text().splitlines()]
    assert all(row["rejected_item"]["sents"] == TEXTS for row in rows)


def test_formats_of_whole_sentences_lose_nothing(tmp_path: Path) -> None:
    source = write_annotations(tmp_path / "annotations.jsonl", rows_of(0, []))
    run_build(BuildConfig(test_share=0.0), annotations=source, output=tmp_path / "dataset")
    for name in (ExportFormat.PUBLISHED, ExportFormat.TRL):
        output = tmp_path / name
        result = run_export(source=tmp_path / "dataset", output=output, format_name=name)
        assert result.counts == {"train": 1}
        assert len(result.notes) == 1
    values = json.loads((tmp_path / "trl" / "train.jsonl").read_text())
    assert set(values["rejected_spans"][0]) == {"start", "end", "label", "weight"}


def piece(start: int, end: int, part: str | None, label: str = "hallucinated") -> dict[str, Any]:
    return {
        "start": start,
        "end": end,
        "label": label,
        "weight": 1.0,
        "sentence": 0,
        "part": part,
    }


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (
            [piece(0, 2, "context"), piece(2, 4, "error", "no_fact")],
            "the pieces of sentence 0 have the labels 'hallucinated', 'no_fact'",
        ),
        ([piece(0, 4, "context")], "sentence 0 has the part 'context' alone"),
    ],
)
def test_pieces_that_are_no_sentence_are_refused(
    tmp_path: Path, pieces: list[dict[str, Any]], words: str
) -> None:
    row = {
        "prompt": "Who?",
        "chosen": "Abcd",
        "rejected": "Efgh",
        "chosen_spans": [piece(0, 4, None)],
        "rejected_spans": pieces,
    }
    source = tmp_path / "pairs.jsonl"
    source.write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=words):
        run_import_pairs(source=source, annotations=tmp_path / "a.jsonl", format_name="trl")


# --- sheets and reviews ---------------------------------------------------------------------------


def marked_row(*texts: str) -> dict[str, Any]:
    """A response whose second sentence has two error spans: its second word, then its first."""
    first, second = texts or TEXTS[:2]
    row = annotation_row("r", [GOOD, BAD], texts=[first, second])
    start, space = len(first) + 1, second.index(" ")
    row["sentences"][1]["verdict"]["error_spans"] = [
        {
            "start": start + space + 1,
            "end": start + space + 5,
            "label": "contradictory",
            "kind": "k",
        },
        {"start": start, "end": start + space},
    ]
    return row


@pytest.mark.parametrize("format_name", ["csv", "xlsx", "parquet"])
def test_a_sheet_shows_wrong_words(tmp_path: Path, format_name: str) -> None:
    path = export(tmp_path, [marked_row()], format_name)
    cells = [row.written("wrong_words") for row in open_sheet(path).rows]
    assert cells == ["", "Oslo | lies"]


def test_wrong_words_are_no_formula(tmp_path: Path) -> None:
    path = export(tmp_path, [marked_row("Ja.", "=1+1 nein.")])
    assert [row["wrong_words"] for row in read_csv(path)] == ["", "'=1+1 | nein"]


def test_only_a_sheet_of_error_spans_has_their_column_and_a_blind_one_never(tmp_path: Path) -> None:
    assert "wrong_words" not in read_csv(export(tmp_path, rows_of(0, [])))[0]
    path = export(tmp_path, [marked_row()], blind=True)
    assert "wrong_words" not in read_csv(path)[0]
    assert "lies |" not in path.read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(("blind", "words"), [(True, "are not shown"), (False, "to read only")])
def test_the_export_of_a_sheet_reports_that_words_cannot_be_marked(
    tmp_path: Path, blind: bool, words: str
) -> None:
    source = write_annotations(tmp_path / "annotations.jsonl", [marked_row()])
    output = tmp_path / "s.csv"
    result = run_export_sheet(source=source, output=output, format_name="csv", blind=blind)
    assert sum("wrong words (error spans)" in note and words in note for note in result.notes) == 1


def test_who_agrees_in_a_sheet_keeps_the_wrong_words_and_others_do_not(tmp_path: Path) -> None:
    for label, kept in (("hallucinated", 2), ("contradictory", 0)):
        path = export(tmp_path, [marked_row()])
        fill_csv(path, {1: {"person_label": label}})
        reviews, result = bring_back(path)
        assert not [note for note in result.notes if "do not belong to the sheet" in note]
        row = Annotation.model_validate_json(json.dumps(marked_row()))
        logged = {row.id: [Logged(line=1, review=reviews[0])]}
        verdict = apply_reviews([row], logged).rows[0].sentences[1].verdict
        assert verdict.source == "person"
        assert verdict.error_spans == row.sentences[1].verdict.error_spans[:kept]
        path.unlink()
        path.with_name("reviews.jsonl").unlink()


def test_who_agrees_with_what_is_no_longer_the_label_keeps_it_without_words(tmp_path: Path) -> None:
    path = export(tmp_path, [marked_row()])
    fill_csv(path, {1: {"person_label": "hallucinated"}})
    (review,), _ = bring_back(path)
    assert review.action == "agree"
    judged_again = marked_row()
    judged_again["sentences"][1]["verdict"]["label"] = "unverifiable"
    row = Annotation.model_validate_json(json.dumps(judged_again))
    done = apply_reviews([row], {row.id: [Logged(line=1, review=review)]})
    verdict = done.rows[0].sentences[1].verdict
    assert (verdict.label, verdict.error_spans) == (BAD, [])


def review_line(row: Annotation, errors: list[dict[str, Any]], *, who: str, when: str) -> str:
    """A line of reviews.jsonl: the second sentence is hallucinated, with these wrong words."""
    span = {"start": 13, "end": 42, "label": "hallucinated", "error_spans": errors}
    review = make_review(
        response_id=row.id,
        text_sha256=text_sha256(row.text),
        start=13,
        end=42,
        action="label",
        spans=[ReviewSpan.model_validate_json(json.dumps(span))],
        who=who,
        when=when,
    )
    return review.model_dump_json() + "\n"


def test_reviews_keep_label_and_kind_of_their_own_error_spans(tmp_path: Path) -> None:
    """From the file of reviews to the sentences of a data set of pieces."""
    rows = rows_of(0, [])
    row = Annotation.model_validate_json(json.dumps(rows[1]))
    marked = {"start": 26, "end": 31, "label": "unverifiable", "kind": "wrong place"}
    path = tmp_path / "reviews.jsonl"
    path.write_text(review_line(row, [marked], who="A", when="2026-01-01"), encoding="utf-8")
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    run_build(SPAN, annotations=source, output=tmp_path / "dataset", reviews=[path])
    sentences = pq.read_table(tmp_path / "dataset" / "sentences").to_pylist()
    assert [item["error_spans"] for item in sentences if item["error_spans"]] == [[marked]]
    (pair,) = load_pairs(tmp_path / "dataset", "train")
    trains = [item for item in pair.rejected_spans or () if item.weight and item.part]
    assert [(item.start, item.end) for item in trains] == [(26, 31)]


@pytest.mark.parametrize(
    ("early", "late", "weights", "differ"),
    [
        ([(26, 31)], [], [0.0, 1.0, 1.0], True),  # a label without words: all of the sentence
        ([(26, 31)], [(18, 22)], [0.0, 0.0, 1.0, 0.0, 1.0], True),
        ([(26, 31)], [(26, 31)], [0.0, 0.0, 1.0, 0.0, 1.0], False),
        ([(26, 31)], [(28, 31), (26, 29)], [0.0, 0.0, 1.0, 0.0, 1.0], False),  # the same words
        ([], [(13, 42)], [0.0, 1.0, 0.0, 1.0], False),
    ],
)
def test_people_who_mark_other_words_are_counted(
    tmp_path: Path,
    early: list[tuple[int, int]],
    late: list[tuple[int, int]],
    weights: list[float],
    differ: bool,
) -> None:
    rows = rows_of(0, [])
    row = Annotation.model_validate_json(json.dumps(rows[1]))
    reviews = []
    for who, when, places in (("A", "2026-01-01", early), ("B", "2026-01-02", late)):
        errors = [{"start": start, "end": end} for start, end in places]
        reviews.append(review_line(row, errors, who=who, when=when))
    path = tmp_path / "reviews.jsonl"
    path.write_text("".join(reviews), encoding="utf-8")
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    result = run_build(SPAN, annotations=source, output=tmp_path / "dataset", reviews=[path])
    (pair,) = load_pairs(tmp_path / "dataset", "train")
    assert [span.weight for span in pair.rejected_spans or []] == weights
    assert result.counts.get("wrong_words_differ", 0) == differ
    assert any("marked other wrong words on 1 place;" in note for note in result.notes) == differ
    assert result.counts["reviews"] == result.counts["reviews_applied"] == 2
    config = BuildConfig(test_share=0.0)
    result = run_build(config, annotations=source, output=tmp_path / "plain", reviews=[path])
    assert "wrong_words_differ" not in result.counts
