"""Nothing that people made is written over: what each command refuses, and that a rerun goes on."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from build_rows import BAD, GOOD, annotation_row, write_annotations

from dataset_builder.config import BuildConfig
from maskdpo.cli.main import main
from maskdpo.publishing.dataset import build_dataset
from schemas.errors import ConfigError
from schemas.files.own_files import (
    has_keys,
    is_page,
    refuse_labels_of_people,
    refuse_to_replace,
    refuse_to_replace_unless,
    seal,
)
from schemas.files.sidecar import make_sidecar, sidecar_path, write_sidecar

Run = Callable[..., tuple[int, str]]
WAY_OUT = re.compile("move it away, or name another (file|folder) with: --")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call `maskdpo ARGUMENTS` in an own folder: exit code and everything printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["maskdpo", *arguments])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out + printed.err

    return call


def write(path: Path | str, *rows: dict[str, Any]) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def check_refused(run: Run, file: str, *arguments: str) -> None:
    """The command ends with 2, names the file and the way out, and the file stays as it is."""
    before = Path(file).read_bytes()
    code, printed = run(*arguments)
    assert (code, file in printed, bool(WAY_OUT.search(printed))) == (2, True, True), printed
    assert Path(file).read_bytes() == before


def change(file: str) -> None:
    """What a person does with an editor."""
    path = Path(file)
    text = path.read_text(encoding="utf-8")
    assert "a" in text
    path.write_text(text.replace("a", "A", 1), encoding="utf-8")


LABELS = {
    "id": "r1",
    "source": "me",
    "language": "en",
    "group": "ada",
    "question": "Who is Ada?",
    "documents": [{"id": "d", "text": "Ada was born in Lima."}],
    "response": "Ada was born in Lima.",
    "sentences": [{"start": 0, "end": 21, "label": "factual"}],
}
RESPONSE = {
    "id": "r1",
    "question_id": "q",
    "topic": "ada",
    "language": "en",
    "prompt": [{"role": "user", "content": "Who is Ada?"}],
    "text": "Ada was born in Lima.",
}
DOCUMENT = {"id": "d", "topic": "ada", "text": "Ada was born in Lima."}
PERSON = {"label": "no_hallucination", "source": "person", "judge": "me"}
LABELLED = RESPONSE | {"sentences": [{"start": 0, "end": 21, "verdict": PERSON}]}
PAIR = {"prompt": "Who is Ada?", "chosen": "Born in Lima.", "rejected": "Born in Oslo."}


def test_annotate_keeps_labels_of_people(run: Run) -> None:
    write("run/responses.jsonl", RESPONSE)
    write("run/documents.jsonl", DOCUMENT)
    write("run/annotations.jsonl", LABELLED)
    arguments = ("annotate", "--set", "run.dir=run", "--set", "annotate.max_undetermined_share=1")
    check_refused(run, "run/annotations.jsonl", *arguments)
    check_refused(run, "run/annotations.jsonl", *arguments, "--preview", "1", "--yes")
    assert run(*arguments, "--output", "run/other.jsonl")[0] == 0
    assert run(*arguments, "--output", "run/other.jsonl")[0] == 0  # a rerun
    # A person's label in the output of a judge is not lost either.
    row = json.loads(Path("run/other.jsonl").read_text(encoding="utf-8"))
    row["sentences"][0]["verdict"] |= PERSON
    write("run/other.jsonl", row)
    check_refused(run, "run/other.jsonl", *arguments, "--output", "run/other.jsonl")


def test_annotate_replaces_labels_that_it_took_over_itself(run: Run) -> None:
    write("responses.jsonl", RESPONSE)
    write("documents.jsonl", DOCUMENT)
    write("people.jsonl", LABELLED)
    arguments = ["annotate", "--responses", "responses.jsonl", "--documents", "documents.jsonl"]
    arguments += ["--output", "out.jsonl", "--set", "annotate.judge=replay"]
    arguments += ["--set", "annotate.replay.annotations=people.jsonl"]
    for _ in range(2):
        assert run(*arguments)[0] == 0
    assert '"person"' in Path("out.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["{torn", '{"sentences": [{"verdict": "person"}]}', '"person"'])
def test_rows_that_cannot_be_read_are_kept_where_they_may_be_a_persons(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "annotations.jsonl"
    path.write_text(text + ' "person"\n')
    with pytest.raises(ConfigError, match="line 1"):
        refuse_labels_of_people(path, lambda values: False, by="a test")


@pytest.mark.parametrize("format_name", ["human_labels", "trl"])
def test_import_replaces_its_own_annotations_only(run: Run, format_name: str) -> None:
    source = write("labels.jsonl", LABELS if format_name == "human_labels" else PAIR)
    shutil.copy(source, "others.jsonl")
    given = ("import", "--format", format_name, "--max-failed", "1", "--output", "a.jsonl")
    assert run(*given, "labels.jsonl")[0] == 0
    assert run(*given, "labels.jsonl")[0] == 0  # a rerun
    check_refused(run, "a.jsonl", *given, "others.jsonl")
    change("a.jsonl")
    check_refused(run, "a.jsonl", *given, "labels.jsonl")
    Path("a.jsonl").unlink()
    assert run(*given, "labels.jsonl")[0] == 0
    write("mine.jsonl", LABELLED)
    check_refused(run, "mine.jsonl", *given[:-1], "mine.jsonl", "labels.jsonl")


def test_import_over_its_own_source_is_refused(run: Run) -> None:
    write("pairs.jsonl", PAIR)
    check_refused(
        run, "pairs.jsonl", "import", "--format", "trl", "pairs.jsonl", "--output", "pairs.jsonl"
    )


def test_import_keeps_the_documents_of_others_unless_they_are_named(run: Run) -> None:
    write("labels.jsonl", LABELS)
    write("documents.jsonl", DOCUMENT)
    given = ("import", "labels.jsonl", "--output", "a.jsonl")
    check_refused(run, "documents.jsonl", *given)
    assert not Path("a.jsonl").exists()
    assert "--documents-output" in run(*given)[1]
    assert run(*given, "--documents-output", "documents.jsonl")[0] == 0
    change("documents.jsonl")
    check_refused(run, "documents.jsonl", *given)


@pytest.mark.parametrize("format_name", ["trl", "published"])
def test_export_of_pairs_replaces_its_own_files_only(run: Run, format_name: str) -> None:
    rows = [annotation_row("q/a", [GOOD], question="q"), annotation_row("q/b", [BAD], question="q")]
    source = write_annotations(Path("annotations.jsonl"), rows)
    build_dataset(BuildConfig(test_share=0.0), annotations=source, output=Path("dataset"))
    given = ("export", "--format", format_name, "dataset", "--output")
    assert run(*given, "out")[0] == 0
    assert run(*given, "out")[0] == 0  # a rerun
    assert sorted(path.name for path in Path("out").iterdir()) == ["train.jsonl"]
    change("out/train.jsonl")
    check_refused(run, "out/train.jsonl", *given, "out")
    write("mine/train.jsonl", {"my": "own"})
    write("mine/notes.jsonl", {"my": "own"})
    check_refused(run, "mine/train.jsonl", *given, "mine")
    Path("mine/train.jsonl").unlink()
    assert run(*given, "mine")[0] == 0
    assert Path("mine/notes.jsonl").exists()


def test_export_of_pairs_removes_its_split_that_the_data_set_no_longer_has(run: Run) -> None:
    rows = [
        annotation_row(f"{name}/{kind}", [label], question=name)
        for name in map(str, range(9))
        for kind, label in (("a", GOOD), ("b", BAD))
    ]
    source = write_annotations(Path("annotations.jsonl"), rows)
    given = ("export", "--format", "trl", "dataset", "--output", "out")
    for _ in range(2):
        build_dataset(BuildConfig(test_share=0.5), annotations=source, output=Path("dataset"))
        assert run(*given)[0] == 0
        assert Path("out/test.jsonl").is_file()
        build_dataset(BuildConfig(test_share=0.0), annotations=source, output=Path("dataset"))
        assert run(*given)[0] == 0
        assert [path.name for path in Path("out").iterdir()] == ["train.jsonl"]
    write("out/test.jsonl", {"my": "own"})
    assert run(*given)[0] == 0
    assert Path("out/test.jsonl").exists()  # no export wrote it
    Path("out/test.jsonl").unlink()
    build_dataset(BuildConfig(test_share=0.5), annotations=source, output=Path("dataset"))
    assert run(*given)[0] == 0
    change("out/test.jsonl")
    build_dataset(BuildConfig(test_share=0.0), annotations=source, output=Path("dataset"))
    check_refused(run, "out/test.jsonl", *given)


def test_export_of_labels_replaces_its_own_file_only(run: Run) -> None:
    write("annotations.jsonl", LABELLED)
    given = ("export", "--format", "human_labels", "annotations.jsonl", "--output")
    assert run(*given, "labels.jsonl")[0] == 0
    assert run(*given, "labels.jsonl")[0] == 0  # a rerun
    assert run("import", "labels.jsonl", "--output", "back/annotations.jsonl")[0] == 0
    change("labels.jsonl")
    check_refused(run, "labels.jsonl", *given, "labels.jsonl")
    write("mine.jsonl", LABELS)
    check_refused(run, "mine.jsonl", *given, "mine.jsonl")
    check_refused(run, "annotations.jsonl", *given, "annotations.jsonl")


def test_ingest_keeps_documents_that_people_made_or_changed(run: Run) -> None:
    Path("papers").mkdir()
    Path("papers/ada.txt").write_text("Ada was born in Lima.", encoding="utf-8")
    given = ("ingest", "papers", "--output")
    assert run(*given, "documents.jsonl")[0] == 0
    assert run(*given, "documents.jsonl")[0] == 0  # a rerun
    change("documents.jsonl")
    check_refused(run, "documents.jsonl", *given, "documents.jsonl")
    write("mine.jsonl", DOCUMENT)
    check_refused(run, "mine.jsonl", *given, "mine.jsonl")
    write("labels.jsonl", LABELS)
    assert run("import", "labels.jsonl", "--output", "gold/annotations.jsonl")[0] == 0
    check_refused(run, "gold/documents.jsonl", *given, "gold/documents.jsonl")


@pytest.mark.parametrize("verb", ["questions", "sample"])
def test_what_a_model_is_asked_for_keeps_what_people_wrote(run: Run, verb: str) -> None:
    """Refused before a server is asked: none is there."""
    write("documents.jsonl", DOCUMENT)
    write("questions.jsonl", {"id": "q", "question": "Why?", "document_ids": ["d"]})
    write("mine.jsonl", {"id": "mine", "question": "Why?"} if verb == "questions" else RESPONSE)
    given = [verb, "--output", "mine.jsonl", "--documents", "documents.jsonl", "--model", "m"]
    given += ["--set", f"{verb}.backend=openai", "--set", f"{verb}.base_url=http://127.0.0.1:9/v1"]
    given += ["--questions", "questions.jsonl"] if verb == "sample" else []
    check_refused(run, "mine.jsonl", *given)


def test_agreement_writes_over_its_own_results_only(run: Run) -> None:
    write("gold.jsonl", LABELS)
    outputs = {
        "--output": "result.json",
        "--disagreements": "disagreements.jsonl",
        "--annotations-output": "verdicts.jsonl",
        "--report": "report.html",
    }
    given = [part for pair in outputs.items() for part in pair]
    for _ in range(2):
        assert run("agreement", "--gold", "gold.jsonl", *given)[0] == 0
    for option in outputs:
        mine = str(write("mine.jsonl", LABELS))
        check_refused(run, mine, "agreement", "--gold", "gold.jsonl", option, mine)


@pytest.mark.parametrize("file", ["scores.json", "report.html", "m/annotations.jsonl"])
def test_evaluate_writes_over_its_own_results_only(run: Run, file: str) -> None:
    """Refused before a server is asked: none is there."""
    write("documents.jsonl", DOCUMENT)
    write("questions.jsonl", {"id": "q", "question": "Why?", "document_ids": ["d"]})
    write(Path("out") / file, LABELLED)
    given = ["evaluate", "--questions", "questions.jsonl", "--documents", "documents.jsonl"]
    given += ["--model", "m=served", "--output", "out", "--set", "sample.backend=openai"]
    given += ["--set", "sample.base_url=http://127.0.0.1:9/v1"]
    check_refused(run, f"out/{file}", *given)


def test_validate_writes_over_its_own_report_only(run: Run) -> None:
    rows = [annotation_row("q/a", [GOOD], question="q"), annotation_row("q/b", [BAD], question="q")]
    source = write_annotations(Path("annotations.jsonl"), rows)
    build_dataset(BuildConfig(), annotations=source, output=Path("dataset"))
    for _ in range(2):
        assert run("validate", "dataset", "--json", "faults.json")[0] == 0
    check_refused(run, "annotations.jsonl", "validate", "dataset", "--json", "annotations.jsonl")


def test_build_keeps_a_card_that_people_edited(run: Run) -> None:
    rows = [annotation_row("q/a", [GOOD], question="q"), annotation_row("q/b", [BAD], question="q")]
    write_annotations(Path("annotations.jsonl"), rows)
    given = ("build", "--annotations", "annotations.jsonl", "--output", "dataset", "--no-plots")
    given += ("--set", "build.license=cc-by-4.0", "--set", "build.title=Über alles")
    card = Path("dataset/README.md")
    code, printed = run(*given)
    assert code == 0, printed
    assert run(*given)[0] == 0  # a rerun
    made = card.read_text(encoding="utf-8")
    for edited in (
        made + "\nA word of mine.\n",
        made.replace("| train |", "| training |", 1),
        made.replace("cc-by-4.0", "cc-by-3.0", 1),
        made.replace("license:", "author: me\nlicense:", 1),
        made.replace("maskdpo:state", "maskdpo:", 1),
        "# Mine\n",
    ):
        assert edited != made
        card.write_text(edited, encoding="utf-8")
        code, printed = run(*given)
        assert code == 2 and "README.md was edited by hand" in printed
        assert card.read_text(encoding="utf-8") == edited
    card.unlink()
    assert run(*given)[0] == 0
    assert card.read_text(encoding="utf-8") == made


def test_edited_questions_are_kept(run: Run) -> None:
    write("documents.jsonl", DOCUMENT)
    path = write("questions.jsonl", {"id": "q", "question": "Who was Ada?"})
    write_sidecar(path, seal(make_sidecar("question", config={}, inputs=[]), [path]))
    change("questions.jsonl")
    given = ["questions", "--output", "questions.jsonl", "--documents", "documents.jsonl"]
    given += ["--model", "m", "--set", "questions.backend=openai"]
    given += ["--set", "questions.base_url=http://127.0.0.1:9/v1"]
    check_refused(run, "questions.jsonl", *given)


def test_what_holds_nothing_is_nobodys_and_a_seal_is_of_each_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    refuse_to_replace(path, lambda values: False, what="rows", by="a test")
    path.touch()
    refuse_to_replace(path, lambda values: False, what="rows", by="a test")
    refuse_to_replace_unless(path, lambda found: False, by="a test")
    refuse_labels_of_people(path, lambda values: False, by="a test")
    path.write_text("a\n")
    sidecar = make_sidecar("export", config={}, inputs=[])
    write_sidecar(path, sidecar)  # of an earlier version: without a hash
    refuse_to_replace(path, lambda values: True, what="rows", by="a test")
    write_sidecar(path, seal(sidecar, [path]))
    refuse_to_replace(path, lambda values: True, what="rows", by="a test")
    other = path.with_name("other.jsonl")
    other.write_text("a\n")
    for name, words in ((other, "did not write"), (path, "changed after a test wrote")):
        path.write_text("b\n")
        with pytest.raises(ConfigError, match=words):
            refuse_to_replace(name, lambda values: True, what="rows", by="a test", sidecar_of=path)
    sidecar_path(path).write_text("{torn")
    with pytest.raises(ConfigError, match="did not write"):
        refuse_to_replace(path, lambda values: True, what="rows", by="a test")


def test_files_without_a_sidecar_are_known_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    is_ours = has_keys("a", "b")
    for text, expected in (
        ('{"a": 1,\n "b": 2, "c": 3}', True),
        ('{"a": 1, "b": 2}\n{"z": 1}\n', True),
        ('{"a": 1}', False),
        ('["a", "b"]', False),
        ('{"z": 1}\n{"a": 1, "b": 2}\n', False),
        ("no JSON", False),
        ("\udcff", False),
    ):
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        assert is_ours(path) is expected, text
    path.write_text('<html><head><meta name="generator" content="maskdpo"></head>')
    assert is_page(path)
    path.write_text("<html><head><title>maskdpo</title></head>")
    assert not is_page(path)
