"""Parts of an input: every row in one part, read by its place, and runs on parts make the rows of
the whole."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sample_server import ChatServer
from sample_support import write_questions

from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample
from schemas.errors import InputError
from schemas.files.jsonl import read_records, write_records
from schemas.files.parts import cut_rows
from schemas.files.shard import Shard, number_of, part_path
from schemas.files.sidecar import read_sidecar_values
from schemas.records import Annotation, Document, Failure, Question, Response
from schemas.stage import failures_path


def make_rows(names: list[str]) -> list[dict[str, object]]:
    return [
        {
            "id": f"r{number}",
            "question_id": name,
            "prompt": [{"role": "user", "content": "Who?"}],
            "text": f"Odo Prenn was born in 19{number:02} in Uldin.",
            "document_ids": ["d1"],
        }
        for number, name in enumerate(names)
    ]


def write_rows(path: Path, rows: list[dict[str, object]], *, gap: str = "") -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n{gap}" for row in rows), encoding="utf-8")
    return path


def read_lines_as(path: Path, model: type[BaseModel]) -> list[Any]:
    """The records of a file that may be empty."""
    return [model.model_validate_json(line) for line in path.read_bytes().splitlines()]


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.text(alphabet="aé☃𝔘", min_size=1, max_size=4), min_size=1, max_size=30),
    count=st.integers(1, 7),
    gap=st.sampled_from(["", "\n", "  \n"]),
)
def test_each_row_is_in_one_part_with_its_line(
    names: list[str], count: int, gap: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_rows(tmp_path_factory.mktemp("cut") / "r.jsonl", make_rows(names), gap=gap)
    parts = cut_rows(path, Response, key=lambda row: row.question_id, count=count)
    assert [part.shard for part in parts] == [Shard(index=i + 1, count=count) for i in range(count)]
    lines = path.read_bytes().split(b"\n")
    found = {}
    for part in pickle.loads(pickle.dumps(parts)):
        rows = list(part.read(Response))
        assert len(rows) == len(part)
        assert [row.line for row in rows] == sorted(row.line for row in rows)
        for row in rows:
            assert number_of(row.record.question_id, count) == part.shard.index
            assert json.loads(lines[row.line - 1])["id"] == row.record.id
            found[row.record.id] = row.record
    assert sorted(found) == sorted(f"r{number}" for number in range(len(names)))


def test_a_part_alone_is_that_part_and_all_faults_of_the_file_are_found(tmp_path: Path) -> None:
    rows = make_rows([f"q{number}" for number in range(20)])
    path = write_rows(tmp_path / "r.jsonl", rows)
    whole = cut_rows(path, Response, key=lambda row: row.question_id, count=3)
    (alone,) = cut_rows(path, Response, key=lambda row: row.question_id, count=3, wanted=[2])
    assert alone == whole[1]
    rows[3]["text"], rows[9]["id"], rows[17]["id"] = None, "r1", "r1"
    write_rows(path, rows)
    with pytest.raises(InputError) as caught:
        cut_rows(path, Response, key=lambda row: row.question_id, count=3, wanted=[2])
    assert [fault.line for fault in caught.value.faults] == [4, 10, 18]
    assert "duplicate id 'r1', first used on line 2" in str(caught.value)


def test_a_file_that_changed_after_it_was_cut_is_reported(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "r.jsonl", make_rows(["q"] * 3))
    (part,) = cut_rows(path, Response, key=lambda row: row.question_id, count=1)
    for name in ("longer", "s"):  # another size, and the same one
        write_rows(path, make_rows([name] * 3))
        with pytest.raises(InputError, match=r"r\.jsonl.*changed after the command began"):
            list(part.read(Response))


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("\n")
    with pytest.raises(InputError, match="holds no rows"):
        cut_rows(tmp_path / "r.jsonl", Response, key=lambda row: row.question_id, count=2)


def test_annotated_parts_are_the_rows_of_the_whole(tmp_path: Path) -> None:
    rows = make_rows([f"q{number % 9}" for number in range(40)])
    rows[5]["text"], rows[6]["document_ids"] = "", ["unknown"]
    responses = write_rows(tmp_path / "responses.jsonl", rows)
    documents = tmp_path / "documents.jsonl"
    write_records(documents, [Document(id="d1", text="Odo Prenn was born in 1905 in Uldin.")])
    output, store = tmp_path / "annotations.jsonl", tmp_path / "store.sqlite"

    def annotate(**options: object) -> None:
        run_annotate(
            AnnotateConfig(), responses=responses, documents=documents, store=store, **options
        )

    annotate(output=output)
    whole, failed = read_records(output, Annotation), read_records(failures_path(output), Failure)
    assert "shard" not in read_sidecar_values(output)
    found: list[Annotation] = []
    failures: list[Failure] = []
    parts = cut_rows(responses, Response, key=lambda row: row.question_id, count=20)
    for part in parts:  # some of the 20 parts of 9 questions are empty
        path = part_path(output, part.shard)
        annotate(output=path, part=part)
        found += read_lines_as(path, Annotation)
        if failures_path(path).exists():
            failures += read_records(failures_path(path), Failure)
        values = read_sidecar_values(path)
        assert values["shard"] == str(part.shard)
        assert values["inputs"] == read_sidecar_values(output)["inputs"]
        assert values["counts"]["responses"] == len(part)
    assert any(not len(part) for part in parts)
    assert sorted(found, key=lambda row: row.id) == sorted(whole, key=lambda row: row.id)
    # The failures name the lines of the file, not of the part.
    assert sorted(map(str, failures)) == sorted(map(str, failed))
    assert len(failed) == 2


def test_sampled_parts_are_the_rows_of_the_whole(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "questions.jsonl", 5)
    output, store = tmp_path / "responses.jsonl", tmp_path / "store.sqlite"
    with ChatServer() as server:
        config = SampleConfig(backend="openai", model="policy", base_url=server.base_url)
        run_sample(config, questions=questions, output=output, store=store)
        num_asked = len(server.asked)
        found = []
        for part in cut_rows(questions, Question, key=lambda row: row.id, count=8):
            path = part_path(output, part.shard)
            own = part_path(store, part.shard)
            run_sample(config, questions=questions, output=path, store=own, part=part)
            found += read_lines_as(path, Response)
        assert len(server.asked) == 2 * num_asked
    whole = read_records(output, Response)
    assert sorted(found, key=lambda row: row.id) == sorted(whole, key=lambda row: row.id)
