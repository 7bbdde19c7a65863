"""`evaluate --answers`: systems whose answers are in files, judged or labelled by people."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, make_run
from judge_support import make_world

SYSTEMS = ("org/alpha", "beta")
# Labels by system and question; None: people left the sentence without one.
LABELS: dict[str, dict[str, tuple[str | None, ...]]] = {
    "org/alpha": {
        "g1": ("factual", "hallucinated", "no_fact"),
        "g2": ("factual", "factual"),
        "g3": ("hallucinated", None),
        "g4": ("no_fact",),
    },
    "beta": {
        "g1": ("factual", "factual"),
        "g2": ("hallucinated", "factual", "factual", None),
        "g3": ("factual",),
        "g4": ("hallucinated",),
    },
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run(monkeypatch, capsys)


def labelled_rows() -> list[dict[str, Any]]:
    """Human labels of two systems' answers to the same questions, as people publish them."""
    rows = []
    for system, questions in LABELS.items():
        for group, labels in questions.items():
            rows.append(
                {
                    "id": f"{system}-{group}",
                    "source": "made up",
                    "language": "en",
                    "group": group,
                    "question": f"What is {group}?",
                    "documents": [{"id": f"d-{group}", "text": f"{group} is a group."}],
                    "response": " ".join("It is so." for _ in labels),
                    "generator": system,
                    "sentences": [
                        {"start": 10 * place, "end": 10 * place + 9, "label": label}
                        for place, label in enumerate(labels)
                    ],
                }
            )
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def imported(run: Run) -> None:
    write(Path("labels.jsonl"), labelled_rows())
    code, _, err = run(
        *("import", "labels.jsonl", "--output", "people.jsonl"),
        *("--documents-output", "documents.jsonl"),
    )
    assert code == 0, err


def scores_by_hand(rows: list[dict[str, Any]]) -> dict[str, float]:
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for row in rows:
        for sentence in row["sentences"]:
            tally = counts[row["generator"]][row["group"]]
            tally[0] += sentence["label"] == "factual"
            tally[1] += sentence["label"] == "hallucinated"
    shares = {
        system: {
            group: right / (right + wrong)
            for group, (right, wrong) in groups.items()
            if right + wrong
        }
        for system, groups in counts.items()
    }
    common = set.intersection(*map(set, shares.values()))
    return {
        system: sum(share[group] for group in common) / len(common)
        for system, share in shares.items()
    }


def test_systems_are_compared_through_peoples_labels_as_by_hand(run: Run) -> None:
    imported(run)
    code, out, err = run("evaluate", "--answers", "people.jsonl", "--output", "evaluation")
    assert code == 0, err
    scores = read(Path("evaluation/scores.json"))
    hand = scores_by_hand(labelled_rows())
    assert list(scores["models"]) == ["org-alpha", "beta"]
    found = {name: row["score"] for name, row in scores["models"].items()}
    assert found == pytest.approx({name.replace("/", "-"): hand[name] for name in SYSTEMS})
    assert found["org-alpha"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert scores["num_common_questions"] == 3
    assert scores["models"]["org-alpha"]["num_abstained"] == 1
    assert "calls made             │ 0" in err
    assert "beta is best" in out or "No model is clearly best" in out
    assert sorted(path.name for path in Path("evaluation").iterdir()) == [
        "report.html",
        "scores.json",
    ]


def test_responses_are_judged_and_a_name_makes_them_one_model(run: Run, tmp_path: Path) -> None:
    make_world(tmp_path, num_responses=3)
    code, _, err = run(
        *("evaluate", "--answers", "mine=responses.jsonl", "--documents", "documents.jsonl"),
        *("--output", "evaluation", "--set", "annotate.judge=lexical"),
    )
    assert code == 0, err
    scores = read(Path("evaluation/scores.json"))
    assert list(scores["models"]) == ["mine"]
    assert scores["models"]["mine"]["num_responses"] == 3
    before = Path("responses.jsonl").read_bytes()
    annotations = Path("evaluation/mine/annotations.jsonl").read_bytes()
    # Its verdicts count as they are, and no document is needed.
    Path("documents.jsonl").unlink()
    code, _, err = run(
        *("evaluate", "--answers", "mine=evaluation/mine/annotations.jsonl", "--output", "again")
    )
    assert code == 0, err
    assert read(Path("again/scores.json"))["models"]["mine"] == scores["models"]["mine"]
    assert Path("evaluation/mine/annotations.jsonl").read_bytes() == annotations
    assert Path("responses.jsonl").read_bytes() == before


def test_the_estimate_counts_the_judges_calls_on_answers(run: Run, tmp_path: Path) -> None:
    make_world(tmp_path, num_responses=3)
    imported(run)
    make_world(tmp_path, num_responses=3)  # again, as the import wrote its own documents
    code, out, err = run(
        *("evaluate", "--answers", "mine=responses.jsonl", "--answers", "people.jsonl"),
        *("--documents", "documents.jsonl", "--output", "evaluation", "--estimate"),
        *("--set", "annotate.judge=llm", "--set", "annotate.llm.model=judge"),
        *("--set", "annotate.llm.base_url=http://127.0.0.1:9/v1"),
        *("--set", "annotate.llm.protocol=sentence"),
    )
    assert code == 0, err
    assert out.startswith("calls to make: 12\n")  # of the answers without verdicts alone
    assert not Path("evaluation").exists()


def test_without_a_judge_for_them_responses_need_documents(run: Run, tmp_path: Path) -> None:
    make_world(tmp_path, num_responses=2)
    Path("documents.jsonl").unlink()
    code, _, err = run("evaluate", "--answers", "a=responses.jsonl", "--output", "evaluation")
    assert code == 2 and "documents.jsonl" in err
    assert not Path("evaluation").exists()


def test_answers_to_other_questions_are_reported(run: Run) -> None:
    imported(run)
    write(Path("q.jsonl"), [{"id": "g1", "topic": "g1", "question": "What is g1?"}])
    words = ("evaluate", "--answers", "people.jsonl", "--questions", "q.jsonl", "--output", "e")
    code, _, err = run(*words)
    assert code == 0, err
    assert (
        "3 answers of beta in people.jsonl are to questions that are not in q.jsonl (line 6" in err
    )
    assert read(Path("e/scores.json"))["num_questions"] == 1
    write(Path("q.jsonl"), [{"id": "other", "question": "What?"}])
    code, _, err = run(*words)
    assert code == 2 and "people.jsonl" in err and "is to a question of q.jsonl" in err


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        (
            {"model": ""},
            ["rows.jsonl"],
            "rows.jsonl:1: 'model' is '', so the answer is of no model",
        ),
        ({}, ["rows.jsonl", "rows.jsonl"], "the name 'org-alpha' is used twice"),
        ({"model": "beta"}, ["rows.jsonl"], ""),
        ({"model": "org.alpha"}, ["rows.jsonl"], "get the same name 'org-alpha'"),
        ({"topic": "moved"}, ["rows.jsonl"], "one question must have one topic"),
        ({"text": 3}, ["rows.jsonl"], "rows.jsonl:1: "),
        ({}, ["none.jsonl"], "none.jsonl"),
    ],
)
def test_a_faulty_file_is_named_with_its_line(
    run: Run, change: dict[str, Any], words: list[str], message: str
) -> None:
    imported(run)
    lines = Path("people.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    rows[0] |= change
    write(Path("rows.jsonl"), rows)
    options = [word for name in words for word in ("--answers", name)]
    code, _, err = run("evaluate", *options, "--output", "evaluation")
    assert (code == 0) == (not message), err
    assert message in err


def test_several_models_under_one_name_are_noted(run: Run) -> None:
    imported(run)
    code, _, err = run("evaluate", "--answers", "all=people.jsonl", "--output", "evaluation")
    assert code == 0
    assert (
        "holds answers of 2 models ('beta', 'org/alpha'), and all are taken as those of all" in err
    )
    assert read(Path("evaluation/scores.json"))["num_responses_per_question"] == 2


def test_files_may_be_named_in_the_run_config(run: Run) -> None:
    imported(run)
    Path("run.yaml").write_text("evaluate: {answers: [people.jsonl]}\n", encoding="utf-8")
    code, _, err = run("evaluate", "--config", "run.yaml", "--output", "evaluation")
    assert code == 0, err
    assert len(read(Path("evaluation/scores.json"))["models"]) == 2
    code, _, err = run("evaluate", "--output", "evaluation")
    assert code == 2 and "evaluate.models is missing" in err


def test_the_best_of_n_is_printed_on_request(run: Run) -> None:
    imported(run)
    words = ("evaluate", "--answers", "all=people.jsonl", "--output", "evaluation")
    code, out, _ = run(*words, "--set", "evaluate.best_of=true")
    assert code == 0 and "best of n n = 1 n = 2 no fact" in out
    assert "Expected score of the best of n" in Path("evaluation/report.html").read_text()
    code, out, _ = run(*words)
    assert code == 0 and "best of n" not in out
    code, out, _ = run(
        *(
            "evaluate",
            "--answers",
            "people.jsonl",
            "--output",
            "e",
            "--set",
            "evaluate.best_of=true",
        )
    )
    assert "there is one response per question" in out
