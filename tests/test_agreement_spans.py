"""`agreement` about the wrong words: figures by hand, what counts, soft labels, what is printed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, make_run
from hypothesis import given
from hypothesis import strategies as st

from annotator.agreement.gold_verdicts import JudgedResponse, JudgedSentence
from annotator.agreement.soft_labels import correlate, judge_values
from annotator.agreement.span_figures import (
    SpanAgreement,
    compute_span_figures,
    measure_spans,
    wrong_places,
)
from schemas.labels import Label
from schemas.records import Annotation, Sentence, Verdict

# Two sentences of ten characters: A is [0, 10), B is [11, 21).
TEXT = "a" * 9 + ". " + "b" * 9 + "."
PLACES = {"A": (0, 10), "B": (11, 21)}
Call = str | Sequence[tuple[int, int]]
Example = tuple[str, Call, Call, Call, Call]
RIGHT, OPEN = "right", "open"
WHOLE: Call = ()

# Ten examples: what people say of A and B, and what the judge says: right, open, or the wrong words
# (without any: the whole sentence). Below each: characters of both, of the judge, of people; the
# IoU; people and judge call the response hallucinated.
EXAMPLES: list[Example] = [
    ("g1", [(2, 6)], RIGHT, [(2, 6)], RIGHT),
    #   4, 4, 4      1       yes yes
    ("g1", [(2, 6)], RIGHT, [(4, 9)], RIGHT),
    #   2, 5, 4      2/7     yes yes
    ("g2", WHOLE, RIGHT, [(0, 5)], RIGHT),
    #   5, 5, 10     1/2     yes yes
    ("g2", [(0, 5)], RIGHT, WHOLE, RIGHT),
    #   5, 10, 5     1/2     yes yes
    ("g3", RIGHT, RIGHT, RIGHT, RIGHT),
    #   0, 0, 0      1       no no
    ("g3", RIGHT, RIGHT, RIGHT, [(11, 14)]),
    #   0, 3, 0      0       no yes
    ("g4", [(8, 13)], [(8, 13)], RIGHT, [(12, 15)]),  # the blank between A and B never counts
    #   1, 3, 4      1/6     yes yes
    ("g4", RIGHT, [(11, 21)], RIGHT, RIGHT),
    #   0, 0, 10     0       yes no
    ("g5", [(0, 3), (2, 5)], OPEN, [(3, 4), (1, 4)], [(11, 12)]),  # B has no label of people
    #   3, 3, 5      3/5     yes yes
    ("g5", [(0, 2)], WHOLE, RIGHT, OPEN),  # the judge leaves B open
    #   0, 0, 2      0       yes no
]
#      20, 33, 44    4.0524  8 of people, 7 of the judge, 6 of both
BY_HAND = {
    "char_precision": 20 / 33,
    "char_recall": 20 / 44,
    "char_f1": 40 / 77,
    "iou": (1 + 2 / 7 + 1 / 2 + 1 / 2 + 1 + 0 + 1 / 6 + 0 + 3 / 5 + 0) / 10,
    "example_precision": 6 / 7,
    "example_recall": 6 / 8,
    "example_f1": 12 / 15,
}
# The same judge without its words: 10 characters in each of its seven sentences.
WHOLE_BY_HAND = {
    "char_precision": 30 / 70,
    "char_recall": 30 / 44,
    "char_f1": 60 / 114,
    "iou": (4 / 10 + 4 / 10 + 1 + 5 / 10 + 1 + 0 + 2 / 12 + 0 + 5 / 10 + 0) / 10,
}


def verdict_of(call: Call, *, person: bool = False, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"source": "person", "judge": "news"} if person else {"judge": "llm"}
    values |= more
    if call == OPEN:
        return values | {"label": "undetermined", "reason": "not_labelled"}
    if call == RIGHT:
        return values | {"label": "no_hallucination"}
    assert not isinstance(call, str)
    spans = [{"start": start, "end": end} for start, end in call]
    return values | {"label": "hallucinated", "error_spans": spans}


def annotation(name: str, group: str, first: Call, second: Call, **more: Any) -> dict[str, Any]:
    verdicts = [verdict_of(first, **more), verdict_of(second, **more)]
    return {
        "id": name,
        "question_id": name,
        "topic": group,
        "document_ids": ["d"],
        "prompt": [{"role": "user", "content": "?"}],
        "text": TEXT,
        "sentences": [
            {"start": start, "end": end, "verdict": verdict}
            for (start, end), verdict in zip(PLACES.values(), verdicts, strict=True)
        ],
    }


def judged_sentences(examples: Sequence[Example], **of_people: Any) -> list[JudgedSentence]:
    """The sentences that people labelled, as `agreement` measures them."""
    found = []
    for number, (group, *calls) in enumerate(examples):
        gold = Annotation.model_validate_json(
            json.dumps(annotation(f"e{number}", group, *calls[:2], person=True, **of_people))
        )
        judge = Annotation.model_validate_json(
            json.dumps(annotation(f"e{number}", group, *calls[2:]))
        )
        found += [
            JudgedSentence(gold=gold, sentence=sentence, verdict=other.verdict)
            for sentence, other in zip(gold.sentences, judge.sentences, strict=True)
            if sentence.verdict.label is not Label.UNDETERMINED
        ]
    return found


def measure(examples: Sequence[Example]) -> SpanAgreement:
    found = measure_spans(judged_sentences(examples))
    assert found is not None
    return found


def values_of(found: SpanAgreement) -> dict[str, float | None]:
    return {name: figure.value for name, figure in found.figures.items()}


# By hand


def test_ten_examples_by_hand() -> None:
    found = measure(EXAMPLES)
    assert values_of(found) == pytest.approx(BY_HAND)
    assert found.num_characters == {"both": 20, "judge": 33, "people": 44}
    assert found.num_examples == {"both": 6, "judge": 7, "people": 8}
    assert (found.num_responses, found.num_sentences) == (10, 18)
    assert (found.num_hallucinated, found.num_with_spans) == (9, 8)
    assert (found.num_judged_hallucinated, found.num_judged_with_spans) == (7, 6)
    assert found.whole_sentences is not None and found.gain is not None
    whole = {name: figure.value for name, figure in found.whole_sentences.items()}
    assert whole == pytest.approx(WHOLE_BY_HAND)
    assert found.gain.difference == pytest.approx(40 / 77 - 60 / 114)
    assert found.gain.low is not None and found.gain.low < 40 / 77 - 60 / 114


def test_error_spans_of_a_right_sentence_do_not_count() -> None:
    verdict = Verdict.model_validate(
        {"label": Label.NO_HALLUCINATION, "error_spans": [{"start": 0, "end": 4}]}
    )
    assert wrong_places(Sentence(start=0, end=10, verdict=verdict)) == []


def test_marks_outside_their_sentence_leave_it_wrong_as_a_whole() -> None:
    """As for weights (`dataset_builder.weights.cut_sentence`): what is not in it marks no words."""
    found = measure(
        [("g", [(10, 11)], RIGHT, [(10, 11)], RIGHT), ("g", [(0, 4)], RIGHT, *[RIGHT] * 2)]
    )
    assert found.num_characters == {"both": 10, "judge": 10, "people": 14}
    assert (found.num_hallucinated, found.num_with_spans, found.num_judged_with_spans) == (2, 1, 0)
    assert found.whole_sentences is None


def test_a_judge_without_words_is_compared_with_nothing() -> None:
    examples: list[Example] = [(group, a, b, WHOLE, RIGHT) for group, a, b, _, _ in EXAMPLES]
    found = measure(examples)
    assert found.whole_sentences is None and found.gain is None
    assert found.to_dict()["whole_sentences"] is None


def test_people_who_marked_no_words_are_left_out() -> None:
    """Labels of sentences alone say nothing about words, whatever else is in the file."""
    words = judged_sentences(EXAMPLES)
    sentences = judged_sentences([("g9", WHOLE, RIGHT, WHOLE, RIGHT)], judge="sentences")
    assert measure_spans(sentences) is None
    assert measure_spans([*words, *sentences]) == measure_spans(words)


# What is not defined


@pytest.mark.parametrize(
    ("people", "judge", "expected"),
    [
        ([(0, 5)], RIGHT, (None, 0.0, 0.0, 0.0, None, 0.0, 0.0)),
        (RIGHT, [(0, 5)], (0.0, None, 0.0, 0.0, 0.0, None, 0.0)),
        (RIGHT, RIGHT, (None, None, None, 1.0, None, None, None)),
        (OPEN, RIGHT, (None,) * 7),
        ([(0, 5)], [(6, 8)], (0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)),
    ],
    ids=["judge-marks-nothing", "people-mark-nothing", "nobody", "no-response", "other-words"],
)
def test_what_is_not_defined_is_none(
    people: Call, judge: Call, expected: tuple[float | None, ...]
) -> None:
    """One response that counts; words that nobody compares show that people marked words."""
    rows: list[Example] = [("g1", people, OPEN, judge, OPEN), ("g2", OPEN, [(11, 12)], RIGHT, OPEN)]
    assert tuple(values_of(measure(rows)).values()) == expected


def test_an_interval_needs_two_groups_with_characters() -> None:
    """The judge's characters are all in one group, people's in two."""
    rows: list[Example] = [
        ("g1", [(0, 5)], RIGHT, [(0, 4)], RIGHT),
        ("g2", [(0, 5)], RIGHT, RIGHT, RIGHT),
        ("g3", RIGHT, RIGHT, RIGHT, RIGHT),
    ]
    found = measure(rows)
    assert found["char_precision"].low is None
    assert found["char_recall"].low is not None and found["iou"].low is not None


# Intervals


def test_intervals_are_over_groups_and_contain_the_figure() -> None:
    found = measure(EXAMPLES)
    for name, figure in found.figures.items():
        assert figure.low is not None and figure.high is not None, name
        assert figure.value is not None
        assert 0.0 <= figure.low <= figure.value <= figure.high <= 1.0
    copied = measure(EXAMPLES * 5)
    assert copied["char_f1"].low == pytest.approx(found["char_f1"].low)
    assert copied["iou"].high == pytest.approx(found["iou"].high)
    renamed = [(f"{copy}-{row[0]}", *row[1:]) for copy in range(5) for row in EXAMPLES]
    wider = measure(renamed)["char_f1"]
    assert wider.low is not None and found["char_f1"].low is not None
    assert wider.low > found["char_f1"].low
    assert measure(EXAMPLES[::-1]).figures == found.figures


MARKS = st.lists(
    st.tuples(st.integers(0, 21), st.integers(1, 21)).map(lambda pair: (min(pair), max(pair))),
    max_size=4,
).map(lambda spans: [span for span in spans if span[0] < span[1]])
CALLS = st.one_of(st.sampled_from([RIGHT, OPEN, WHOLE]), MARKS)


def characters(call: Call, place: tuple[int, int]) -> set[int]:
    if isinstance(call, str):
        return set()
    inside = set(range(*place))
    return {at for start, end in call for at in range(start, end)} & inside or inside


@given(st.lists(st.tuples(st.just("g"), CALLS, CALLS, CALLS, CALLS), min_size=1, max_size=5))
def test_counts_equal_sets_of_characters(
    examples: list[Example],
) -> None:
    both, judged, people, ious = 0, 0, 0, []
    for _, *calls in examples:
        marked: set[int] = set()
        found: set[int] = set()
        is_decided = False
        for place, mine, theirs in zip(PLACES.values(), calls[:2], calls[2:], strict=True):
            if OPEN not in (mine, theirs):
                is_decided = True
                marked |= characters(mine, place)
                found |= characters(theirs, place)
        if is_decided:
            both, judged, people = (
                both + len(marked & found),
                judged + len(found),
                people + len(marked),
            )
            ious.append(len(marked & found) / len(marked | found) if marked | found else 1.0)
    anchor = ("g", [(0, 1)], OPEN, OPEN, OPEN)  # people mark words, whatever the examples are
    values = measure([*examples, anchor])
    assert values.num_characters == {"both": both, "judge": judged, "people": people}
    assert values["iou"].value == (pytest.approx(np.mean(ious)) if ious else None)
    if judged and people:
        precision, recall = both / judged, both / people
        if both:
            harmonic = 2 * precision * recall / (precision + recall)
            assert values["char_f1"].value == pytest.approx(harmonic)


def test_iou_of_all_characters_would_be_f1_again() -> None:
    """Why `iou` is a mean over responses (the docstring of span_figures)."""
    f1 = float(compute_span_figures(np.array([20, 33, 44, 0, 1, 0, 0, 0]))["char_f1"])
    assert f1 / (2 - f1) == pytest.approx(20 / (33 + 44 - 20))


# Through the command


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(monkeypatch, capsys)


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """people.jsonl, judge.jsonl and whole.jsonl (the judge without its words)."""
    people, judge, whole = [], [], []
    for number, (group, *calls) in enumerate(EXAMPLES):
        name = f"e{number}"
        people.append(annotation(name, group, *calls[:2], person=True))
        judge.append(annotation(name, group, *calls[2:]))
        without = [call if call in (RIGHT, OPEN) else WHOLE for call in calls[2:]]
        whole.append(annotation(name, group, *without))
    write_lines(tmp_path / "people.jsonl", people)
    write_lines(tmp_path / "judge.jsonl", judge)
    write_lines(tmp_path / "whole.jsonl", whole)
    write_lines(tmp_path / "documents.jsonl", [{"id": "d", "text": "Some text."}])
    return tmp_path


def arguments_of(files: Path, *judges: str) -> list[object]:
    option = "--compare" if len(judges) == 2 else "--judge"
    named = [files / f"{name}.jsonl" for name in judges]
    documents = ("--documents", files / "documents.jsonl")
    return ["agreement", "--gold", files / "people.jsonl", *documents, option, *named]


def test_the_command_reports_the_ten_examples(run: Run, files: Path) -> None:
    code, out, err = run(*arguments_of(files, "judge"), "--json", "--output", files / "a.json")
    assert code == 0, err
    assert json.loads((files / "a.json").read_text()) == json.loads(out)
    values = json.loads(out)
    spans = values["spans"]
    assert {name: spans[name] for name in BY_HAND} == pytest.approx(BY_HAND)
    assert {name: spans["whole_sentences"][name] for name in WHOLE_BY_HAND} == pytest.approx(
        WHOLE_BY_HAND
    )
    assert spans["char_f1_low"] < spans["char_f1"] < spans["char_f1_high"]
    assert (spans["num_hallucinated"], spans["num_with_spans"]) == (9, 8)
    majority = values["baselines"]["majority"]["spans"]
    # It calls all 19 labelled sentences wrong: 190 characters, with all 54 that people mark.
    assert majority["char_f1"] == pytest.approx(2 * 54 / (190 + 54))
    assert majority["whole_sentences"] is None
    assert "soft_labels" not in values


def test_human_labels_with_spans_give_the_same_figures(run: Run, files: Path) -> None:
    given = ("export", files / "people.jsonl", "--documents", files / "documents.jsonl")
    labels = files / "labels.jsonl"
    code, _, err = run(*given, "--format", "human_labels", "--output", labels)
    assert code == 0, err
    assert '"spans": [{"start": 2, "end": 6, "label": null, "kind": ""}]' in labels.read_text()
    from_annotations = json.loads(run(*arguments_of(files, "judge"), "--json")[1])
    options = ("--judge", files / "judge.jsonl", "--json")
    found = json.loads(run("agreement", "--gold", labels, *options)[1])
    assert found["spans"] == from_annotations["spans"]


def test_the_terminal_and_the_page_show_words_and_sentences(run: Run, files: Path) -> None:
    page = files / "a.html"
    code, out, err = run(*arguments_of(files, "judge"), "--report", page)
    assert code == 0, err
    table = out[out.index("wrong words that people marked") :]
    rows = [line.split() for line in table.splitlines() if "[" in line]
    assert rows[1][0] == "llm"
    assert (rows[1][1], *rows[1][-4:]) == ("0.519", "0.606", "0.455", "0.405", "0.800")
    assert rows[2][:3] == ["whole", "sentences", "0.526"]
    assert rows[2][-4:] == ["0.429", "0.682", "0.397", "0.800"]
    assert max(map(len, out.splitlines())) <= 80
    text = " ".join(out.split())
    assert "llm decided 18 sentences of 10 responses; people marked words in 8 of 9" in text
    assert "marks words in 6 of 7 sentences that it calls hallucinated" in text
    html = page.read_text("utf-8")
    assert "18 sentences of 10 responses; people marked words in 8 of 9 hallucinated" in html
    assert "judge: llm, whole sentences</td>" in html
    assert "less F1 of whole sentences: -0.007" in html


def test_the_guide_shows_the_ten_examples(run: Run, files: Path) -> None:
    guide = (Path(__file__).parent.parent / "docs" / "agreement.md").read_text("utf-8")
    shown = guide.split("```\nwrong words that people marked", 1)[1].split("```", 1)[0]
    assert shown in run(*arguments_of(files, "judge"))[1]


def test_two_judges_are_compared_by_their_words(run: Run, files: Path) -> None:
    code, out, err = run(*arguments_of(files, "judge", "whole"), "--json")
    assert code == 0, err
    found = json.loads(out)["comparison"]["spans"]
    assert (found["first"], found["second"]) == pytest.approx((40 / 77, 60 / 114))
    swapped = json.loads(run(*arguments_of(files, "whole", "judge"), "--json")[1])
    mirrored = swapped["comparison"]["spans"]
    assert mirrored["difference"] == pytest.approx(-found["difference"])
    assert (mirrored["low"], mirrored["p"]) == pytest.approx((-found["high"], found["p"]))
    gain = json.loads(out)["spans"]["gain"]
    assert found == pytest.approx(gain)
    text = " ".join(run(*arguments_of(files, "judge", "whole"))[1].split())
    assert "Wrong words, F1 per character: A 0.519, B 0.526; A - B = -0.007" in text


def test_without_marked_words_nothing_is_added(run: Run, files: Path) -> None:
    rows = [json.loads(line) for line in (files / "people.jsonl").read_text().splitlines()]
    for row in rows:
        for sentence in row["sentences"]:
            sentence["verdict"].pop("error_spans", None)
    write_lines(files / "people.jsonl", rows)
    page = files / "a.html"
    code, out, _ = run(*arguments_of(files, "judge", "whole"), "--json", "--report", page)
    assert code == 0 and "spans" not in out and "soft_labels" not in out
    assert "Wrong words" not in page.read_text("utf-8")
    assert "wrong words" not in run(*arguments_of(files, "judge"))[1]


# Several people


def review(name: str, who: str, place: str, call: Call) -> dict[str, Any]:
    start, end = PLACES[place]
    verdict = verdict_of(call)
    span = {"start": start, "end": end, "label": verdict["label"]}
    return {
        "id": f"{name}-{who}-{place}",
        "response_id": name,
        "text_sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
        "start": start,
        "end": end,
        "action": "label",
        "spans": [span | {"error_spans": verdict.get("error_spans", [])}],
        "who": who,
        "when": "2026-01-31T12:00Z",
    }


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """Three responses that several people reviewed, and one that one person did."""
    judge = [
        annotation("r1", "g1", [(2, 4)], RIGHT, confidence=0.9, confidence_kind="votes"),
        annotation("r2", "g2", RIGHT, RIGHT),
        annotation("r3", "g3", WHOLE, RIGHT),
        annotation("r4", "g4", WHOLE, RIGHT),
    ]
    people = [
        review("r1", "Ann", "A", [(0, 4)]),
        review("r1", "Bo", "A", [(2, 6)]),
        review("r1", "Cy", "A", RIGHT),  # a conflict: no gold label, but a third of the soft one
        review("r1", "Dee", "A", OPEN),  # decides nothing
        review("r1", "Ann", "B", [(11, 12)]),  # of one person: does not count
        review("r2", "Ann", "A", RIGHT),
        review("r2", "Bo", "A", RIGHT),
        review("r3", "Ann", "A", RIGHT),  # the only reviewed sentence, and a conflict
        review("r3", "Bo", "A", [(0, 5)]),
        review("r4", "Ann", "A", WHOLE),
    ]
    write_lines(tmp_path / "annotations.jsonl", judge)
    write_lines(tmp_path / "reviews.jsonl", people)
    write_lines(tmp_path / "documents.jsonl", [{"id": "d", "text": "Some text."}])
    return tmp_path


def measure_reviews(run: Run, folder: Path, *more: object) -> str:
    code, out, err = run(
        "agreement",
        "--gold",
        folder / "reviews.jsonl",
        "--judge",
        folder / "annotations.jsonl",
        "--set",
        f"run.dir={folder}",
        *more,
    )
    assert code == 0, err
    return out


def test_soft_labels_by_hand(run: Run, reviewed: Path) -> None:
    """r1: people 1/3 1/3 2/3 2/3 1/3 1/3 0 0 0 0 (ranks 6.5, 9.5, 2.5), the judge 0.9 at the two
    of 2/3 and else 0 (ranks 9.5, 4.5). Less the mean rank 5.5, products add up to 40, squares to
    72 and 40. r2: both constant, both 0. r3: the judge is constant, people are not.
    """
    values = json.loads(measure_reviews(run, reviewed, "--json"))
    found = values["soft_labels"]
    assert found["correlation"] == pytest.approx((40 / (72 * 40) ** 0.5 + 1 + 0) / 3)
    assert (found["num_responses"], found["num_characters"]) == (3, 30)
    assert found["correlation_low"] < found["correlation"] < found["correlation_high"]
    assert values["num_responses"] == 3  # with a label that people agree on: not r3
    page = reviewed / "a.html"
    out = measure_reviews(run, reviewed, "--report", page)
    assert "correlation per character (Spearman) 0.582" in out
    html = page.read_text("utf-8")
    assert "several people, correlation per character (Spearman): 0.582<br>" in html
    assert "Mean over 3 responses with 30 characters that two or more people decided." in html


def test_the_judge_gives_its_confidence_to_the_words_it_marks() -> None:
    gold = Annotation.model_validate_json(
        json.dumps(annotation("r", "g", RIGHT, RIGHT, person=True))
    )
    sure = Verdict.model_validate_json(json.dumps(verdict_of([(2, 4)], confidence=0.6)))
    unknown = Verdict.model_validate_json(json.dumps(verdict_of([(12, 13)])))
    values = judge_values(JudgedResponse(gold=gold, verdicts=[sure, unknown]))
    expected = [0, 0, 0.6, 0.6, 0, 0, 0, 0, 0, 0, np.nan, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(values, expected)


def test_soft_labels_need_words(run: Run, reviewed: Path) -> None:
    rows = [json.loads(line) for line in (reviewed / "reviews.jsonl").read_text().splitlines()]
    for row in rows:
        row["spans"][0]["error_spans"] = []
    write_lines(reviewed / "reviews.jsonl", rows)
    out = measure_reviews(run, reviewed, "--json")
    assert "soft_labels" not in out and "spans" not in out


def test_a_judge_that_leaves_a_sentence_open_is_not_correlated(run: Run, reviewed: Path) -> None:
    rows = [json.loads(line) for line in (reviewed / "annotations.jsonl").read_text().splitlines()]
    rows[0]["sentences"][0]["verdict"] = verdict_of(OPEN)
    write_lines(reviewed / "annotations.jsonl", rows)
    found = json.loads(measure_reviews(run, reviewed, "--json"))["soft_labels"]
    assert (found["num_responses"], found["correlation"]) == (2, 0.5)
    for row in rows:
        row["sentences"][0]["verdict"] = verdict_of(OPEN)
    write_lines(reviewed / "annotations.jsonl", rows)
    found = json.loads(measure_reviews(run, reviewed, "--json"))["soft_labels"]
    assert (found["num_responses"], found["correlation"], found["correlation_low"]) == (
        0,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("people", "judge", "expected"),
    [
        ([0, 0, 0], [0, 0, 0], 1.0),
        ([1, 1, 1], [0.7, 0.7, 0.7], 1.0),
        ([0, 0, 0], [1, 1, 1], 0.0),
        ([0, 0.5, 1], [1, 1, 1], 0.0),
        ([0, 0, 0], [0, 1, 0], 0.0),
        ([0, 0.5, 1], [0, 0.2, 0.9], 1.0),
        ([0, 0.5, 1], [1, 0.5, 0], -1.0),
    ],
)
def test_correlation_without_variation(
    people: list[float], judge: list[float], expected: float
) -> None:
    found = correlate(np.array(people, dtype=float), np.array(judge, dtype=float))
    assert found == pytest.approx(expected)
