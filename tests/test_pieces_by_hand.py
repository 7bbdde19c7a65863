"""Data set folders with pieces of sentences that somebody changed: what each command answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import make_run
from test_pieces import SPAN, build, marked_questions

from dataset_builder.config import BuildConfig
from dataset_builder.folder.row_faults import FaultKind
from dataset_builder.folder.validate import validate_folder

PAIRS = "pairs/train-00000-of-00001.parquet"


def change_pairs(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    table = pq.read_table(folder / PAIRS)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / PAIRS)


def set_version(folder: Path, version: str) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest | {"version": version}), encoding="utf-8")


def messages_of(folder: Path, kind: FaultKind) -> list[str]:
    return [item.message for item in validate_folder(folder).findings if item.kind is kind]


def test_validate_finds_wrong_words_that_train_on_the_chosen_side(tmp_path: Path) -> None:
    rows = marked_questions(3)
    end = rows[0]["sentences"][0]["end"]  # q0/best is correct, and one word of it is marked
    rows[0]["sentences"][0]["verdict"]["error_spans"] = [{"start": end - 9, "end": end}]
    folder, _ = build(tmp_path, rows, SPAN)
    assert validate_folder(folder).findings == []

    def let_them_train(rows: list[dict[str, Any]]) -> None:
        chosen = next(row for row in rows if row["chosen_id"] == "q0/best")["chosen_spans"]
        next(span for span in chosen if span["part"] == "error")["weight"] = 1.0

    change_pairs(folder, let_them_train)
    (message,) = messages_of(folder, FaultKind.PIECES)
    assert message.startswith("'chosen_spans', sentence 0: the wrong words [")
    assert message.endswith(") have weight 1.0, must be 0")


def test_validate_compares_the_version_of_the_manifest_with_the_columns(tmp_path: Path) -> None:
    folder, _ = build(tmp_path, marked_questions(3), SPAN)
    set_version(folder, "1.0")
    assert messages_of(folder, FaultKind.FORMAT_VERSION) == [
        "has the fields 'sentence' and 'part' of spans, of format 2.0, but manifest.json says "
        "version 1.0",
        "has the column 'error_spans', of format 2.0, but manifest.json says version 1.0",
    ]
    folder, _ = build(tmp_path, marked_questions(3), BuildConfig(test_share=0.0), "whole")
    set_version(folder, "2.0")
    assert messages_of(folder, FaultKind.FORMAT_VERSION) == [
        "lacks the fields 'sentence' and 'part' of spans, of format 2.0, but manifest.json says "
        "version 2.0",
        "lacks the column 'error_spans', of format 2.0, but manifest.json says version 2.0",
    ]


@pytest.mark.parametrize(
    "command",
    [
        ("export", "--format", "trl", "data", "--output", "out"),
        ("import", "--format", "trl", "data", "--output", "out.jsonl"),
        ("show", "data"),
        ("validate", "data"),
        ("train", "--dataset", "data", "--model", "model", "--output", "out"),
    ],
)
def test_every_command_refuses_a_data_set_of_a_newer_format(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    folder, _ = build(tmp_path, marked_questions(3), SPAN)
    folder.rename(tmp_path / "data")
    set_version(tmp_path / "data", "3.0")
    monkeypatch.chdir(tmp_path)
    code, out, err = make_run(monkeypatch, capsys)(*command)
    assert code == 2
    assert "has format version 3.0, newer than the 2.x this maskdpo reads" in out + err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.jsonl").exists()


def test_the_manifest_of_another_tool_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = build(tmp_path, marked_questions(3), SPAN)
    (folder / "manifest.json").write_text('{"format": "other", "version": "9"}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    run = make_run(monkeypatch, capsys)
    assert run("import", "--format", "trl", folder, "--output", "back.jsonl")[0] == 0


def test_a_piece_without_the_number_of_its_sentence_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = build(tmp_path, marked_questions(3), SPAN)
    change_pairs(
        folder, lambda rows: [span.update(sentence=None) for span in rows[1]["rejected_spans"]]
    )
    monkeypatch.chdir(tmp_path)
    make_run(monkeypatch, capsys)("import", "--format", "trl", folder, "--output", "back.jsonl")
    failed = json.loads((tmp_path / "back.failed.jsonl").read_text(encoding="utf-8"))
    assert "but the number of its sentence is missing; give it as 'sentence'" in failed["detail"]
    assert "None" not in failed["detail"]
