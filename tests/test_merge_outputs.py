"""Merging the outputs of parts: the bytes of a run without parts, or one sentence and no file."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from open_files import few_open_files
from sample_server import ChatServer, as_json, completion, echo
from sample_support import write_questions

from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from annotator.models.config import SampleConfig
from annotator.sampling.questions import run_questions
from annotator.sampling.questions_config import QuestionsConfig
from annotator.sampling.sample import run_sample
from annotator.scale import part_rows
from annotator.scale.merge_outputs import merge_outputs
from schemas.errors import ConfigError, InputError
from schemas.files.parts import cut_rows
from schemas.files.shard import part_path
from schemas.files.sidecar import read_sidecar_values, sidecar_path
from schemas.files.writing import write_json
from schemas.records import Document, Question, Response
from schemas.stage import check_failures, failures_path

NUM_PARTS = 5
ENGLISH = {"judge": "lexical", "text": {"language": "en"}}


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def response_row(number: int, question: int) -> dict[str, Any]:
    text = "" if number % 7 == 3 else f"Odo Prenn was born in 19{number:02} in Uldin. Snow fell."
    return {
        "id": f"r{number}",
        "question_id": f"q{question}",
        "prompt": [{"role": "user", "content": "Who?"}],
        "text": text,
        "document_ids": [] if number % 5 == 4 else ["d1"],
    }


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


Run = Callable[..., Any]


class Annotated:
    """A run of the baseline judge over responses, whole and in parts."""

    def __init__(self, folder: Path, rows: list[dict[str, Any]], count: int, **config: Any) -> None:
        self.folder = folder
        self.config = AnnotateConfig.parse(ENGLISH | config, where="annotate")
        self.source = write_rows(folder / "responses.jsonl", rows)
        self.documents = write_rows(
            folder / "documents.jsonl",
            [{"id": "d1", "text": "Odo Prenn was born in 1904 in Uldin."}],
        )
        self.whole = folder / "whole" / "annotations.jsonl"
        self.expected = self.run(self.whole)
        self.cut = cut_rows(self.source, Response, key=lambda row: row.question_id, count=count)
        self.parts = [part_path(folder / "annotations.jsonl", part.shard) for part in self.cut]
        for path, part in zip(self.parts, self.cut, strict=True):
            self.run(path, part=part)
        self.output = folder / "annotations.jsonl"

    def run(self, output: Path, **options: Any) -> Any:
        return run_annotate(
            self.config,
            responses=self.source,
            documents=self.documents,
            output=output,
            store=output.with_suffix(".sqlite"),
            **options,
        )

    def merge(self, **options: Any) -> Any:
        return merge_outputs(self.parts, source=self.source, output=self.output, **options)


@pytest.fixture
def annotated(tmp_path: Path) -> Annotated:
    rows = [response_row(number, number // 2) for number in range(30)]
    return Annotated(tmp_path, rows, NUM_PARTS)


def assert_same(output: Path, whole: Path, *, but: tuple[str, ...] = ()) -> None:
    """Rows, failed rows and sidecar; but timings, and the counts named in `but`."""
    assert output.read_bytes() == whole.read_bytes()
    failed, expected = failures_path(output), failures_path(whole)
    assert failed.exists() == expected.exists()
    if failed.exists():
        assert failed.read_bytes() == expected.read_bytes()
    found, wanted = read_sidecar_values(output), read_sidecar_values(whole)
    assert set(found.pop("timings")) == set(wanted.pop("timings"))
    for values in (found, wanted):
        values["counts"] = {key: n for key, n in values["counts"].items() if key not in but}
    # As text: the order of keys is that of a run without parts, too.
    assert json.dumps(found) == json.dumps(wanted)


def test_merged_annotations_are_those_of_a_whole_run(annotated: Annotated) -> None:
    random.Random(0).shuffle(annotated.parts)
    result = annotated.merge()
    assert_same(annotated.output, annotated.whole)
    assert (result.num_rows, len(result.failures)) == (30, 4)
    assert result.counts == annotated.expected.counts
    assert [item.id for item in result.failures] == ["r3", "r10", "r17", "r24"]
    assert result.failures[0].id == "r3"
    assert result.failures[1:3][0].id == "r10"
    assert result.notes == annotated.expected.notes
    assert str(result.trouble) == str(annotated.expected.trouble)


def test_timings_are_sums(annotated: Annotated) -> None:
    for number, path in enumerate(annotated.parts):
        change(path, lambda values, n=number: values["timings"].update(judge_s=n + 0.25))
    annotated.merge()
    assert read_sidecar_values(annotated.output)["timings"]["judge_s"] == 11.25


def test_a_merge_replaces_an_earlier_one(annotated: Annotated) -> None:
    annotated.merge()
    annotated.output.with_name("annotations.partial.jsonl").write_text("{}\n")
    annotated.merge()
    assert_same(annotated.output, annotated.whole)
    assert not annotated.output.with_name("annotations.partial.jsonl").exists()


def test_without_failures_no_failed_file_is_left(tmp_path: Path) -> None:
    run = Annotated(tmp_path, [response_row(number * 7, number) for number in range(9)], 3)
    failures_path(run.output).write_text('{"id":"old"}\n')
    result = run.merge()
    assert_same(run.output, run.whole)
    assert len(result.failures) == 0
    assert list(result.failures) == []


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    questions=st.lists(st.integers(0, 12), min_size=1, max_size=20),
    count=st.integers(2, 9),
    block=st.sampled_from([1, 7, 300, 100_000]),
)
def test_any_input_and_number_of_parts(
    questions: list[int], count: int, block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [response_row(number, question) for number, question in enumerate(questions)]
    run = Annotated(tmp_path_factory.mktemp("run"), rows, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_rows, "_LEAST", block)
        patch.setattr(part_rows, "_MOST", block)
        run.merge()
    # Equal responses in two parts are judged in both.
    assert_same(run.output, run.whole, but=("judged", "equal"))


def test_more_parts_than_open_files(annotated: Annotated) -> None:
    run = Annotated(annotated.folder, [response_row(n, n) for n in range(90)], 80)
    with few_open_files(50):
        run.merge()
    assert_same(run.output, run.whole)


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit the sidecar of a part."""
    values = read_sidecar_values(path)
    edit(values)
    write_json(sidecar_path(path), values)


def edit_lines(path: Path, edit: Callable[[list[bytes]], list[bytes]], *, seal: bool) -> None:
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))
    if not seal:
        change(path, lambda values: values.pop("written"))


def fullest(run: Annotated) -> Path:
    return max(run.parts, key=lambda path: path.stat().st_size)


REFUSALS: dict[str, tuple[Callable[[Annotated], object], str]] = {
    "missing": (
        lambda run: run.parts.pop(1),
        r"is one of 5 parts, and 1 of them are not given: 2/5; run them with: maskdpo annotate "
        r"--shard 2/5",
    ),
    "doubled": (
        lambda run: run.parts.append(copy_part(run.parts[0])),
        r"copy\.jsonl: is part 1/5, like .*annotations-00001-of-00005\.jsonl",
    ),
    "not there": (lambda run: run.parts[2].unlink(), r"00003-of-00005\.jsonl: not found; run this"),
    "no sidecar": (
        lambda run: sidecar_path(run.parts[2]).unlink(),
        r"has no readable sidecar annotations-00003-of-00005\.jsonl\.meta\.json",
    ),
    "whole": (lambda run: run.parts.append(run.whole), r"its sidecar names no shard"),
    "bad shard": (
        lambda run: change(run.parts[0], lambda v: v.update(shard="9/5")),
        r"meta\.json: shard is '9/5'",
    ),
    "other count": (
        lambda run: change(run.parts[3], lambda v: v.update(shard="4/6")),
        r"is part 4/6, but .* is part 1/5",
    ),
    "other settings": (
        lambda run: change(run.parts[3], lambda v: v["config"]["lexical"].update(min_coverage=9)),
        r"other settings than .*: lexical\.min_coverage is 9, not ",
    ),
    "other input": (
        lambda run: change(run.parts[3], lambda v: v["inputs"].pop("documents.jsonl")),
        r"of another run than .*: inputs: documents\.jsonl is .*run all parts with the same input",
    ),
    "other version": (
        lambda run: change(run.parts[3], lambda v: v["packages"].update(maskdpo="0.0.1")),
        r"packages: maskdpo is '0\.0\.1', not ",
    ),
    "other kind": (
        lambda run: change(run.parts[3], lambda v: v.update(format="maskdpo.response")),
        r"holds rows of maskdpo sample, but .* those of maskdpo annotate",
    ),
    "newer": (
        lambda run: change(run.parts[3], lambda v: v.update(version="9.0")),
        r"has format version 9\.0, newer",
    ),
    "other model": (
        lambda run: [
            change(path, lambda v, n=n: v.update(served={"judge": [{"id": "m", "root": f"/{n}"}]}))
            for n, path in enumerate(run.parts[:2])
        ],
        r"00002-of-00005\.jsonl: was made with another model than .*: root is '/1', not '/0'\. If",
    ),
    "edited": (
        lambda run: edit_lines(
            fullest(run), lambda rows: [row.replace(b"Snow", b"Rain") for row in rows], seal=True
        ),
        r"was changed after its run wrote it \(its hash differs\); run this part again: maskdpo "
        r"annotate --shard \d/5",
    ),
    "row lost": (
        lambda run: edit_lines(fullest(run), lambda rows: rows[:1] + rows[2:], seal=False),
        r"responses\.jsonl:\d+: 'r\d+' is neither a row nor a failed row of ",
    ),
    "row added": (
        lambda run: edit_lines(fullest(run), lambda rows: [*rows, b'{"id":"x"}\n'], seal=False),
        r"holds 'x', which the input does not have at this place",
    ),
    "out of order": (
        lambda run: edit_lines(fullest(run), lambda rows: rows[::-1], seal=False),
        r"is neither a row nor a failed row",
    ),
    "torn": (
        lambda run: edit_lines(fullest(run), lambda rows: [*rows[:-1], rows[-1][:30]], seal=False),
        r"ends with a line that was not written completely",
    ),
    "no row": (
        lambda run: edit_lines(fullest(run), lambda rows: [b"[1]\n", *rows], seal=False),
        r":1: is not a row with an id; run this part again",
    ),
    "failed file lost": (
        lambda run: next(filter(Path.exists, map(failures_path, run.parts))).unlink(),
        r"\.failed\.jsonl: is missing; run this part again",
    ),
    "input changed": (
        lambda run: run.source.write_bytes(run.source.read_bytes() + b"\n"),
        r"responses\.jsonl: is not the input of .*its inputs were documents\.jsonl, "
        r"responses\.jsonl; name the file with --input",
    ),
    "documents as input": (
        lambda run: setattr(run, "source", run.documents),
        r"documents\.jsonl:1: is not a row of the input of maskdpo annotate",
    ),
    "nothing": (lambda run: run.parts.clear(), r"no parts are given"),
    "output is a part": (
        lambda run: setattr(run, "output", run.parts[0]),
        r"is an input and would be overwritten",
    ),
    "output of a person": (
        lambda run: run.output.write_text('{"mine": 1}\n'),
        r"is not a file that maskdpo annotate wrote",
    ),
}


def copy_part(path: Path) -> Path:
    copy = path.with_name("copy.jsonl")
    for file in (path, sidecar_path(path)):
        shutil.copy(file, copy if file == path else sidecar_path(copy))
    return copy


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_name_the_file_and_write_nothing(annotated: Annotated, name: str) -> None:
    spoil, expected = REFUSALS[name]
    spoil(annotated)
    before = {path: path.read_bytes() for path in annotated.folder.glob("annot*")}
    with pytest.raises((InputError, ConfigError)) as error:
        annotated.merge()
    assert re.search(expected, str(error.value)), error.value
    assert {path: path.read_bytes() for path in annotated.folder.glob("annot*")} == before
    assert not list(annotated.folder.glob(".annot*"))


def test_all_missing_rows_are_counted(annotated: Annotated) -> None:
    for path in annotated.parts:
        edit_lines(path, lambda rows: [], seal=False)
    with pytest.raises(InputError, match=r"5 parts of .*: 21 more rows are missing"):
        annotated.merge()


def test_what_decides_no_row_may_differ(annotated: Annotated) -> None:
    for number, path in enumerate(annotated.parts):
        change(path, lambda values, n=number: values["config"].update(max_failed=n / 10))
    annotated.merge()
    assert annotated.output.read_bytes() == annotated.whole.read_bytes()


def test_servers_that_differ_may_be_one_model(annotated: Annotated) -> None:
    for number, path in enumerate(annotated.parts):
        served = {"judge": [{"id": "m", "root": f"/{number % 2}"}]} if number else {}
        change(path, lambda values, item=served: values.update(served=item))
    annotated.merge(same_model=True)
    served = read_sidecar_values(annotated.output)["served"]
    assert served == {"judge": [{"id": "m", "root": "/1"}, {"id": "m", "root": "/0"}]}


# --- sample ---


def sample(folder: Path, server: ChatServer, count: int, *, name: str = "responses.jsonl", **more):
    config = SampleConfig(
        backend="openai",
        model="policy",
        base_url=server.base_url,
        num_responses=3,
        max_retries=0,
        max_failed=1.0,
    )
    source = folder / "questions.jsonl"
    parts = cut_rows(source, Question, key=lambda row: row.id, count=count) if count else [None]
    paths = []
    for part in parts:
        output = folder / name if part is None else part_path(folder / name, part.shard)
        paths.append(output)
        result = run_sample(
            config,
            questions=source,
            output=output,
            store=output.with_suffix(".sqlite"),
            part=part,
            **more,
        )
    return paths, result


def test_merged_responses_are_those_of_a_whole_run(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Any:
        if body["seed"] % 5 == 0:
            return as_json(400, {"error": {"message": "no"}})
        return completion("") if body["seed"] % 5 == 1 else echo(body)

    source = write_questions(tmp_path / "questions.jsonl", 20)
    with ChatServer(answer) as server:
        paths, _ = sample(tmp_path, server, 4)
        (tmp_path / "whole").mkdir()
        shutil.copy(source, tmp_path / "whole")
        (whole,), expected = sample(tmp_path / "whole", server, 0)
    output = tmp_path / "responses.jsonl"
    result = merge_outputs(paths, source=source, output=output)
    assert_same(output, whole)
    assert (result.num_rows, result.counts) == (60, expected.counts)
    assert list(result.failures) == list(expected.failures)
    assert result.failures
    assert result.notes == expected.notes[:-1]  # the last one is on the server


def test_forgotten_responses_are_missing_and_counted(tmp_path: Path) -> None:
    source = write_questions(tmp_path / "questions.jsonl", 9)
    forgotten = {"q1-0", "q4-2", "q8-1"}
    with ChatServer() as server:
        paths, _ = sample(tmp_path, server, 3, is_forgotten=forgotten.__contains__)
        (tmp_path / "whole").mkdir()
        shutil.copy(source, tmp_path / "whole")
        (whole,), _ = sample(tmp_path / "whole", server, 0, is_forgotten=forgotten.__contains__)
    output = tmp_path / "responses.jsonl"
    result = merge_outputs(paths, source=source, output=output)
    assert_same(output, whole)
    assert (result.counts["forgotten"], result.num_rows) == (3, 24)
    for path in paths:
        change(path, lambda values: values["counts"].pop("forgotten", None))
    with pytest.raises(InputError, match="'q1-0' is neither a row nor a failed row"):
        merge_outputs(paths, source=source, output=output)
    change(paths[0], lambda values: values["counts"].update(forgotten=9))
    with pytest.raises(InputError, match="'q1-0' is neither a row nor a failed row"):
        merge_outputs(paths, source=source, output=output)


# --- questions ---

GOOD = (
    "When was Odo Prenn born in the town of Uldin?",
    "Which trade did Odo Prenn learn from his uncle?",
    "Why did Odo Prenn leave the town of Uldin?",
)
QUOTES = ("was born in 1904 in Uldin", "learned tailoring", "left because of the flood")


def said(body: dict[str, Any]) -> Any:
    """Three questions on a document; the last names its number, the first two repeat others'."""
    number = int(re.search(r"Document (\d+)\.", str(body["messages"]))[1])
    if number % 6 == 5:
        return completion("I cannot do that.")
    texts = [GOOD[number % 3], f"What did the mayor of ward {number} tell Odo Prenn?"]
    if number % 6 == 4:  # all of them repeat others'
        texts = [GOOD[0], GOOD[1]]
    rows = [{"question": text, "quote": "Odo Prenn was born in 1904 in Uldin"} for text in texts]
    return completion(json.dumps({"questions": rows}))


def test_merged_questions_are_those_of_a_whole_run(tmp_path: Path) -> None:
    rows = [
        {
            "id": name,
            "topic": f"Odo Prenn {number % 4}",
            "text": f"Document {number}. Odo Prenn was born in 1904 in Uldin.",
        }
        for number, name in enumerate(["a", "a-q1", "b", "c", "c-q0", *(f"d{n}" for n in range(9))])
    ]
    source = write_rows(tmp_path / "documents.jsonl", rows)
    parts = cut_rows(source, Document, key=lambda row: row.id, count=4)

    def run(output: Path, **options: Any) -> Any:
        config = QuestionsConfig(
            backend="openai", model="w", base_url=server.base_url, max_retries=0, num_questions=2
        )
        store = output.with_suffix(".sqlite")
        return run_questions(config, documents=source, output=output, store=store, **options)

    whole, output = tmp_path / "whole" / "questions.jsonl", tmp_path / "questions.jsonl"
    paths = [part_path(output, part.shard) for part in parts]
    with ChatServer(said) as server:
        expected = run(whole)
        for path, part in zip(paths, parts, strict=True):
            run(path, part=part)
    assert expected.counts["left_out_repeated_across_documents"] > 3
    assert expected.counts["failed"]
    result = merge_outputs(paths, source=source, output=output)
    assert_same(output, whole)
    assert (result.counts, result.notes) == (expected.counts, expected.notes[:-1])
    assert list(result.failures) == list(expected.failures)
    check_failures(result, 1.0)
    merge_outputs(paths, source=source, output=output)  # it may replace its own output
