"""`evaluate --people`: what counts as reviewed, what is listed, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import make_run
from evaluation_support import BAD, EMPTY, GOOD, OPEN, annotation
from judge_server import ScriptedJudge
from judge_support import make_world
from sample_server import ChatServer, completion

from maskdpo.evaluation.people.powered import Unit, estimate_mean
from maskdpo.evaluation.people.reviewed import read_people
from maskdpo.evaluation.people.scores import powered_scores
from schemas.files.jsonl import read_records, write_records
from schemas.labels import Label
from schemas.records import Annotation, Verdict
from schemas.reviews import Review, make_review, text_sha256

WHEN = "2026-01-31T12:00Z"


def review(row: Annotation, place: int, label: Label, **changed: Any) -> Review:
    """A person's label of one sentence."""
    sentence = row.sentences[place]
    values: dict[str, Any] = {
        "response_id": row.id,
        "text_sha256": text_sha256(row.text),
        "start": sentence.start,
        "end": sentence.end,
        "spans": [{"start": sentence.start, "end": sentence.end, "label": label}],
        "who": "ann",
        "when": WHEN,
    }
    return make_review(**(values | changed))


def reviews_of(row: Annotation, labels: Sequence[Label]) -> list[Review]:
    return [review(row, place, label) for place, label in enumerate(labels)]


def told_apart(row: Annotation, word: str) -> Annotation:
    """The answer with another text of the same length, as of another model."""
    return row.model_copy(update={"text": row.text.replace("Aa.", word)})


def write(path: Path, rows: Sequence[Any]) -> Path:
    write_records(path, rows)
    return path


def topics_of(answers: dict[str, list[Annotation]]) -> dict[str, str]:
    return {row.question_id: row.topic for rows in answers.values() for row in rows}


def test_only_answers_that_people_decided_wholly_count(tmp_path: Path) -> None:
    rows = [
        annotation("q1", 0, [GOOD, BAD]),
        annotation("q2", 0, [GOOD, EMPTY]),
        annotation("q3", 0, [GOOD, OPEN]),
        annotation("q4", 0, [GOOD, BAD]),
        annotation("q5", 0, [GOOD]),
    ]
    path = write(
        tmp_path / "reviews.jsonl",
        [
            *reviews_of(rows[0], [BAD, BAD]),
            review(rows[1], 0, GOOD),  # nobody looked at the sentence without a fact
            *reviews_of(rows[2], [GOOD, Label.UNDETERMINED]),  # a person cannot tell
            *reviews_of(rows[3], [GOOD, GOOD]),
            review(rows[3], 1, BAD, who="ben"),  # people disagree
            review(rows[4], 0, GOOD, action="skip", spans=[]),
        ],
    )
    labels = read_people([path], {"m": rows})
    assert set(labels.scores["m"]) == {0, 2}
    assert labels.scores["m"][0].num_hallucinated == 2
    assert labels.scores["m"][2].score == 1.0
    assert list(labels.partly["m"]) == [1, 3]
    assert (labels.num_conflicts, list(labels.unused)) == (1, [])


def test_reviews_of_other_answers_and_texts_are_listed_with_file_and_line(tmp_path: Path) -> None:
    row = annotation("q1", 0, [GOOD])
    path = write(
        tmp_path / "reviews.jsonl",
        [
            review(row, 0, BAD),
            review(row, 0, BAD, response_id="elsewhere-0"),
            review(row, 0, BAD, text_sha256="0" * 64),
            review(row, 0, BAD, when="yesterday"),
            review(row, 0, GOOD, start=1, action="agree", spans=[]),
        ],
    )
    labels = read_people([path], {"m": [row]})
    assert [(item.path, item.line, item.reason) for item in labels.unused] == [
        (path, 2, "not_evaluated"),
        (path, 3, "other_text"),
        (path, 4, "bad_time"),
        (path, 5, "no_such_sentence"),
    ]
    found = powered_scores([path], {"m": [row]}, topics_of({"m": [row]}))
    assert [item["line"] for item in found["unused"]] == [2, 3, 4, 5]
    assert found["unused"][0]["file"] == f"{tmp_path.name}/reviews.jsonl"
    assert (
        f"{tmp_path.name}/reviews.jsonl:2: response 'elsewhere-0' is not among"
        in found["notes"][-1]
    )


def test_models_share_ids_and_equal_answers_share_reviews(tmp_path: Path) -> None:
    first = annotation("q1", 0, [GOOD])
    second = told_apart(first, "Bb.")  # the same id, of another model
    third = first.model_copy(update={"id": "q1-7"})  # another id, the same text
    path = write(tmp_path / "reviews.jsonl", [review(first, 0, BAD), review(second, 0, GOOD)])
    labels = read_people([path, path], {"a": [first], "b": [second], "c": [third, third]})
    assert labels.scores["a"][0].num_hallucinated == 1
    assert labels.scores["b"][0].num_correct == 1
    assert [item.num_hallucinated for item in labels.scores["c"].values()] == [1, 1]
    assert list(labels.unused) == []


def test_annotations_of_people_are_labels_whatever_their_sentences(tmp_path: Path) -> None:
    row = annotation("q1", 0, [GOOD, GOOD])
    whole = row.sentences[0].model_copy(
        update={"end": row.sentences[1].end, "verdict": Verdict(label=BAD, source="person")}
    )
    by_person = row.model_copy(update={"sentences": [whole]})
    by_judge = annotation("q2", 0, [GOOD])
    path = write(tmp_path / "people.jsonl", [by_person, by_judge])
    labels = read_people([path], {"m": [row, by_judge]})
    assert labels.scores["m"][0].num_hallucinated == 1
    assert [(item.line, item.reason) for item in labels.unused] == [(2, "not_a_person")]


def test_the_estimate_of_a_model_and_of_a_difference(tmp_path: Path) -> None:
    """Six topics; the judge calls all of it correct in model a, and people half of it."""
    names = [f"q{place}" for place in range(6)]
    answers = {
        "a": [annotation(name, 0, [GOOD, GOOD]) for name in names],
        "b": [told_apart(annotation(name, 0, [GOOD, BAD]), "Bb.") for name in names],
    }
    path = write(
        tmp_path / "reviews.jsonl",
        [
            item
            for name in ("a", "b")
            for row in answers[name][:3]
            for item in reviews_of(row, [GOOD, BAD])
        ],
    )
    found = powered_scores([path], answers, topics_of(answers))
    a, b = found["models"]["a"], found["models"]["b"]
    assert (a["score"], a["people_score"], a["lambda"]) == (0.5, 0.5, 0.0)  # the judge is constant
    assert (a["num_questions"], a["num_reviewed_questions"], a["num_reviewed"]) == (6, 3, 3)
    assert b["score"] == 0.5
    (pair,) = found["pairs"]
    assert (pair["model"], pair["compared_with"], pair["difference"]) == ("b", "a", 0.0)
    assert (pair["low"], pair["high"], pair["p"]) == (0.0, 0.0, 1.0)


def test_questions_without_a_fact_for_people_and_unanswered_ones_are_counted(
    tmp_path: Path,
) -> None:
    answers = {
        "a": [
            annotation("q1", 0, [GOOD]),
            annotation("q2", 0, [GOOD]),
            annotation("q3", 0, [GOOD]),
        ],
        "b": [
            told_apart(annotation(f"q{n}", 0, [BAD if n < 3 else EMPTY]), "Bb.") for n in (1, 2, 3)
        ],
    }
    path = write(
        tmp_path / "reviews.jsonl",
        [review(answers["a"][0], 0, EMPTY), review(answers["a"][2], 0, GOOD)],
    )
    found = powered_scores([path], answers, topics_of(answers))
    a = found["models"]["a"]
    assert a["num_reviewed_without_fact"] == 1
    assert a["num_reviewed_of_other_questions"] == 1
    assert a["num_questions"] == 1  # q1 has no fact for people, and b did not answer q3
    assert a["score"] is None and "no answer is reviewed" in a["note"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_one_topic_and_all_reviewed_are_explained(tmp_path: Path) -> None:
    rows = [annotation(f"q{n}", 0, [GOOD]) for n in range(3)]
    path = write(tmp_path / "one.jsonl", [review(rows[0], 0, BAD)])
    one = powered_scores([path], {"m": rows}, topics_of({"m": rows}))["models"]["m"]
    assert (one["score"], one["low"]) == (0.0, None) and "of one topic" in one["note"]
    path = write(tmp_path / "all.jsonl", [review(row, 0, BAD) for row in rows])
    whole = powered_scores([path], {"m": rows}, topics_of({"m": rows}))["models"]["m"]
    assert whole["score"] == whole["people_score"] == 0.0
    assert (whole["low"], whole["high"]) == (whole["people_low"], whole["people_high"])
    assert "every answer is reviewed: this is people's own mean" in whole["note"]


@pytest.mark.parametrize("num_whole", [0, 11, 12])
def test_a_review_of_each_question_is_not_one_of_every_answer(
    tmp_path: Path, num_whole: int
) -> None:
    """Two answers to each of 12 questions; both are reviewed for the first questions only."""
    rows = [
        told_apart(annotation(f"q{n:02}", k, [GOOD, BAD if n % 3 and k else GOOD]), f"{n:02}{k}")
        for n in range(12)
        for k in (0, 1)
    ]
    given = [row for row in rows if row.id.endswith("-1") or int(row.id[1:3]) < num_whole]
    labels = [[GOOD, BAD if row.id[1:3] in ("01", "05") else GOOD] for row in given]
    path = write(
        tmp_path / "reviews.jsonl",
        [item for row, of in zip(given, labels, strict=True) for item in reviews_of(row, of)],
    )
    found = powered_scores([path], {"m": rows}, topics_of({"m": rows}))
    model = found["models"]["m"]
    assert (model["num_questions"], model["num_reviewed_questions"]) == (12, 12)
    assert bool(model["note"]) == bool(found["notes"]) == (num_whole == 12)
    if num_whole != 11:  # there the rest of one question moves nothing
        assert (model["score"] == model["people_score"]) == (num_whole == 12)


def test_of_several_responses_the_judge_is_corrected_on_the_reviewed_ones(tmp_path: Path) -> None:
    rows = [
        annotation(f"q{n}", k, [GOOD, BAD] if k else [GOOD, GOOD]) for n in range(4) for k in (0, 1)
    ]
    rows = [told_apart(row, f"{row.id[-1]}a.") for row in rows]
    checked = [row for row in rows if row.id.endswith("-1") and row.question_id != "q3"]
    path = write(
        tmp_path / "reviews.jsonl",
        [item for row in checked for item in reviews_of(row, [GOOD, BAD])],
    )
    found = powered_scores([path], {"m": rows}, topics_of({"m": rows}))["models"]["m"]
    assert found["num_reviewed"] == found["num_reviewed_questions"] == 3
    assert found["people_score"] == 0.5
    assert found["score"] == 0.5  # a judge with the same score everywhere corrects nothing


def test_the_judge_is_corrected_by_its_score_of_the_reviewed_responses(tmp_path: Path) -> None:
    """Each first response is all correct for the judge; only the second ones are reviewed."""
    seconds = [[GOOD, GOOD], [GOOD, BAD], [BAD, BAD], [GOOD, BAD], [BAD, BAD], [GOOD, GOOD]]
    rows = [
        told_apart(annotation(f"q{n}", k, labels if k else [GOOD, GOOD]), f"{k}a.")
        for n, labels in enumerate(seconds)
        for k in (0, 1)
    ]
    by_people = [[GOOD, BAD], [BAD, BAD], [BAD, BAD], [GOOD, BAD]]
    path = write(
        tmp_path / "reviews.jsonl",
        [
            item
            for row, labels in zip(rows[1::2], by_people, strict=False)
            for item in reviews_of(row, labels)
        ],
    )
    groups = {f"q{n}": f"q{n}" for n in range(6)}
    people, checked = (0.5, 0.0, 0.0, 0.5, None, None), (1.0, 0.5, 0.0, 0.5, None, None)
    units = {
        f"q{n}": Unit(judge=judge, people=people[n], checked=checked[n])
        for n, judge in enumerate((1.0, 0.75, 0.5, 0.75, 0.5, 1.0))
    }
    found = powered_scores([path], {"m": rows}, topics_of({"m": rows}))["models"]["m"]
    expected = estimate_mean(units, groups)
    assert found["lambda"] == pytest.approx(expected.power) and found["lambda"] > 0.1
    assert found["score"] == pytest.approx(expected.value)


def test_a_difference_is_the_later_model_minus_the_earlier(tmp_path: Path) -> None:
    answers = {
        "a": [annotation(f"q{n}", 0, [GOOD, BAD]) for n in range(4)],
        "b": [told_apart(annotation(f"q{n}", 0, [GOOD, BAD]), "Bb.") for n in range(4)],
    }
    labels = {"a": [BAD, BAD], "b": [GOOD, BAD]}
    path = write(
        tmp_path / "reviews.jsonl",
        [
            item
            for name in answers
            for row in answers[name]
            for item in reviews_of(row, labels[name])
        ],
    )
    (pair,) = powered_scores([path], answers, topics_of(answers))["pairs"]
    assert (pair["model"], pair["compared_with"], pair["difference"]) == ("b", "a", 0.5)


def test_the_command_prints_and_draws_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run(monkeypatch, capsys)
    rows = [annotation(f"q{n}", 0, [GOOD if n % 3 else BAD, GOOD]) for n in range(12)]
    write(Path("a.jsonl"), rows)
    write(Path("b.jsonl"), [told_apart(row, "Bb.") for row in rows])
    reviews = [item for row in rows[:6] for item in reviews_of(row, [GOOD, BAD])]
    write(Path("reviews.jsonl"), [*reviews, review(rows[0], 0, BAD, response_id="other")])
    answers = ("--answers", "a=a.jsonl", "--answers", "b=b.jsonl")
    words = ("evaluate", *answers, "--people", "reviews.jsonl", "--output", "evaluation")
    code, out, err = run(*words)
    assert code == 0, err
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "with people" in out and "both reviewed" in out
    assert "b: no answer is reviewed" in out
    assert "reviews.jsonl:13: response 'other' is not among the evaluated answers" in " ".join(
        out.split()
    )
    scores = json.loads(Path("evaluation/scores.json").read_text(encoding="utf-8"))
    assert scores["people"]["models"]["a"]["people_score"] == 0.5
    page = Path("evaluation/report.html").read_text(encoding="utf-8")
    assert "Scores with people" in page and "no answer is reviewed" in page
    Path("reviews.jsonl").write_text("{}\n", encoding="utf-8")
    code, _, err = run(*words)
    assert code == 2 and "reviews.jsonl:1: " in err


def test_a_second_run_with_reviews_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sample and judge, review what was written, and evaluate again."""
    monkeypatch.chdir(tmp_path)
    run = make_run(monkeypatch, capsys)
    judge = ScriptedJudge(make_world(tmp_path, num_responses=4))
    rows = [json.loads(line) for line in Path("responses.jsonl").read_text().splitlines()]
    texts = {row["prompt"][0]["content"]: row["text"] for row in rows}
    questions = [
        {"id": row["question_id"], "messages": row["prompt"], "document_ids": row["document_ids"]}
        for row in rows
    ]
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))

    def answer(body: dict[str, Any]) -> Any:
        if body["model"] == "judge":
            return judge(body)
        return completion(texts[body["messages"][-1]["content"]])

    with ChatServer(answer) as server:
        url = server.base_url
        words = [
            *("evaluate", "--model", "a=a", "--questions", "questions.jsonl"),
            *("--documents", "documents.jsonl", "--output", "evaluation"),
            *("--set", "sample.backend=openai", "--set", f"sample.base_url={url}"),
            *("--set", "sample.num_responses=1", "--set", "annotate.judge=llm"),
            *("--set", "annotate.llm.model=judge", "--set", f"annotate.llm.base_url={url}"),
        ]
        code, _, err = run(*words)
        assert code == 0, err
        num_asked = len(server.asked)
        answers = read_records("evaluation/a/annotations.jsonl", Annotation)
        reviews = Path("evaluation/a/reviews.jsonl")
        places = [(row, place) for row in answers[:2] for place in range(len(row.sentences))]
        write(reviews, [review(row, place, GOOD) for row, place in places])
        code, _, err = run(*words, "--people", reviews)
        assert code == 0, err
        assert len(server.asked) == num_asked
    people = json.loads(Path("evaluation/scores.json").read_text(encoding="utf-8"))["people"]
    assert people["models"]["a"]["people_score"] == 1.0
    assert people["models"]["a"]["num_reviewed"] == 2
    assert people["unused"] == []
