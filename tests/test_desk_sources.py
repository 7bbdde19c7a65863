"""What is found to review under a path, and the sentences for what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from desk_run import row, write_run

from maskdpo.desk.sources import SourceFiles, find_sources
from schemas.errors import InputError
from schemas.files.sidecar import describe_file


def found(path: Path) -> list[tuple[str, str, str]]:
    return [(one.key, one.kind, one.path.name) for one in find_sources(path)]


def make_data_set(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"format": "maskdpo.pairs", "version": "1.0"}))
    message = [{"role": "user", "content": "?"}]
    sides = {name: [{"role": "assistant", "content": name}] for name in ("chosen", "rejected")}
    (folder / "train.jsonl").write_text(json.dumps({"prompt": message, **sides}) + "\n")


def test_a_run_gives_its_annotations_jobs_and_data_sets(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mine", [row("a", "One.")])
    write_run(run / "jobs" / "j1", [row("a", "One.")])
    write_run(run / "jobs" / ".new-1", [row("a", "One.")])
    make_data_set(run / "dataset")
    assert found(run) == [
        ("mine", "annotations", "annotations.jsonl"),
        ("mine-job-j1", "annotations", "annotations.jsonl"),
        ("mine-dataset", "pairs", "dataset"),
    ]
    job = find_sources(run)[1]
    assert job.reviews == run / "reviews.jsonl"  # the folder of a job is removed when it expires
    assert find_sources(job.path)[0].reviews == run / "reviews.jsonl"
    assert job.run == run


def test_a_folder_of_runs_gives_all_with_different_keys(tmp_path: Path) -> None:
    for name in ("one", "two words", "two-words"):
        write_run(tmp_path / name, [row("a", "One.")])
    (tmp_path / "empty").mkdir()
    assert [key for key, _, _ in found(tmp_path)] == ["one", "two-words", "two-words-2"]


def test_a_file_has_its_documents_and_reviews_next_to_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [row("a", "One.")])
    (run / "annotations.jsonl").rename(run / "checked.jsonl")
    (one,) = find_sources(run / "checked.jsonl")
    assert isinstance(one, SourceFiles)
    assert (one.key, one.kind) == ("checked.jsonl", "annotations")
    assert one.documents == run / "documents.jsonl"
    assert one.reviews == run / "reviews.jsonl"


def test_a_data_set_folder_is_pairs(tmp_path: Path) -> None:
    make_data_set(tmp_path / "dataset")
    assert found(tmp_path / "dataset") == [("dataset", "pairs", "dataset")]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("nothing", None, "not found; name a run folder"),
        ("empty/", None, "holds nothing to review"),
        ("responses.jsonl", {"id": "a", "question_id": "q", "text": "x"}, "maskdpo annotate"),
        ("documents.jsonl", {"id": "d", "text": "x"}, "documents"),
        ("other.jsonl", {"colour": 1}, "colour"),
    ],
)
def test_what_cannot_be_reviewed_is_refused_with_what_can(
    tmp_path: Path, name: str, content: object, sentence: str
) -> None:
    path = tmp_path / name
    if name.endswith("/"):
        path.mkdir()
    elif content is not None:
        path.write_text(json.dumps(content) + "\n")
    with pytest.raises(InputError) as caught:
        find_sources(path)
    assert sentence in str(caught.value)
    assert path.name in str(caught.value)


def test_documents_that_changed_since_the_judge_read_them_are_noted(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [row("a", "One.")])
    job = run / "jobs" / "j1"
    write_run(job, [row("a", "One.")], {"d": "another text"})
    digest = describe_file(run / "documents.jsonl")["sha256"]
    for path in (run, job):
        values = {"format": "maskdpo.annotation", "version": "1.0"}
        inputs = {"documents.jsonl": {"sha256": digest}}
        meta = path / "annotations.jsonl.meta.json"
        meta.write_text(json.dumps({**values, "inputs": inputs}))
    one, two = find_sources(run)
    assert (one.documents, one.notes) == (run / "documents.jsonl", [])
    assert two.documents == run / "documents.jsonl"  # not the one next to it: the judge's
    (run / "documents.jsonl").write_text('{"id": "d", "text": "new"}\n')
    (note,) = find_sources(run)[0].notes
    assert "documents.jsonl has changed since annotations.jsonl was made" in note


def test_the_sidecar_of_a_run_is_checked_too(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [row("a", "One.")])
    values = {"format": "maskdpo.document", "version": "1.0"}
    (run / "annotations.jsonl.meta.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"maskdpo\.document"):
        find_sources(run)
