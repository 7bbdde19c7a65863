"""What `evaluate` may replace in its folder: its own files, and never an input or others' work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Run, make_run
from judge_support import make_world

from schemas.files.own_files import seal
from schemas.files.sidecar import Sidecar, make_sidecar, write_sidecar

GIVEN = Path("ev/gpt/answers.jsonl")
FACTS = Path("ev/gpt/facts.jsonl")
FACT_VERDICTS = Path("ev/gpt/fact_verdicts.jsonl")
WITH_FACTS = ("--set", "evaluate.factscore.facts=sentences")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """In a folder with four answers, their documents, and two of their questions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("maskdpo.evaluation.run.write_report", lambda _path, _inputs: None)
    make_world(tmp_path, num_responses=4)
    write_questions(0, 1)
    return make_run(monkeypatch, capsys)


def write_questions(*numbers: int) -> None:
    rows = [{"id": f"q{n}", "question": f"Who is person {n}?"} for n in numbers]
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def evaluate(run: Run, *more: object, answers: object = "responses.jsonl") -> tuple[int, str]:
    """Exit code and standard error of the evaluation of one model, `gpt`, in the folder `ev`."""
    code, _, err = run(
        *("evaluate", "--answers", f"gpt={answers}", "--questions", "questions.jsonl"),
        *("--documents", "documents.jsonl", "--set", "annotate.judge=lexical"),
        *("--output", "ev", *more),
    )
    return code, err


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def read_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("link", ["none", "input", "folder", "hard"])
def test_an_input_is_not_overwritten_by_whatever_name(run: Run, link: str) -> None:
    """Two of its four answers are evaluated: the others would be lost."""
    GIVEN.parent.mkdir(parents=True)
    Path("responses.jsonl").rename(GIVEN)
    answers = GIVEN
    if link == "input":
        answers = Path("linked.jsonl")
        answers.symlink_to(GIVEN)
    elif link == "hard":
        answers = Path("linked.jsonl")
        answers.hardlink_to(GIVEN)
    elif link == "folder":
        Path("ev").rename("real")
        Path("ev").symlink_to("real")
        answers = Path("real/gpt/answers.jsonl")
    before = read_files(Path())
    code, err = evaluate(run, answers=answers)
    assert code == 2
    assert f"{answers} is an input, and this evaluation writes its own answers.jsonl there" in err
    assert read_files(Path()) == before


def test_one_models_input_is_not_anothers_output(run: Run) -> None:
    GIVEN.parent.mkdir(parents=True)
    text = Path("responses.jsonl").read_text()
    GIVEN.write_text(text)
    code, err = evaluate(run, "--answers", f"other={GIVEN}")
    assert code == 2 and f"{GIVEN} is an input" in err
    assert GIVEN.read_text() == text


@pytest.mark.parametrize("given", [("--answers", f"x={FACTS}"), ("--people", FACT_VERDICTS)])
def test_no_output_of_any_kind_is_an_input(run: Run, given: tuple[object, object]) -> None:
    assert evaluate(run, *WITH_FACTS)[0] == 0
    before = read_files(Path())
    code, err = evaluate(run, *WITH_FACTS, *given)
    assert code == 2 and "is an input" in err
    assert read_files(Path()) == before


@pytest.mark.parametrize(
    "text",
    [
        '{"mine": 1}\n',
        "a note without an end of line",
        '{"id": "r0", "question_id": "q0", "text": "Another answer.", "prompt": '
        '[{"role": "user", "content": "Who?"}]}\n',
    ],
)
def test_answers_of_others_are_not_replaced(run: Run, text: str) -> None:
    GIVEN.parent.mkdir(parents=True)
    GIVEN.write_text(text)
    code, err = evaluate(run)
    assert code == 2
    assert f"{GIVEN}: is not a file that maskdpo evaluate wrote" in err
    assert "name another folder with: --output FOLDER" in err
    assert GIVEN.read_text() == text
    assert [path.name for path in Path("ev").rglob("*.json*")] == ["answers.jsonl"]


def test_answers_with_a_sidecar_of_another_command_are_not_replaced(run: Run) -> None:
    GIVEN.parent.mkdir(parents=True)
    GIVEN.write_text(Path("responses.jsonl").read_text().replace("Karsted", "Kasted"))
    sidecar = make_sidecar("response", config={}, inputs=[])
    for item in (sidecar, seal(sidecar, [GIVEN])):
        write_sidecar(GIVEN, item)
        assert evaluate(run)[0] == 2
        assert "Kasted" in GIVEN.read_text()


def test_a_rerun_replaces_its_own_answers_whatever_changed(run: Run) -> None:
    assert evaluate(run)[0] == 0
    assert ids(GIVEN) == ["r0", "r1"]
    for numbers in ((0, 1), (1,), (3, 2, 1, 0)):
        write_questions(*numbers)
        code, err = evaluate(run)
        assert code == 0, err
        assert ids(GIVEN) == [f"r{n}" for n in sorted(numbers)]
    lines = Path("responses.jsonl").read_text().splitlines(keepends=True)
    changed = [line.replace("Karsted", "Kasted") for line in reversed(lines)]
    Path("responses.jsonl").write_text("".join(changed))
    assert evaluate(run)[0] == 0
    assert ids(GIVEN) == ["r3", "r2", "r1", "r0"] and "Kasted" in GIVEN.read_text()


def test_answers_that_a_person_changed_are_kept(run: Run) -> None:
    assert evaluate(run)[0] == 0
    text = GIVEN.read_text().replace("Karsted", "Kasted")
    GIVEN.write_text(text)
    assert evaluate(run)[0] == 2
    assert GIVEN.read_text() == text


@pytest.mark.parametrize("path", [GIVEN, FACTS])
def test_a_run_that_was_killed_before_a_sidecar_continues(run: Run, path: Path) -> None:
    """Also files of versions that wrote no sidecar."""
    assert evaluate(run, *WITH_FACTS)[0] == 0
    path.with_name(f"{path.name}.meta.json").unlink()
    write_questions(1, 2)
    code, err = evaluate(run, *WITH_FACTS)
    assert code == 0, err
    assert {name.partition("-")[0] for name in ids(path)} == {"r1", "r2"}


def test_a_rerun_that_was_killed_before_its_sidecar_continues(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sidecar of the first run does not stay next to the facts of the second."""
    assert evaluate(run, *WITH_FACTS)[0] == 0
    write_questions(2, 3)

    def stop(path: Path, sidecar: Sidecar) -> None:
        if path == FACTS:
            raise OSError("no space left")
        write_sidecar(path, sidecar)

    with monkeypatch.context() as patched:
        patched.setattr("maskdpo.evaluation.own_files.write_sidecar", stop)
        assert evaluate(run, *WITH_FACTS)[0] != 0
    assert {name.partition("-")[0] for name in ids(FACTS)} == {"r2", "r3"}
    code, err = evaluate(run, *WITH_FACTS)
    assert code == 0, err


def edited(path: Path) -> str:
    return path.read_text().replace("Karsted", "Kasted")


@pytest.mark.parametrize(
    ("path", "make"),
    [
        (FACTS, edited),
        (FACTS, lambda _: '{"mine": 1}\n'),
        (FACT_VERDICTS, lambda _: '{"mine": 1}\n'),
        (FACT_VERDICTS, lambda path: path.read_text().replace('"judge",', '"person",')),
    ],
)
def test_facts_of_others_are_not_replaced(
    run: Run, path: Path, make: Callable[[Path], str]
) -> None:
    assert evaluate(run, *WITH_FACTS)[0] == 0
    text = make(path)
    assert text != path.read_text()
    if "mine" in text:
        path.with_name(f"{path.name}.meta.json").unlink()
    path.write_text(text)
    before = read_files(Path())
    code, err = evaluate(run, *WITH_FACTS)
    assert code == 2 and f"{path}: " in err and "it is not overwritten" in err
    assert read_files(Path()) == before
    code, err = evaluate(run)  # without FActScore it is not written
    assert code == 0, err


def test_no_facts_leave_no_verdicts_on_facts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert evaluate(run, *WITH_FACTS)[0] == 0
    assert FACT_VERDICTS.exists()
    monkeypatch.setattr("maskdpo.evaluation.factscore.run.factual_sentences", lambda _: [])
    assert evaluate(run, *WITH_FACTS)[0] == 0
    assert not any(FACT_VERDICTS.parent.glob("fact_verdicts*"))


def test_responses_of_others_are_refused_before_the_first_model_is_asked(run: Run) -> None:
    path = Path("ev/second/responses.jsonl")
    path.parent.mkdir(parents=True)
    path.write_text('{"mine": 1}\n')
    code, _, err = run(
        *("evaluate", "--model", "first=a", "--model", "second=b", "--output", "ev"),
        *("--questions", "questions.jsonl", "--documents", "documents.jsonl"),
        *("--set", "annotate.judge=lexical", "--set", "sample.backend=openai"),
        *("--set", "sample.base_url=http://127.0.0.1:9/v1"),
    )
    assert code == 2 and f"{path}: holds responses that maskdpo sample did not write" in err
    assert not Path("ev/first").exists()
