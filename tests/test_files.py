"""Typed files: faults by file, line and field; torn tails; atomic writes; sidecars."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from schemas.errors import InputError
from schemas.files.jsonl import (
    TornTailWarning,
    atomic_writer,
    read_records,
    read_rows,
    scan_rows,
    write_records,
)
from schemas.files.sidecar import make_sidecar, sidecar_path, write_sidecar
from schemas.files.writing import atomic_descriptor
from schemas.records import Document, Question
from schemas.stage import failures_path

GOOD = '{"id": "q1", "question": "Who is Mira?"}\n'


def faults_of(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_records(path, Question)
    return [str(fault) for fault in caught.value.faults]


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"id": 3, "question": "x"}', "'id' is 3, but input should be a valid string"),
        ('{"id": "a", "qestion": "x"}', "unknown key 'qestion'"),
        ('{"id": "a", "topik": "x", "question": "y"}', "did you mean 'topic'?"),
        ('{"id": "a"}', "required key 'messages' is missing"),
        ('{"id": "a", "question": "  "}', "must be a non-empty string"),
        ('{"id": "", "question": "x"}', "at least 1 character"),
        ('["a"]', "input should be an object"),
        ('{"id": "a", "question": "x"', "not valid JSON"),
        (
            '{"id": "a", "messages": [{"role": "boss", "content": "x"}]}',
            "'messages[0].role' is 'boss', but input should be 'system', 'user' or 'assistant'",
        ),
        (
            '{"id": "a", "messages": [{"role": "user", "contnt": "x"}]}',
            "did you mean 'content'?",
        ),
        (
            '{"id": "a", "messages": [{"role": "assistant", "content": "x"}]}',
            "must be 'user'",
        ),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_field(
    tmp_path: Path, line: str, expected: str
) -> None:
    path = write(tmp_path, GOOD + line + "\n")
    faults = faults_of(path)
    assert all(fault.startswith(f"{path}:2: ") for fault in faults)
    assert any(expected in fault for fault in faults), faults


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "[1]\n" + GOOD + "[2]\n" + GOOD)
    lines = [fault.split(":")[1] for fault in faults_of(path)]
    assert lines == ["1", "3", "4"]  # line 4 repeats the id of line 2


def test_many_faults_are_cut_to_a_screen_but_all_kept(tmp_path: Path) -> None:
    path = write(tmp_path, "[1]\n" * 50)
    with pytest.raises(InputError) as caught:
        read_records(path, Question)
    assert len(caught.value.faults) == 50
    assert "and 30 more faults" in str(caught.value)


def test_duplicate_ids_name_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "\n" + GOOD)
    assert faults_of(path) == [
        f"{path}:3: duplicate id 'q1', first used on line 1; ids must be unique in a file"
    ]


@pytest.mark.parametrize("content", ["", "\n  \n"])
def test_an_empty_file_says_what_it_should_hold(tmp_path: Path, content: str) -> None:
    assert (
        "holds no rows; it should hold one Question per line"
        in faults_of(write(tmp_path, content))[0]
    )


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in faults_of(tmp_path / "none.jsonl")[0]


def test_a_torn_last_line_is_not_done_and_costs_no_good_row(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + '{"id": "q2", "ques')
    with pytest.warns(TornTailWarning, match=f"{path}:2: the last line is cut off"):
        records = read_records(path, Question)
    assert [record.id for record in records] == ["q1"]


def test_a_whole_last_line_without_newline_counts(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + '{"id": "q2", "question": "y"}')
    assert [record.id for record in read_records(path, Question)] == ["q1", "q2"]


def test_a_torn_line_with_a_newline_is_a_fault(tmp_path: Path) -> None:
    assert "not valid JSON" in faults_of(write(tmp_path, GOOD + '{"id": "q2", "ques\n'))[0]


def test_line_separators_inside_strings_are_text(tmp_path: Path) -> None:
    path = write(tmp_path, '{"id": "a", "question": "one\u2028two\x85three"}\n')
    (row,) = read_rows(path, Question)
    assert row.record.messages[0].content == "one\u2028two\x85three"


def test_byte_order_mark_and_bad_utf8(tmp_path: Path) -> None:
    assert read_records(write(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()), Question)
    path = write(tmp_path, GOOD.encode() + b'{"id": "b", "question": "\xff"}\n')
    assert faults_of(path)[0].startswith(f"{path}:2: ")


def test_scanning_keeps_good_rows_beside_bad_ones(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "[1]\n" + GOOD.replace("q1", "q2"))
    kinds = [type(item).__name__ for item in scan_rows(path, Question)]
    assert kinds == ["Row", "Fault", "Row"]


def test_round_trip(tmp_path: Path) -> None:
    documents = [Document(id="d", text="a\nb 文 \u2028 😀"), Document(id="e", text="")]
    path = tmp_path / "documents.jsonl"
    assert write_records(path, documents) == 2
    assert read_records(path, Document) == documents


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old\n")
    with pytest.raises(RuntimeError), atomic_writer(path) as handle:
        handle.write("half")
        raise RuntimeError
    assert path.read_text() == "old\n"
    assert [item.name for item in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_writer(link) as handle:
        handle.write("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def with_sidecar(tmp_path: Path, **changed: object) -> Path:
    path = write(tmp_path, GOOD)
    write_sidecar(path, make_sidecar("question", config={"k": 1}, inputs=[path]))
    meta = json.loads(sidecar_path(path).read_text())
    sidecar_path(path).write_text(json.dumps(meta | changed))
    return path


@pytest.mark.parametrize("as_link", [False, True])
def test_a_pipe_or_device_is_refused_and_stays(tmp_path: Path, as_link: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    given = pipe
    if as_link:
        given = tmp_path / "link"
        given.symlink_to(pipe)
    with pytest.raises(InputError, match="is a device or a pipe, and the output must be a file"):
        write_records(given, [Question(id="q", question="Who?")])
    with pytest.raises(InputError, match="is a device or a pipe"), atomic_descriptor(given):
        pass
    assert pipe.is_fifo()
    assert not list(tmp_path.glob(".*"))


def test_a_sidecar_describes_without_naming_folders(tmp_path: Path) -> None:
    path = with_sidecar(tmp_path)
    text = sidecar_path(path).read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["inputs"]["questions.jsonl"]["bytes"] == len(GOOD)
    assert read_records(path, Question)


def test_a_version_from_the_future_is_refused(tmp_path: Path) -> None:
    (fault,) = faults_of(with_sidecar(tmp_path, version="2.0"))
    assert "questions.jsonl.meta.json: has format version 2.0, newer than the 1.x" in fault


def test_a_minor_version_from_the_future_is_read(tmp_path: Path) -> None:
    assert read_records(with_sidecar(tmp_path, version="1.7"), Question)


def test_the_file_of_another_stage_is_refused(tmp_path: Path) -> None:
    (fault,) = faults_of(with_sidecar(tmp_path, format="maskdpo.annotation"))
    assert "'maskdpo.question' is needed" in fault


@pytest.mark.parametrize("content", ["{", "[]", '{"version": "1.0"}'])
def test_a_broken_sidecar_is_a_sentence(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, GOOD)
    sidecar_path(path).write_text(content)
    assert "not a readable sidecar" in faults_of(path)[0]


@pytest.mark.parametrize(
    ("output", "failed"),
    [
        ("responses.jsonl", "responses.failed.jsonl"),
        ("dataset", "dataset.failed.jsonl"),
        ("qwen2.5", "qwen2.5.failed.jsonl"),
    ],
)
def test_failed_rows_lie_beside_their_output(output: str, failed: str) -> None:
    assert failures_path(Path("a") / output) == Path("a") / failed


@pytest.mark.parametrize("version", ["2", 2, "²", "x"])
def test_any_other_version_is_refused_without_advice_to_remove_it(
    tmp_path: Path, version: object
) -> None:
    (fault,) = faults_of(with_sidecar(tmp_path, version=version))
    assert "newer than the 1.x" in fault or "must look like '1.0'" in fault
    assert "remove" not in fault


def test_a_torn_line_nested_too_deep_is_torn(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "[" * 100_000)
    with pytest.warns(TornTailWarning):
        assert len(read_records(path, Question)) == 1
