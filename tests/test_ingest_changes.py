"""`ingest` names the documents whose text changed, and evidence in them is not quoted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotator.documents.ingest import run_ingest
from annotator.documents.ingest_changes import READER_VERSION, read_earlier
from annotator.documents.ingest_config import IngestConfig
from annotator.documents.ingest_notes import Readings, notes_on_readings
from annotator.documents.readers.file_text import Dropped, FileText
from annotator.judging.replay_judge import ReplayJudge
from dataset_builder.quoted_evidence import Quotes
from schemas.document_versions import find_stale_documents, notes_on_stale, read_history
from schemas.errors import ConfigError
from schemas.files.jsonl import read_records, write_records
from schemas.files.sidecar import make_sidecar, sidecar_path, write_sidecar
from schemas.records import Annotation, Document, Evidence


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "salt.html").write_text("<p>It weighs 10<sup>5</sup> tons.</p>")
    (folder / "tin.txt").write_text("Tin melts at 232 degrees.")
    return folder


def ingest(folder: Path, **settings):
    output = folder.parent / "documents.jsonl"
    result = run_ingest(IngestConfig(**settings), folder=folder, output=output)
    return output, result


def read_by_an_older_version(output: Path, identifier: str, text: str) -> None:
    """Write the document as a reader without a version would have."""
    rows = [
        row.model_copy(update={"text": text}) if row.id == identifier else row
        for row in read_records(output, Document)
    ]
    write_records(output, rows)
    write_sidecar(output, make_sidecar("document", config={}, inputs=[]))


def meta(output: Path) -> dict:
    return json.loads(sidecar_path(output).read_text())


def write_annotation(path: Path, documents: Path, *places: tuple[str, int, int]) -> Path:
    evidence = [{"document_id": name, "start": start, "end": end} for name, start, end in places]
    row = {
        "id": "r1",
        "question_id": "q1",
        "prompt": [{"role": "user", "content": "Why?"}],
        "text": "It is so.",
        "sentences": [
            {"start": 0, "end": 9, "verdict": {"label": "no_hallucination", "evidence": evidence}}
        ],
    }
    write_records(path, [Annotation.model_validate_json(json.dumps(row))])
    write_sidecar(path, make_sidecar("annotation", config={}, inputs=[documents]))
    return path


def test_the_version_of_the_readers_and_the_hash_of_each_file_are_in_the_sidecar(folder):
    output, result = ingest(folder)
    assert meta(output)["reader_version"] == READER_VERSION
    assert set(meta(output)["files"]) == {"salt.html", "tin.txt"}
    assert meta(output)["history"] == []
    assert "changed" not in result.counts


def test_a_document_read_by_an_older_version_is_named(folder):
    output, _ = ingest(folder)
    read_by_an_older_version(output, "salt.html", "It weighs 105 tons.")
    output, result = ingest(folder)
    assert result.counts["changed"] == 1
    note = next(note for note in result.notes if "new text" in note)
    assert "salt.html" in note
    assert "tin.txt" not in note
    assert f"reader version 1 before, {READER_VERSION} now" in note
    assert "annotate again" in note
    entry = meta(output)["history"][-1]
    assert (entry["unknown"], entry["by_file"], entry["by_reader"]) == (["salt.html"], [], [])


def test_the_cause_is_known_where_the_sidecar_has_the_hash_of_the_file(folder):
    output, _ = ingest(folder)
    values = meta(output)
    del values["written"]  # as in earlier versions, which had no hash of the file
    rows = read_records(output, Document)
    write_records(output, [row.model_copy(update={"text": "Other."}) for row in rows])
    sidecar_path(output).write_text(json.dumps({**values, "reader_version": READER_VERSION - 1}))
    (folder / "tin.txt").write_text("Tin melts at 231.9 degrees.")
    output, result = ingest(folder)
    entry = meta(output)["history"][-1]
    assert (entry["by_reader"], entry["by_file"]) == (["salt.html"], ["tin.txt"])
    assert entry["earlier_reader_version"] == READER_VERSION - 1
    assert sum("new text" in note for note in result.notes) == 2


def test_a_rerun_without_changes_reports_none_and_keeps_the_history(folder):
    output, _ = ingest(folder)
    (folder / "tin.txt").write_text("Tin melts at 231.9 degrees.")
    ingest(folder)
    output, result = ingest(folder)
    assert result.counts["changed"] == 0
    assert not any("new text" in note for note in result.notes)
    assert len(meta(output)["history"]) == 1


def test_documents_that_left_are_named(folder):
    ingest(folder)
    (folder / "tin.txt").unlink()
    output, result = ingest(folder)
    assert any("no longer in it: tin.txt" in note for note in result.notes)
    assert meta(output)["history"][-1]["gone"] == ["tin.txt"]


def test_an_empty_output_is_no_obstacle(folder):
    output = folder.parent / "documents.jsonl"
    output.touch()
    sidecar_path(output).touch()
    assert read_earlier(output) is None
    assert ingest(folder)[1].counts["documents"] == 2


@pytest.mark.parametrize("content", ["no JSON\n", '{"id": []}\n[1]\n', '{"id": "a"}\n'])
def test_what_ingest_did_not_write_is_left_alone(folder, content):
    output = folder.parent / "documents.jsonl"
    output.write_text(content)
    sidecar_path(output).write_text(content)
    assert read_earlier(output) is None
    with pytest.raises(ConfigError, match="maskdpo ingest did not write"):
        ingest(folder)
    assert output.read_text() == content


def test_evidence_in_a_text_that_changed_since_is_not_quoted(folder, tmp_path):
    output, _ = ingest(folder, license="CC0-1.0")
    places = [("salt.html", 3, 9), ("tin.txt", 0, 3)]
    annotations = write_annotation(tmp_path / "annotations.jsonl", output, *places)
    fresh = find_stale_documents([annotations], [output])
    assert (fresh.ids, fresh.unmatched) == (frozenset(), [])
    (folder / "salt.html").write_text("<p>It now weighs 10<sup>6</sup> tons.</p>")
    ingest(folder, license="CC0-1.0")
    (folder / "new.txt").write_text("New.")
    output, _ = ingest(folder, license="CC0-1.0")  # two steps back is found as well
    stale = find_stale_documents([annotations], [output])
    assert stale.ids == {"salt.html"}
    assert not stale.unmatched
    assert "salt.html" in notes_on_stale(stale, "is not quoted")[0]
    assert quote_all(output, stale.ids) == {"salt.html": None, "tin.txt": "Tin"}
    judge = ReplayJudge.read(annotations, documents=[output])
    assert any("salt.html" in note and "is left out" in note for note in judge.notes())


def quote_all(documents: Path, stale: frozenset[str]) -> dict[str, str | None]:
    import sqlite3

    quotes = Quotes(sqlite3.connect(":memory:"), ["CC0-1.0"], stale=stale)
    quotes.add_all(documents)
    found = {}
    for name in ("salt.html", "tin.txt"):
        found[name], _ = quotes.quote(Evidence(document_id=name, start=0, end=3))
    return found


def test_what_changed_in_each_of_several_runs_is_stale(folder, tmp_path):
    output, _ = ingest(folder)
    annotations = write_annotation(tmp_path / "annotations.jsonl", output, ("tin.txt", 0, 3))
    for name in ("salt.html", "tin.txt"):
        (folder / name).write_text(f"{name} has another text.")
        ingest(folder)
    assert find_stale_documents([annotations], [output]).ids == {"salt.html", "tin.txt"}


def test_documents_that_are_others_altogether_are_reported(folder, tmp_path):
    output, _ = ingest(folder)
    annotations = write_annotation(tmp_path / "annotations.jsonl", output, ("tin.txt", 0, 3))
    read_by_an_older_version(output, "tin.txt", "Zinc.")
    stale = find_stale_documents([annotations], [output])
    assert stale.unmatched == [output]
    assert "may not fit" in notes_on_stale(stale, "is not quoted")[0]


def test_annotations_without_a_sidecar_are_not_judged(folder, tmp_path):
    output, _ = ingest(folder)
    annotations = write_annotation(tmp_path / "annotations.jsonl", output, ("tin.txt", 0, 3))
    sidecar_path(annotations).unlink()
    assert find_stale_documents([annotations], [output]).ids == frozenset()
    assert read_history(annotations) == []


def test_what_a_reader_left_out_is_counted_and_a_large_share_is_a_warning():
    readings = Readings()
    footer = Dropped(kind="footer", page=2, text="x" * 10)
    readings.add("small.pdf", FileText(text="x" * 990, dropped=(footer,)))
    readings.add("large.pdf", FileText(text="x" * 90, dropped=(footer,)))
    readings.add("plain.docx", FileText(text="x", not_read={"tracked_deletions": 2}))
    assert readings.counts() == {
        "dropped_lines": 2,
        "dropped_characters": 20,
        "not_read_tracked_deletions": 2,
    }
    notes = list(notes_on_readings(readings, "documents.jsonl.meta.json"))
    assert any("2 lines were left out" in note and "small.pdf (1)" in note for note in notes)
    warning = next(note for note in notes if note.startswith("warning"))
    assert "large.pdf (10%)" in warning
    assert "small.pdf" not in warning
    assert any("plain.docx (2 tracked deletions)" in note for note in notes)


def test_dropped_lines_are_listed_in_the_sidecar(folder):
    from test_ingest import make_pdf

    body = [f"The harbour of Karsted was built in {1900 + n} by Ann Lee." for n in range(30)]
    pages = [[*body[:30], *[""] * 12, f"Page {page} of 4"] for page in range(1, 5)]
    (folder / "paper.pdf").write_bytes(make_pdf(*pages))
    output, result = ingest(folder)
    listed = meta(output)["dropped"]["paper.pdf"]
    assert [(item["page"], item["text"]) for item in listed] == [
        (page, f"Page {page} of 4") for page in range(1, 5)
    ]
    assert result.counts["dropped_lines"] == 4
    assert any("paper.pdf (4)" in note for note in result.notes)
