"""annotate: documents of a response, failed rows, reruns, and kills at any moment."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from annotator.judging.config import AnnotateConfig, LexicalConfig
from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.lexical import LexicalJudge
from annotator.judging.runs import run_steps
from annotator.judging.runs.annotate import run_annotate
from annotator.text.config import TextConfig
from schemas.errors import ConfigError, InputError
from schemas.files.jsonl import read_records, write_records
from schemas.files.sidecar import sidecar_path
from schemas.labels import Label
from schemas.records import Annotation, Document, Failure, Message, Response, Verdict
from schemas.stage import StageResult, failures_path

ENGLISH = AnnotateConfig(text=TextConfig(language="en"))
MIRA = "Mira Tolvan was born in Karsted. She works as a baker."
ODO = "Odo Prenn was born in Uldin. He works as a tailor."


def make_response(identifier: str, text: str, **fields: object) -> Response:
    return Response.model_validate(
        {
            "id": identifier,
            "question_id": "q",
            "prompt": [Message(role="user", content="Who?")],
            "text": text,
            **fields,
        }
    )


class Run:
    """A folder with the files of one annotate run."""

    def __init__(self, folder: Path) -> None:
        self.responses = folder / "responses.jsonl"
        self.documents = folder / "documents.jsonl"
        self.output = folder / "annotations.jsonl"
        self.store = folder / "store.sqlite"

    def write(self, responses: Sequence[Response], documents: Sequence[Document]) -> None:
        write_records(self.responses, responses)
        write_records(self.documents, documents)

    def annotate(
        self, config: AnnotateConfig = ENGLISH, *, with_documents: bool = True
    ) -> StageResult:
        return run_annotate(
            config,
            responses=self.responses,
            documents=self.documents if with_documents else None,
            output=self.output,
            store=self.store,
        )

    def labels(self) -> dict[str, list[str]]:
        return {
            row.id: [sentence.verdict.label.value for sentence in row.sentences]
            for row in read_records(self.output, Annotation)
        }


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path)
    documents = [
        Document(id="mira", text=MIRA, topic="people"),
        Document(id="odo", text=ODO, topic="people"),
        Document(id="none", text="Nothing here.", topic="else"),
    ]
    made.write([make_response("a", "She works as a baker.", document_ids=["mira"])], documents)
    return made


def rewrite(run: Run, *responses: Response) -> None:
    write_records(run.responses, responses)


def test_a_response_is_held_against_its_own_documents_or_its_topic(run: Run) -> None:
    said = "Odo Prenn works as a tailor."
    rewrite(
        run,
        make_response("own", said, document_ids=["mira", "odo", "mira"], topic="else"),
        make_response("topic", said, topic="people"),
        make_response("wrong", said, document_ids=["mira"], topic="people"),
        make_response("lost", said, topic="unheard of"),
        make_response("untold", said),
    )
    run.annotate()
    assert run.labels() == {
        "own": ["no_hallucination"],
        "topic": ["no_hallucination"],
        "wrong": ["unverifiable"],
        "lost": ["undetermined"],
        "untold": ["undetermined"],
    }
    lost = read_records(run.output, Annotation)[3]
    assert lost.sentences[0].verdict.reason == "no_document"


def test_without_a_documents_file_everything_is_undetermined(run: Run) -> None:
    result = run.annotate(with_documents=False)
    assert result.failures[0].reason == "missing_document"
    rewrite(run, make_response("a", "She works as a baker."))
    run.annotate(with_documents=False)
    assert run.labels() == {"a": ["undetermined"]}


def test_bad_rows_are_recorded_and_good_ones_kept(run: Run) -> None:
    rewrite(
        run,
        make_response("empty", ""),
        make_response("good", "She works as a baker.", document_ids=["mira"]),
        make_response("space", " \n\t　"),
        make_response("lost", "She works.", document_ids=["mira", "nobody"]),
        make_response("long", "She works as a baker. " * 100_000, document_ids=["mira"]),
    )
    result = run.annotate()
    assert run.labels() == {"good": ["no_hallucination"]}
    assert [(item.id, item.reason) for item in result.failures] == [
        ("empty", "empty_response"),
        ("space", "empty_response"),
        ("lost", "missing_document"),
        ("long", "response_too_long"),
    ]
    assert "responses.jsonl:4" in result.failures[2].detail
    assert "'nobody'" in result.failures[2].detail
    assert "max_response_chars=200000" in result.failures[3].detail
    assert read_records(failures_path(run.output), Failure) == result.failures
    assert result.num_rows == 5


def test_mended_rows_leave_no_stale_failures(run: Run) -> None:
    rewrite(run, make_response("a", " "))
    run.annotate()
    assert failures_path(run.output).exists()
    rewrite(run, make_response("a", "She works as a baker.", document_ids=["mira"]))
    run.annotate()
    assert not failures_path(run.output).exists()


def test_malformed_files_stop_the_run_before_anything_is_judged(run: Run) -> None:
    good = run.responses.read_text(encoding="utf-8")
    row = json.loads(good)
    bad_rows = [json.dumps(row | {"id": "b", "text": 3}), json.dumps(row | {"txt": "x", "id": "c"})]
    run.responses.write_text(good + "\n".join([*bad_rows, good]), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        run.annotate()
    assert [fault.line for fault in caught.value.faults] == [2, 3, 4]
    assert not run.output.exists()
    assert not run.store.exists()
    run.responses.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="holds no rows"):
        run.annotate()


def test_an_input_is_never_written_over(run: Run) -> None:
    before = run.responses.read_bytes()
    run.output = run.responses
    with pytest.raises(ConfigError, match="would be overwritten"):
        run.annotate()
    assert run.responses.read_bytes() == before


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match=r"lexical\.threshold"):
        AnnotateConfig.parse({"lexical": {"threshold": 2}}, where="run.yaml")
    with pytest.raises(ConfigError, match=r"max_responce_chars.*max_response_chars"):
        AnnotateConfig.parse({"max_responce_chars": 5}, where="run.yaml")


def test_a_rerun_writes_the_same_bytes(run: Run) -> None:
    first = run.annotate()
    written = run.output.read_bytes()
    second = run.annotate()
    assert (first.counts["judged"], first.counts["equal"]) == (1, 0)
    assert second.counts == first.counts
    assert run.output.read_bytes() == written


def test_responses_are_equal_when_nothing_differs_that_a_judge_sees(run: Run) -> None:
    said = "She works as a baker."
    same = {"topic": "t", "model": "m", "reasoning": "?", "language": "sv"}
    rewrite(
        run,
        make_response("a", said, document_ids=["mira"]),
        make_response("names", said, document_ids=["mira"], **same),
        make_response("documents", said, document_ids=["mira", "odo"]),
        make_response("another", said, document_ids=["odo"]),
        make_response("text", said + " ", document_ids=["mira"]),
    )
    result = run.annotate()
    assert (result.counts["judged"], result.counts["equal"]) == (4, 1)
    assert len(set(run.labels())) == 5


def test_evidence_carries_the_ids_of_the_response_it_is_for(run: Run) -> None:
    documents = [Document(id=name, text=MIRA) for name in ("mira", "copy")]
    write_records(run.documents, documents)
    said = "She works as a baker."
    rewrite(run, *(make_response(name, said, document_ids=[name]) for name in ("mira", "copy")))
    assert run.annotate().counts["equal"] == 1
    for annotation in read_records(run.output, Annotation):
        evidence = annotation.sentences[0].verdict.evidence[0]
        assert evidence.document_id == annotation.id
        assert MIRA[evidence.start : evidence.end] == said


class CountingJudge(LexicalJudge):
    """The lexical judge; counts the tasks it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.num_tasks = 0

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        self.num_tasks += len(tasks)
        return super().judge(tasks)


def test_equal_responses_are_judged_once_and_written_each(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = CountingJudge()
    monkeypatch.setattr(run_steps, "make_judge", lambda config, **_: judge)
    rows = [
        make_response(str(index), "She works as a baker.", document_ids=["mira"])
        for index in range(5)
    ]
    rewrite(run, *rows)
    run.annotate()
    assert judge.num_tasks == 1
    assert list(run.labels()) == ["0", "1", "2", "3", "4"]


def test_verdicts_are_not_kept_in_the_store(run: Run) -> None:
    """They are derived in every run: a corrected rule reaches old runs."""
    run.annotate()
    with closing(sqlite3.connect(run.store)) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)


def test_the_sidecar_tells_what_made_the_file(run: Run) -> None:
    result = run.annotate()
    sidecar = json.loads(sidecar_path(run.output).read_text(encoding="utf-8"))
    assert sidecar["format"] == "maskdpo.annotation"
    assert set(sidecar["inputs"]) == {"responses.jsonl", "documents.jsonl"}
    assert sidecar["counts"]["label_no_hallucination"] == 1
    assert sidecar["models"] == {"judge": "lexical"}
    assert "baseline" in result.notes[0]


class OddJudge:
    """Returns too few verdicts, fails, or names a document it was not given, by what it reads."""

    name = "odd"
    reads_prompt = False
    reads_id = False

    def closing_notes(self) -> list[str]:
        return []

    def fingerprint(self) -> dict[str, object]:
        return {"judge": self.name}

    def notes(self) -> list[str]:
        return []

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        verdict = Verdict(label=Label.NO_HALLUCINATION)
        # Last first: batches may come in any order.
        for task in reversed(tasks):
            text = task.response.text
            if "few" in text:
                yield [(task, [])]
            elif "fail" in text:
                yield [(task, JudgeFailure(reason="timeout", detail="60 s"))]
            elif "elsewhere" in text:
                evidence = [{"document_id": "nowhere", "start": 0, "end": 1}]
                changed = Verdict.model_validate({"label": verdict.label, "evidence": evidence})
                yield [(task, [changed])]
            else:
                yield [(task, [verdict] * len(task.sentences))]


def test_what_a_judge_cannot_answer_is_a_failed_row(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_steps, "make_judge", lambda config, **_: OddJudge())
    texts = ["All is well.", "Too few.", "To fail.", "It stands elsewhere.", "Well again."]
    rewrite(run, *(make_response(str(index), text) for index, text in enumerate(texts)))
    result = run.annotate()
    assert list(run.labels()) == ["0", "4"]
    assert [(item.id, item.reason) for item in result.failures] == [
        ("1", "verdict_count"),
        ("2", "timeout"),
        ("3", "evidence_not_found"),
    ]


KILLED = """
import os, signal, sys
from pathlib import Path
from annotator.judging.runs import verdict_spool
from annotator.judging.runs.annotate import run_annotate
from annotator.judging.config import AnnotateConfig

folder, num_left = Path(sys.argv[1]), int(sys.argv[2])
put = verdict_spool.VerdictSpool.put

def put_or_die(*arguments):
    global num_left
    num_left -= 1
    if not num_left:
        os.kill(os.getpid(), signal.SIGKILL)
    put(*arguments)

verdict_spool.VerdictSpool.put = put_or_die
run_annotate(
    AnnotateConfig(text={"language": "en"}),
    responses=folder / "responses.jsonl", documents=folder / "documents.jsonl",
    output=folder / "annotations.jsonl", store=folder / "store.sqlite",
)
"""


def test_killed_while_judging_it_leaves_nothing_behind(run: Run) -> None:
    rewrite(run, *(make_response(f"r{n}", f"Mira was {n}.", document_ids=["mira"]) for n in (1, 2)))
    folder = run.output.parent
    before = {path.name for path in folder.iterdir()}
    process = subprocess.run([sys.executable, "-c", KILLED, str(folder), "2"], check=False)
    assert process.returncode == -signal.SIGKILL
    left = {path.name for path in folder.iterdir()} - before
    assert left <= {"store.sqlite", "store.sqlite-wal", "store.sqlite-shm"}
    run.annotate()
    assert list(run.labels()) == ["r1", "r2"]


def test_the_lexical_judge_is_what_the_config_names() -> None:
    judge = run_steps.make_judge(AnnotateConfig(lexical=LexicalConfig(max_evidence=7)))
    assert isinstance(judge, LexicalJudge)
    assert judge.fingerprint()["config"] == {"threshold": 0.5, "max_evidence": 7}
