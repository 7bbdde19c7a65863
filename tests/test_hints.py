"""Wrong files and wrong calls: one sentence that names the way out, and nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, make_run
from sample_server import ChatServer, as_json

from schemas.errors import InputError
from schemas.files.jsonl import read_records, scan_rows
from schemas.records import Question
from schemas.reviews import Review, text_sha256

# The columns of a sheet of earlier versions, which is still read.
COLUMNS = (
    *("response_id", "question_id", "topic", "language", "question", "sentence", "start", "end"),
    *("text", "label", "reason", "confidence", "source", "judge"),
    *("person_label", "who", "when", "note", "text_sha256"),
)
QUESTION = {"id": "q1", "question": "Who is Mira?"}
LABELLED = {
    "id": "r1",
    "source": "ours",
    "language": "en",
    "group": "mira",
    "question": "Who is Mira?",
    "documents": [{"id": "d1", "text": "Mira keeps a goat."}],
    "response": "Mira keeps a goat.",
    "generator": "someone",
    "sentences": [{"start": 0, "end": 18, "label": "factual"}],
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run(monkeypatch, capsys)


def write_rows(path: str, *rows: dict[str, Any]) -> Path:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (json.dumps([QUESTION, QUESTION]), "q.jsonl:1: not JSON Lines but a JSON array; one JSON"),
        (json.dumps([QUESTION], indent=2), "convert the file with: jq -c '.[]' "),
        (json.dumps(QUESTION, indent=2), "q.jsonl:1: not valid JSON by itself; one JSON object"),
        (json.dumps(QUESTION, indent=2) + "\n", "convert the file with: jq -c . "),
        ("id,question,topic\nq1,Who?,mira\n", "a table (CSV), not JSON"),
        ("id;question;topic\nq1;Who?;mira\n", "a table (CSV), not JSON"),
        (json.dumps(QUESTION).encode("utf-16"), "UTF-16 text; one JSON object per line is needed"),
        (b"PAR1\x15\x04\n", "a Parquet file"),
        (b"PK\x03\x04\x14\n", "a zip or Excel file"),
    ],
)
def test_a_file_of_another_format_is_one_sentence(
    tmp_path: Path, content: str | bytes, expected: str
) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        read_records(path, Question)
    assert expected in str(caught.value)
    assert len(caught.value.faults) == 1


def test_one_broken_row_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"id": "q0", "quest\n' + json.dumps(QUESTION) + "\n{]\n")
    kinds = [type(item).__name__ for item in scan_rows(path, Question)]
    assert kinds == ["Fault", "Row", "Fault"]


def test_text_that_is_not_utf8_names_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(json.dumps(QUESTION).encode() + '\n{"id": "é"}\n'.encode("cp1252"))
    with pytest.raises(InputError, match=r"q\.jsonl:2: not UTF-8 text \(byte 0xe9 .* as UTF-8"):
        read_records(path, Question)


@pytest.mark.parametrize("key", ["query", "prompt", "text"])
def test_a_question_under_another_key_names_the_shorthand(tmp_path: Path, key: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"id": "q1", key: "Who?"}) + "\n")
    with pytest.raises(InputError) as caught:
        read_records(path, Question)
    text = str(caught.value)
    assert "'messages' is missing; give it, or the text of one user message as 'question'" in text
    assert f"unknown key {key!r}; did you mean 'question'?" in text
    path.write_text(json.dumps({"id": "q1", "zzz": 1, "question": "Who?"}) + "\n")
    with pytest.raises(InputError, match="known: document_ids, id, language, messages, question"):
        read_records(path, Question)


def test_a_served_model_taken_for_a_folder_names_the_backend(run: Run) -> None:
    write_rows("questions.jsonl", QUESTION)
    arguments = ("--questions", "questions.jsonl", "--output", "responses.jsonl")
    for name in ("my-policy", "org/my-policy"):
        code, _, err = run("sample", *arguments, "--model", name)
        assert code in (2, 3) and "--set sample.backend=openai" in err, err


def test_a_404_without_v1_names_the_path(run: Run) -> None:
    write_rows("questions.jsonl", QUESTION)
    with ChatServer(lambda body: as_json(404, {"error": "no route"})) as server:
        sets = ["--set", "sample.backend=openai", "--set"]
        arguments = ["--questions", "questions.jsonl", "--output", "r.jsonl", "--model", "policy"]
        bare = server.base_url.removesuffix("/v1")
        _, _, err = run("sample", *arguments, *sets, f"sample.base_url={bare}")
        assert f"usually ends in /v1: base_url={server.base_url}" in err
        _, _, err = run("sample", *arguments, *sets, f"sample.base_url={server.base_url}")
        assert "HTTP 404" in err and "usually ends" not in err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pairs.parquet", "import it with: --format parquet or --format trl"),
        ("pairs.json", "import it with: --format published"),
        ("checked.ods", "save it as .xlsx or as 'CSV UTF-8'"),
        ("checked.xls", "save it as .xlsx or as 'CSV UTF-8'"),
        ("checked.csv", "has no column 'start', 'end', 'person_label', 'text_sha256'"),
    ],
)
def test_an_import_without_its_format_is_one_sentence(run: Run, name: str, expected: str) -> None:
    Path(name).write_text("response_id,text\n" + "a,b\n" * 99)
    code, _, err = run("import", name)
    assert code == 2 and expected in err and len(err.splitlines()) == 1


def test_a_table_under_a_wrong_name_is_one_sentence(run: Run) -> None:
    Path("labels.jsonl").write_text("response_id,text,label\n" + "a,b,c\n" * 99)
    code, _, err = run("import", "labels.jsonl")
    assert code == 2 and "a table (CSV)" in err and len(err.splitlines()) == 1


def test_documents_are_written_next_to_the_output(run: Run) -> None:
    write_rows("gold.jsonl", LABELLED)
    mine = Path("runs/default/documents.jsonl")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")
    code, out, err = run("import", "gold.jsonl", "--output", "out/a.jsonl")
    assert code == 0, err
    assert mine.read_text() == "mine\n"
    assert Path("out/documents.jsonl").exists() and f"wrote {Path('out/documents.jsonl')}" in out
    code, _, _ = run("import", "gold.jsonl", "--output", "out/a.jsonl")
    assert code == 0  # the same again


def test_documents_of_others_are_not_written_over(run: Run) -> None:
    write_rows("gold.jsonl", LABELLED)
    for folder, arguments in (
        ("runs/default", ()),
        ("out", ("--output", "out/a.jsonl")),
        ("runs/x", ("--set", "run.dir=runs/x")),
    ):
        theirs = Path(folder, "documents.jsonl")
        theirs.parent.mkdir(parents=True)
        theirs.write_text("theirs\n")
        code, _, err = run("import", "gold.jsonl", *arguments)
        assert code == 2 and "--documents-output FILE" in err
        assert theirs.read_text() == "theirs\n"
        assert sorted(path.name for path in theirs.parent.iterdir()) == ["documents.jsonl"]
    code, _, _ = run("import", "gold.jsonl", "--documents-output", "runs/x/documents.jsonl")
    assert code == 0  # named by hand


def test_labelled_responses_are_for_agreement(run: Run) -> None:
    write_rows("gold.jsonl", LABELLED)
    assert run("import", "gold.jsonl", "--output", "a.jsonl")[0] == 0
    for remove in (False, True):
        if remove:
            Path("a.jsonl.meta.json").unlink()
        code, _, err = run("annotate", "--responses", "a.jsonl", "--documents", "documents.jsonl")
        assert code == 2 and "maskdpo agreement --gold a.jsonl" in err


def sheet(label: str, **changed: str) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "")
    place = {"start": "0", "end": "4", "text_sha256": text_sha256("Mira")}
    return row | {"response_id": "r1", "person_label": label} | place | changed


def write_sheet(path: str, rows: list[dict[str, str]], encoding: str = "utf-8") -> None:
    lines = [",".join(COLUMNS), *(",".join(row[name] for name in COLUMNS) for row in rows)]
    Path(path).write_bytes("".join(f"{line}\r\n" for line in lines).encode(encoding))


def test_nobody_named_in_a_sheet_is_one_sentence(run: Run) -> None:
    write_sheet("checked.csv", [sheet("no_fact") for _ in range(76)])
    code, _, err = run("import", "--format", "csv", "checked.csv", "--output", "c.jsonl")
    assert code == 2 and len(err.splitlines()) == 1
    assert "give --who NAME (and 75 more rows: 3, 4, 5, 6, 7 and 70 more)" in err


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "gbk"])
def test_a_sheet_in_another_encoding_is_read_and_its_encoding_is_named(
    run: Run, encoding: str
) -> None:
    note = "é" if encoding == "cp1252" else "好"
    write_sheet("checked.csv", [sheet("no_fact", who="me", note=note)], encoding)
    code, _, err = run("import", "checked.csv", "--output", "c.jsonl")
    assert code == 0, err
    assert "not in UTF-8; it was read as" in err
    (review,) = read_records("c.jsonl", Review)
    assert review.note == note
