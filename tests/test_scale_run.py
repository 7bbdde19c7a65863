"""A run in pieces writes what one run writes, and a stopped one makes only what is missing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from sample_server import ChatServer, echo
from sample_support import write_questions

from annotator.calls.usage import NO_LIMITS, Budget, Limits
from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample
from annotator.scale.piece_lock import lock_path, only_writer
from annotator.scale.run import run_in_pieces
from annotator.scale.shard_folder import ShardFormat
from annotator.scale.stages import annotate_stage, sample_stage
from annotator.scale.work import MakeWorker, Piece, PieceReport, WorkerContext
from formats.forgotten import Forgotten
from schemas.errors import BackendError, ConfigError
from schemas.events import ignore
from schemas.files.jsonl import read_lines, read_records, write_records
from schemas.files.parquet_lines import read_parquet_lines
from schemas.files.sidecar import read_sidecar_values, sidecar_path
from schemas.files.writing import write_json
from schemas.records import Annotation, Document, Question, Response


class InProcess:
    """An engine of one worker in this process; it may stop after some pieces."""

    def __init__(self, stop_after: int = -1) -> None:
        self.pieces: list[Piece] = []
        self._stop_after = stop_after

    def __call__(self, pieces: Sequence[Piece], make_worker: MakeWorker) -> Iterator[PieceReport]:
        worker = make_worker(WorkerContext(actor=0, num_actors=1, budget=Budget()))
        for number, piece in enumerate(pieces):
            if number == self._stop_after:
                raise BackendError("the server is down")
            self.pieces.append(piece)
            yield worker.run(piece, ignore)
        worker.close()


def write_responses(path: Path, count: int) -> Path:
    rows = [
        Response.model_validate(
            {
                "id": f"r{number}",
                "question_id": f"q{number % (count // 3 + 1)}",
                "prompt": [{"role": "user", "content": "Who?"}],
                "text": "" if number == 4 else f"Odo Prenn was born in 19{number:02} in Uldin.",
                "document_ids": ["d1"],
            }
        )
        for number in range(count)
    ]
    write_records(path, rows)
    return path


class Folder:
    """Inputs of annotate, and the files that a run on one machine writes for them."""

    def __init__(self, folder: Path) -> None:
        self.responses = write_responses(folder / "responses.jsonl", 40)
        self.documents = folder / "documents.jsonl"
        write_records(self.documents, [Document(id="d1", text="Odo Prenn was born in 1905.")])
        (folder / "whole").mkdir()
        self.whole = folder / "whole" / "annotations.jsonl"
        self.result = run_annotate(
            AnnotateConfig(),
            responses=self.responses,
            documents=self.documents,
            output=self.whole,
            store=folder / "whole" / "store.sqlite",
        )
        self.output = folder / "run" / "annotations.jsonl"
        self.stage = partial(
            annotate_stage,
            responses=self.responses,
            documents=self.documents,
            output=self.output,
            store=folder / "run" / "store.sqlite",
        )


def rows_and_failures(output: Path) -> list[bytes]:
    return [output.read_bytes(), output.with_name("annotations.failed.jsonl").read_bytes()]


@pytest.mark.parametrize("num_pieces", [None, 1, 7, 60])
def test_pieces_make_the_files_of_one_run(tmp_path: Path, num_pieces: int | None) -> None:
    folder = Folder(tmp_path)
    stage = folder.stage(AnnotateConfig())
    result = run_in_pieces(stage, InProcess(), num_actors=2, num_pieces=num_pieces)
    assert rows_and_failures(folder.output) == rows_and_failures(folder.whole)
    assert result.counts == folder.result.counts
    assert list(result.failures) == list(folder.result.failures)
    assert list(result.notes) == list(folder.result.notes)
    ours, whole = read_sidecar_values(folder.output), read_sidecar_values(folder.whole)
    for values in (ours, whole):
        values.pop("timings")
        values.pop("written", None)
    assert ours == whole
    assert not (tmp_path / "run" / "annotations.parts").exists()


class Elsewhere(InProcess):
    """A worker that begins in another folder than the driver, as on a cluster."""

    def __call__(self, pieces: Sequence[Piece], make_worker: MakeWorker) -> Iterator[PieceReport]:
        before = Path.cwd()
        os.chdir("/")
        try:
            yield from super().__call__(pieces, make_worker)
        finally:
            os.chdir(before)


def test_relative_files_are_those_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    stage = annotate_stage(
        AnnotateConfig(),
        responses=Path("responses.jsonl"),
        documents=Path("documents.jsonl"),
        output=Path("annotations.jsonl"),
        store=Path("store.sqlite"),
    )
    result = run_in_pieces(stage, Elsewhere(), num_actors=2)
    assert result.output == Path("annotations.jsonl")
    assert rows_and_failures(tmp_path / "annotations.jsonl") == rows_and_failures(folder.whole)


def test_a_run_that_never_began_leaves_no_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(BackendError, match="down"):
        run_in_pieces(folder.stage(AnnotateConfig()), InProcess(stop_after=0), num_actors=2)
    assert [path.name for path in folder.output.parent.iterdir()] == []
    lock = folder.output.parent / "annotations.parts" / "annotations.jsonl"
    with only_writer(lock), pytest.raises(BackendError, match="is being written by another"):
        run_in_pieces(folder.stage(AnnotateConfig()), InProcess(), num_actors=2)
    assert lock_path(lock).exists()  # it belongs to the other run


def test_a_stopped_run_goes_on_with_the_pieces_that_are_missing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    run = partial(run_in_pieces, num_actors=2)
    first = InProcess(stop_after=3)
    with pytest.raises(BackendError, match="down"):
        run(folder.stage(AnnotateConfig()), first)
    assert not folder.output.exists()
    second = InProcess()
    run(folder.stage(AnnotateConfig()), second)
    assert len(first.pieces) == 3
    assert len(second.pieces) == 8 - 3  # four pieces per actor
    assert {str(piece.shard) for piece in (*first.pieces, *second.pieces)} == {
        f"{number}/8" for number in range(1, 9)
    }
    assert rows_and_failures(folder.output) == rows_and_failures(folder.whole)


def test_other_settings_or_rows_make_all_pieces_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(BackendError):
        run_in_pieces(folder.stage(AnnotateConfig()), InProcess(stop_after=3), num_actors=2)
    other = InProcess()
    config = AnnotateConfig.model_validate({"text": {"language": "en"}})
    saved = shutil.copytree(tmp_path / "run", tmp_path / "saved")
    run_in_pieces(folder.stage(config), other, num_actors=2)
    assert len(other.pieces) == 8
    shutil.rmtree(tmp_path / "run")
    shutil.move(saved, tmp_path / "run")
    write_responses(folder.responses, 41)
    again = InProcess()
    run_in_pieces(folder.stage(AnnotateConfig()), again, num_actors=2)
    assert len(again.pieces) == 8


@pytest.mark.parametrize("change", ["version", "cut"])
def test_a_piece_that_cannot_be_joined_is_made_again(tmp_path: Path, change: str) -> None:
    folder = Folder(tmp_path)
    first = InProcess(stop_after=3)
    with pytest.raises(BackendError):
        run_in_pieces(folder.stage(AnnotateConfig()), first, num_actors=2)
    output = first.pieces[0].output
    if change == "cut":
        os.truncate(output, output.stat().st_size // 2)
    else:
        values = read_sidecar_values(output)
        values["packages"]["maskdpo"] = "0.0.1"
        write_json(sidecar_path(output), values)
    second = InProcess()
    run_in_pieces(folder.stage(AnnotateConfig()), second, num_actors=2)
    assert len(second.pieces) == 8 - 2
    assert rows_and_failures(folder.output) == rows_and_failures(folder.whole)


def test_shards_of_another_format_are_replaced(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    stage = replace(folder.stage(AnnotateConfig()), output=tmp_path / "run" / "judge.v2.jsonl")
    for shard_format, count in (("jsonl", 4), ("jsonl", 3), ("parquet", 3)):
        run_in_pieces(
            stage,
            InProcess(),
            num_actors=2,
            num_pieces=count,
            shard_format=cast(ShardFormat, shard_format),
        )
    found = {path.name for path in (tmp_path / "run" / "judge.v2").iterdir()}
    shards = {name for name in found if ".failed." not in name and ".meta." not in name}
    assert shards == {f"judge.v2-0000{n}-of-00003.parquet" for n in (1, 2, 3)}


@pytest.mark.parametrize("shard_format", ["jsonl", "parquet"])
def test_shards_have_the_rows_of_one_run(tmp_path: Path, shard_format: ShardFormat) -> None:
    folder = Folder(tmp_path)
    for num_pieces in (9, 5):  # the shards of the first run are replaced
        result = run_in_pieces(
            folder.stage(AnnotateConfig()),
            InProcess(),
            num_actors=2,
            num_pieces=num_pieces,
            shard_format=shard_format,
        )
    shards = tmp_path / "run" / "annotations"
    assert result.output == shards
    assert result.counts == folder.result.counts
    assert {row.id for row in result.failures} == {row.id for row in folder.result.failures}
    paths = sorted(shards.glob(f"*[0-9].{shard_format}"))
    assert len(paths) == 5
    found = [
        Annotation.model_validate_json(text)
        for path in paths
        for _, text in (read_parquet_lines if shard_format == "parquet" else read_lines)(path)
    ]
    whole = read_records(folder.whole, Annotation)
    assert sorted(found, key=lambda row: row.id) == sorted(whole, key=lambda row: row.id)
    assert all(read_sidecar_values(path)["written"][path.name] for path in paths)


def test_a_run_after_a_preview_gets_the_rest_of_the_limits() -> None:
    limits = Limits(max_calls=10, max_tokens=100)
    assert limits.after(calls=3, tokens=120, cost=1.0) == Limits(max_calls=7, max_tokens=0)
    assert Limits(max_cost=1.5).after(calls=3, tokens=1, cost=0.5) == Limits(max_cost=1.0)
    assert NO_LIMITS.after(calls=3, tokens=1, cost=0.5) == NO_LIMITS


def test_a_folder_of_other_files_gets_no_shards(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "run" / "annotations").mkdir(parents=True)
    (tmp_path / "run" / "annotations" / "notes.txt").write_text("mine")
    engine = InProcess()
    with pytest.raises(ConfigError, match=r"holds other files \(notes.txt\)"):
        run_in_pieces(folder.stage(AnnotateConfig()), engine, num_actors=2, shard_format="parquet")
    assert engine.pieces == []


def test_pieces_of_sample_pay_each_call_once(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "questions.jsonl", 9)
    files: dict[str, Any] = {"questions": questions, "store": tmp_path / "run" / "store.sqlite"}
    output = tmp_path / "run" / "responses.jsonl"
    with ChatServer() as server:
        config = SampleConfig(backend="openai", model="policy", base_url=server.base_url)
        stage = sample_stage(config, output=output, forgotten=Forgotten(), **files)
        with pytest.raises(BackendError):
            run_in_pieces(stage, InProcess(stop_after=4), num_actors=2)
        run_in_pieces(stage, InProcess(), num_actors=2)
        seeds = [(asked.seed, json.dumps(asked.body["messages"])) for asked in server.asked]
        assert len(seeds) == len(set(seeds)) == 9 * config.num_responses
        # Another number of pieces, and then one machine: everything is in the run's stores.
        run_in_pieces(stage, InProcess(), num_actors=2, num_pieces=3)
        assert len(server.asked) == len(seeds)
        rows = output.read_bytes()
        run_sample(config, output=output, **files)
        assert output.read_bytes() == rows
        assert len(server.asked) == len(seeds)


def test_a_piece_whose_few_calls_fail_does_not_end_the_run(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "questions.jsonl", 9)
    refused = {"q3"}
    names = {row.messages[0].content: row.id for row in read_records(questions, Question)}

    def answer(body: dict[str, Any]) -> Any:
        name = names[body["messages"][-1]["content"]]
        return (400, "application/json", b"{}") if name in refused else echo(body)

    files: dict[str, Any] = {"questions": questions}
    with ChatServer(answer) as server:
        config = SampleConfig(backend="openai", model="policy", base_url=server.base_url)
        whole = run_sample(config, output=tmp_path / "w.jsonl", store=tmp_path / "w.db", **files)
        stage = partial(sample_stage, config, forgotten=Forgotten(), **files)
        output = tmp_path / "run" / "responses.jsonl"
        run = stage(output=output, store=tmp_path / "run" / "store.sqlite")
        result = run_in_pieces(run, InProcess(), num_actors=2, num_pieces=60)
        assert output.read_bytes() == (tmp_path / "w.jsonl").read_bytes()
        assert [row.id for row in result.failures] == [row.id for row in whole.failures]
        assert result.failures
        refused |= set(names.values())
        again = stage(output=tmp_path / "b" / "r.jsonl", store=tmp_path / "b" / "store.sqlite")
        with pytest.raises(BackendError, match="every call of this run failed"):
            run_in_pieces(again, InProcess(), num_actors=2, num_pieces=60)
