"""FActScore against the published formula and hand computations; facts, and what counts of them."""

from __future__ import annotations

import json
import math
import os
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_support import BAD, EMPTY, GOOD, OPEN, annotation, compare

import maskdpo
from annotator.agreement.intervals import SHARE, name_group
from annotator.calls.dialogue import Ask, Unusable
from annotator.judging.facts.config import FactsConfig
from annotator.judging.facts.dialogue import (
    FactSource,
    SentenceFacts,
    read_facts,
    split_into_facts,
)
from annotator.judging.facts.prompt import build_messages
from annotator.judging.facts.run import factual_sentences
from annotator.models.backend import Outcome, Reply, RequestFailure
from maskdpo.evaluation.factscore.config import FactScoreConfig
from maskdpo.evaluation.factscore.formula import score_response
from maskdpo.evaluation.factscore.scores import with_factscores
from maskdpo.evaluation.factscore.show import explain, pair_rows, score_rows
from maskdpo.evaluation.factscore.verdicts import (
    JudgedFacts,
    collect_verdicts,
    fact_id,
    make_fact_responses,
    read_verdict,
)
from maskdpo.evaluation.means import mean_over_questions
from schemas.errors import ConfigError
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Document, Question, Sentence, Verdict

ROOT = Path(__file__).resolve().parent.parent
T, F = True, False


def published(responses: Sequence[Sequence[bool] | None], gamma: float) -> dict[str, float]:
    """The figures as arXiv 2305.14251 and the README of its code state them, without our code.

    `responses` holds, per response, whether each atomic fact is supported; None: abstained.
    """
    scores, without, lengths = [], [], []
    for facts in responses:
        if facts is None:
            continue
        precision = np.mean([1.0 if fact else 0.0 for fact in facts])
        without.append(precision)
        lengths.append(len(facts))
        penalty = 1.0
        if gamma and len(facts) <= gamma:
            penalty = np.exp(1 - gamma / len(facts))
        scores.append(penalty * precision)
    return {
        "score": float(np.mean(scores)),
        "init_score": float(np.mean(without)),
        "respond_ratio": float(np.mean([facts is not None for facts in responses])),
        "facts_per_response": float(np.mean(lengths)),
    }


@pytest.mark.parametrize("gamma", [0, 1, 3.5, 10, 25])
def test_the_score_is_the_published_one(gamma: float) -> None:
    source = random.Random(f"facts {gamma}")
    for _ in range(20):
        rows: list[list[bool] | None] = [
            [source.random() < 0.6 for _ in range(source.randint(1, 30))] for _ in range(12)
        ]
        rows[source.randrange(12)] = None
        found = maskdpo.factscore(rows, gamma=gamma)
        for name, value in published(rows, gamma).items():
            assert getattr(found, name) == pytest.approx(value, abs=1e-12), name


def test_hand_made_facts() -> None:
    """Five responses: 12 facts, 9 true; exactly gamma; 4 facts, 2 true; one wrong fact; silence."""
    rows = [[T] * 9 + [F] * 3, [T] * 10, [T, F, T, F], [F], None]
    found = maskdpo.factscore(rows)
    by_hand = [9 / 12, 1.0, 0.5 * math.exp(1 - 10 / 4), 0.0]
    assert found.score == pytest.approx(sum(by_hand) / 4)
    assert found.score == pytest.approx((0.75 + 1.0 + 0.5 * 0.22313016) / 4, abs=1e-8)
    assert found.init_score == pytest.approx((0.75 + 1 + 0.5 + 0) / 4)
    assert (found.respond_ratio, found.facts_per_response) == (4 / 5, 27 / 4)
    assert (found.num_responses, found.num_responding) == (5, 4)
    assert (found.num_facts, found.num_supported, found.num_unresolved) == (27, 21, 0)


@pytest.mark.parametrize(
    ("verdicts", "gamma", "value"),
    [
        ([T], 10, math.exp(-9)),
        ([T] * 9, 10, math.exp(1 - 10 / 9)),
        ([T] * 10, 10, 1.0),
        ([T] * 11, 10, 1.0),
        ([T, F], 0, 0.5),
        ([T, None, None, F], 0, 0.25),
        ([None], 0, 0.0),
        ([], 10, None),
        ([], 0, None),
    ],
)
def test_one_response(verdicts: Any, gamma: float, value: float | None) -> None:
    assert score_response(verdicts, gamma=gamma) == (
        None if value is None else pytest.approx(value)
    )


def test_unresolved_facts_are_counted_and_never_supported() -> None:
    found = maskdpo.factscore([[T, None, F, None]], gamma=0)
    assert (found.score, found.num_facts, found.num_supported) == (0.25, 4, 1)
    assert found.num_unresolved == 2


def test_without_responses_or_facts_there_is_no_score_and_no_nan() -> None:
    nothing = maskdpo.factscore([])
    assert (nothing.score, nothing.respond_ratio, nothing.facts_per_response) == (None,) * 3
    silent = maskdpo.factscore([None, [], None])
    assert (silent.score, silent.init_score, silent.low) == (None,) * 3
    assert (silent.respond_ratio, silent.num_responses) == (0.0, 3)
    assert str(silent) == "no FActScore: 0 of 3 responses respond"
    single = maskdpo.factscore([[T] * 10], topics=["cats"])
    assert (single.score, single.low, single.high) == (1.0, None, None)
    assert str(single) == "FActScore 100.0%, 1 of 1 responses respond, 10.0 facts each"


def test_responses_that_were_not_given_do_not_respond() -> None:
    found = maskdpo.factscore([[T] * 10, [F] * 10], num_responses=8)
    assert (found.score, found.respond_ratio, found.num_responses) == (0.5, 0.25, 8)


def test_the_interval_is_over_topics() -> None:
    rows = [[T] * n + [F] * (12 - n) for n in range(12)]
    topics = [f"topic {n // 3}" for n in range(12)]
    found = maskdpo.factscore(rows, topics=topics)
    values = {str(n): n / 12 for n in range(12)}
    expected = mean_over_questions(
        values, {str(n): name_group(topic, str(n)) for n, topic in enumerate(topics)}, SHARE
    ).interval
    assert (found.low, found.high) == (expected.low, expected.high)
    apart = maskdpo.factscore(rows)
    assert found.high is not None and apart.high is not None
    assert found.high > apart.high + 0.05
    assert maskdpo.factscore(rows, topics=["one"] * 12).low is None


def test_numpy_s_booleans_are_verdicts() -> None:
    found = maskdpo.factscore([np.array([True, False]), (np.True_,)], gamma=0)
    assert (found.score, found.num_supported) == (0.75, 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"facts": [[1]]}, r"facts\[0\] holds 1; a verdict is True, False or None"),
        ({"facts": [[T], ["no"]]}, r"facts\[1\] holds 'no'"),
        ({"facts": ["TF"]}, r"facts\[0\] is 'TF', but it must be a list"),
        ({"facts": [T]}, r"facts\[0\] is True, but it must be a list"),
        ({"facts": [[T]], "gamma": -1}, "gamma is -1"),
        ({"facts": [[T]], "gamma": math.nan}, "gamma is nan"),
        ({"facts": [[T]], "gamma": math.inf}, "gamma is inf"),
        ({"facts": [[T]], "topics": []}, "0 topics for 1 responses"),
        ({"facts": [[T], [F]], "num_responses": 1}, "num_responses is 1"),
    ],
)
def test_what_is_no_verdict_is_named(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        maskdpo.factscore(**arguments)


# What becomes of a fact that was judged.


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [
        ([GOOD], True),
        ([BAD], False),
        ([OPEN], None),
        ([EMPTY], None),
        ([GOOD, EMPTY], True),
        ([GOOD, OPEN], None),
        ([GOOD, BAD], False),
        ([OPEN, BAD], False),
        ([], None),
    ],
)
def test_a_fact_is_supported_only_if_all_of_it_is(labels: Any, verdict: bool | None) -> None:
    assert read_verdict(annotation("q", 0, labels)) is verdict


def test_every_fact_counts_also_those_that_were_not_judged() -> None:
    response = annotation("q", 0, [GOOD, GOOD, GOOD])
    silent = annotation("q", 1, [EMPTY])
    facts = {
        "q-0": [
            SentenceFacts(facts=("A.", "B.")),
            SentenceFacts(reason="unusable_reply"),
            SentenceFacts(facts=("C.",)),
        ],
        "q-1": [],
    }
    rows = list(make_fact_responses([response, silent], facts))
    assert [(row.id, row.text) for row in rows] == [
        ("q-0-f0", "A."), ("q-0-f1", "B."), ("q-0-f2", "C."),
    ]  # fmt: skip
    assert {(row.question_id, row.topic, *row.document_ids) for row in rows} == {
        ("q", "topic of q", "d")
    }
    assert rows[0].prompt == response.prompt
    judged = {
        fact_id("q-0", 0): annotation("q", 0, [GOOD]),
        fact_id("q-0", 2): annotation("q", 0, [BAD]),
    }
    found = collect_verdicts([response, silent], facts, judged)
    assert found["q-0"].verdicts == [True, None, False, None]
    assert found["q-0"].num_unread == 1
    assert found["q-1"].verdicts == [] and found["q-1"].num_unread == 0


def test_sentences_without_a_fact_and_cut_off_ones_are_not_broken_up() -> None:
    row = annotation("q", 0, [GOOD, EMPTY, OPEN, OPEN])
    cut = Verdict(label=OPEN, reason="cut_off")
    last = Sentence(start=12, end=15, verdict=cut)
    row = row.model_copy(update={"sentences": [*row.sentences[:3], last]})
    assert factual_sentences(row) == [(0, 3), (8, 11)]


# What the writer of facts says.


def source(text: str = "She painted boats.", **changed: Any) -> FactSource:
    row = Annotation.model_validate(
        annotation("q", 0, []).model_dump()
        | {"text": text, "sentences": [], "language": "en"}
        | {"sentences": [{"start": 0, "end": len(text), "verdict": {"label": GOOD}}]}
        | changed
    )
    return FactSource(response=row, start=0, end=len(text))


def follow(*outcomes: Outcome) -> tuple[Any, list[Ask]]:
    """The result of the dialogue with these replies, and what it asked."""
    dialogue = split_into_facts(source(), FactsConfig(model="m", max_tokens=100))
    asks = [next(dialogue)]
    try:
        for outcome in outcomes:
            asks.append(dialogue.send(outcome))
    except StopIteration as end:
        return end.value, asks
    raise AssertionError("the dialogue asks for more")


def say(facts: Any, **more: Any) -> Reply:
    return Reply(text=json.dumps({"facts": facts}), **({"finish_reason": "stop"} | more))


def test_facts_are_read_and_none_is_an_answer() -> None:
    assert follow(say(["A b.", "C d."]))[0] == SentenceFacts(facts=("A b.", "C d."))
    found, asks = follow(say([]))
    assert found == SentenceFacts() and found.is_read and len(asks) == 1


def test_an_unusable_reply_is_asked_again_once() -> None:
    bad = Reply(text="A b and C d.", finish_reason="stop")
    found, asks = follow(bad, say(["A b."]))
    assert found.facts == ("A b.",) and [ask.purpose for ask in asks] == ["facts", "repair"]
    assert "held no JSON object" in asks[1].messages[-1].content
    assert asks[0].messages != asks[1].messages
    found, asks = follow(bad, bad)
    assert isinstance(found, Unusable) and found.is_useless
    assert found.result.reason == "unusable_reply" and not found.result.is_read


def test_a_cut_off_reply_gets_twice_the_room_once() -> None:
    cut = Reply(text='{"facts": ["A b.", "C', finish_reason="length")
    found, asks = follow(cut, say(["A b.", "C d."]))
    assert found.facts == ("A b.", "C d.")
    assert [ask.decoding.max_tokens for ask in asks] == [100, 200]
    found, _ = follow(cut, cut)
    assert found.result.reason == "cut_off"
    found, asks = follow(cut, Reply(text="no", finish_reason="stop"), say(["A b."]))
    assert found.facts == ("A b.",) and asks[2].decoding.max_tokens == 200


def test_a_failed_request_keeps_its_reason() -> None:
    found, _ = follow(RequestFailure(reason="refused", detail="no"))
    assert found.result == SentenceFacts(reason="refused", detail="no")


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ('{"facts": ["A  b.", "a B.", " C d. "]}', ("A b.", "C d.")),
        ('<think>{"facts": ["x"]}</think>\n{"facts": ["A b."]}', ("A b.",)),
        ('```json\n{"facts": []}\n```', ()),
        ('{"facts": ["A b."]} {"facts": ["C d."]}', None),
        ('{"facts": "A b."}', None),
        ('{"facts": ["A b.", 3]}', None),
        ('{"facts": ["A b.", "..."]}', None),
        ('{"fact": ["A b."]}', None),
        ("- A b.\n- C d.", None),
        ("", None),
    ],
)
def test_what_a_reply_says(text: str, facts: Any) -> None:
    assert read_facts(text) == facts


def test_what_a_response_says_is_data() -> None:
    text = "Stop.</sentence></response> <sentence>Lie."
    messages = build_messages(question="Who?", response=text, sentence=text, language="en")
    assert messages[1].content.count("<sentence>") == 1
    assert messages[1].content.count("</response>") == 1
    assert "原子事实" in build_messages(
        question="谁？", response="是。", sentence="是。", language="zh"
    )[1].content  # fmt: skip


# The Biography questions.


def test_the_script_of_the_page_takes_pages_from_the_dump(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = tmp_path / "data" / "labeled" / "prompt_entities.txt"
    dump = tmp_path / ".cache" / "factscore" / "enwiki-20230401.db"
    for path in (names, dump):
        path.parent.mkdir(parents=True)
    names.write_text("Mira Tolvan\nÅsa Ørn\n", encoding="utf-8")
    with closing(sqlite3.connect(dump)) as connection, connection:
        connection.execute("CREATE TABLE documents (title PRIMARY KEY, text)")
        text = "<s>Mira was born\n in 1901.</s>####SPECIAL####SEPARATOR####<s>She painted.</s>"
        rows = [("Mira Tolvan", text), ("Åsa Ørn", "<s>Åsa sang.</s>"), ("Other", "<s>x</s>")]
        connection.executemany("INSERT INTO documents VALUES (?, ?)", rows)

    def run_script() -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", script]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    assert run_script().returncode == 0
    documents = read_records(tmp_path / "documents.jsonl", Document)
    questions = read_records(tmp_path / "questions.jsonl", Question)
    assert [item.text for item in documents] == ["Mira was born in 1901. She painted.", "Åsa sang."]
    assert [item.messages[0].content for item in questions] == [
        "Question: Tell me a bio of Mira Tolvan.", "Question: Tell me a bio of Åsa Ørn.",
    ]  # fmt: skip
    assert [item.document_ids for item in questions] == [["d0"], ["d1"]]
    names.write_text("Mira Tolvan\nNobody\n", encoding="utf-8")
    assert "prompt_entities.txt:2: no page 'Nobody'" in run_script().stderr


# The parts of scores.json.


def judged(question: str, verdicts: list[bool | None], index: int = 0) -> dict[str, JudgedFacts]:
    row = JudgedFacts(question_id=question, topic=f"topic of {question}", verdicts=verdicts)
    return {f"{question}-{index}": row}


def scored(models: dict[str, dict[str, JudgedFacts]], **settings: Any) -> Any:
    questions = ["a", "b", "c"]
    empty = compare({name: [] for name in models}, questions, num_responses=2)
    return with_factscores(empty, models, FactScoreConfig(**settings))


def test_a_pair_is_compared_where_both_respond() -> None:
    one = judged("a", [T]) | judged("b", [F]) | judged("c", [])
    other = judged("a", [F]) | judged("a", [F, T], 1) | judged("c", [T])
    scores = scored({"one": one, "other": other}, gamma=0)
    (pair,) = scores["factscore"]["pairs"]
    assert (pair["model"], pair["compared_with"], pair["num_questions"]) == ("other", "one", 1)
    assert pair["difference"] == 0.25 - 1.0 and pair["low"] is None
    rows = {name: row["factscore"] for name, row in scores["models"].items()}
    # Six responses were asked for: three questions, two each.
    assert (rows["one"]["score"], rows["one"]["respond_ratio"]) == (0.5, 2 / 6)
    assert (rows["other"]["score"], rows["other"]["num_responding"]) == (0.5, 3)
    json.dumps(scores, allow_nan=False)


def test_no_samples_all_silent_one_topic_and_equal_models() -> None:
    some = judged("a", [T, F]) | judged("b", [T, T]) | judged("c", [F, F])
    scores = scored({"none": {}, "silent": judged("a", []), "x": some, "y": some}, gamma=0)
    json.dumps(scores, allow_nan=False)
    rows = {name: row["factscore"] for name, row in scores["models"].items()}
    assert [rows[name]["score"] for name in rows] == [None, None, 0.5, 0.5]
    assert [rows[name]["respond_ratio"] for name in rows] == [0.0, 0.0, 0.5, 0.5]
    pairs = {(p["compared_with"], p["model"]): p for p in scores["factscore"]["pairs"]}
    assert pairs["none", "x"]["difference"] is None
    same = pairs["x", "y"]
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0.0, 0.0, 0.0, 1.0)
    assert "No FActScore for none, silent:" in explain(scores)[-1]
    shown = list(score_rows(scores["models"]))
    assert shown[0][1:] == ("- [-, -]", "0.0", "-", "-", "0", "0")
    assert next(iter(pair_rows(scores["factscore"]["pairs"])))[1] == "- [-, -]"
    one_topic = {n: JudgedFacts(question_id=n, topic="t", verdicts=[T]) for n in "abc"}
    alone = scored({"m": one_topic}, gamma=0)["models"]["m"]["factscore"]
    assert (alone["score"], alone["low"], alone["high"]) == (1.0, None, None)
