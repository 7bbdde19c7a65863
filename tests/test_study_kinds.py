"""The kinds of the lab: noise, masks, divergence and scores by hand, and all kinds end to end."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from maskdpo.study.divergence import mean_with_error, measure_divergence
from maskdpo.study.lab.masks import describe_masks, shuffle_masks
from maskdpo.study.lab.noise import add_noise
from maskdpo.study.lab.results import read_result
from maskdpo.study.lab.schedule import find_missing
from maskdpo.study.lab.score import ResponseRow, summarize
from maskdpo.study.lab.task import Result, Task
from maskdpo.study.lab.worker import do_task
from schemas.files.jsonl import read_records
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label
from schemas.records import Annotation, ErrorSpan, Message, Pair, Response, Sentence, Span, Verdict
from trainer.data import find_pair_files, read_pairs

TRUE, FALSE, EMPTY = Label.NO_HALLUCINATION, Label.CONTRADICTORY, Label.NO_FACT
PROMPT = [Message(role="user", content="Who?")]


# Noise.


def annotate(number: int, labels: list[Label]) -> Annotation:
    """Sentences of three characters each; a wrong one has an error span on its first character."""
    sentences = [
        Sentence(
            start=3 * place,
            end=3 * place + 3,
            verdict=Verdict(
                label=label,
                error_spans=[ErrorSpan(start=3 * place, end=3 * place + 1)] * (label is FALSE),
            ),
        )
        for place, label in enumerate(labels)
    ]
    text = "ab." * len(labels)
    return Annotation(
        id=f"r{number}", question_id="q", prompt=PROMPT, text=text, sentences=sentences
    )


def judged(noise: float, seed: int = 0) -> list[tuple[Label, Verdict]]:
    """The true label and the verdict of 6,000 sentences."""
    found = []
    for number in range(1000):
        truth = annotate(number, [TRUE, FALSE, EMPTY] * 2)
        places = [(start, start + 2) for start in range(0, 18, 3)]
        noisy = add_noise(truth, places, noise=noise, seed=seed)
        labels = [item.verdict.label for item in truth.sentences]
        found += [
            (label, item.verdict) for label, item in zip(labels, noisy.sentences, strict=True)
        ]
    return found


@pytest.mark.parametrize("noise", [0.05, 0.2, 0.4])
def test_the_judge_errs_as_often_as_asked_and_knows_it(noise: float) -> None:
    decided = [(label, verdict) for label, verdict in judged(noise) if label is not EMPTY]
    errors = [(label in CORRECT_LABELS) != (v.label in CORRECT_LABELS) for label, v in decided]
    margin = 4 * math.sqrt(noise * (1 - noise) / len(decided))
    assert sum(errors) / len(errors) == pytest.approx(noise, abs=margin)
    confidences = [verdict.confidence or 0.0 for _, verdict in decided]
    assert min(confidences) >= 0.5
    bounds = [0.5, 0.6, 0.75, 0.9, 1.01]
    for low, high in pairwise(bounds):
        inside = [
            (confidence, wrong)
            for confidence, wrong in zip(confidences, errors, strict=True)
            if low <= confidence < high
        ]
        expected = sum(confidence for confidence, _ in inside) / len(inside)
        right = sum(not wrong for _, wrong in inside) / len(inside)
        assert right == pytest.approx(expected, abs=4 * 0.5 / math.sqrt(len(inside)))


def test_without_noise_labels_are_the_truth_with_full_confidence() -> None:
    for label, verdict in judged(0.0):
        assert (verdict.label, verdict.confidence, verdict.confidence_kind) == (label, 1.0, "votes")


def test_a_flipped_verdict_has_the_error_spans_of_its_new_label() -> None:
    flipped = [(label, v) for label, v in judged(0.4) if label is not v.label]
    assert {label for label, _ in flipped} == {TRUE, FALSE}
    for label, verdict in flipped:
        assert (verdict.label in HALLUCINATED_LABELS) == (label is TRUE)
        assert [span.end - span.start for span in verdict.error_spans] == [2] * (label is TRUE)


def test_errors_depend_on_the_seed_and_the_response_alone() -> None:
    truth = annotate(3, [TRUE, FALSE] * 20)
    one = add_noise(truth, [], noise=0.4, seed=0)
    assert one == add_noise(truth, [], noise=0.4, seed=0)
    assert one != add_noise(truth, [], noise=0.4, seed=1)


# Masks.


def pair(chosen: list[float], rejected: list[float]) -> Pair:
    def spans(weights: list[float]) -> list[Span]:
        return [
            Span(start=2 * place, end=2 * place + 2, label=TRUE, weight=weight)
            for place, weight in enumerate(weights)
        ]

    def answer(weights: list[float]) -> list[Message]:
        return [Message(role="assistant", content="a." * len(weights))]

    return Pair(
        id="p",
        prompt=PROMPT,
        chosen=answer(chosen),
        rejected=answer(rejected),
        chosen_spans=spans(chosen),
        rejected_spans=spans(rejected),
    )


def test_random_masks_keep_each_sides_weights_and_move_them() -> None:
    before = pair([1.0, 0.5, 0.0, 0.0, 0.0, 0.0], [0.25, 0.0, 0.0, 0.0])
    weights = set()
    for seed in range(20):
        after = shuffle_masks(before, seed=seed)
        assert after == shuffle_masks(before, seed=seed)
        chosen = [span.weight for span in after.chosen_spans or []]
        rejected = [span.weight for span in after.rejected_spans or []]
        assert sorted(chosen) == [0.0, 0.0, 0.0, 0.0, 0.5, 1.0]
        assert sorted(rejected) == [0.0, 0.0, 0.0, 0.25]
        assert [span.start for span in after.chosen_spans or []] == [0, 2, 4, 6, 8, 10]
        weights.add(tuple(chosen))
    assert len(weights) > 10


def test_the_share_of_masks_is_per_side() -> None:
    found = describe_masks([pair([1.0, 0.5], [0.0]), pair([0.0, 0.0], [1.0, 0.0, 1.0])])
    assert found == {
        "chosen": {"active_sentences": 0.5, "mean_weight": 0.375},
        "rejected": {"active_sentences": 0.5, "mean_weight": 0.5},
    }
    empty = {"active_sentences": None, "mean_weight": None}
    assert describe_masks([]) == {"chosen": empty, "rejected": empty}


def test_pieces_of_a_sentence_count_as_one_sentence() -> None:
    pieces = [
        Span(start=0, end=3, label=FALSE, weight=0.0, sentence=0, part="context"),
        Span(start=3, end=4, label=FALSE, weight=1.0, sentence=0, part="error"),
        Span(start=4, end=8, label=TRUE, weight=0.0, sentence=1),
    ]
    made = pair([1.0], [1.0, 0.0, 0.0, 0.0]).model_copy(update={"rejected_spans": pieces})
    assert describe_masks([made])["rejected"] == {"active_sentences": 0.5, "mean_weight": 0.125}


# Scores.


def row(topic: str, *, true: int, false: int, kl: float = 0.0) -> ResponseRow:
    return ResponseRow(
        id="r",
        question_id="q",
        topic=topic,
        correct=true,
        hallucinated=false,
        no_fact=1,
        true_facts=true,
        false_facts=false,
        abstained=int(not true + false),
        num_tokens=10,
        kl=kl,
        log_ratio=2 * kl,
    )


def test_a_score_by_hand() -> None:
    rows = [
        row("a", true=1, false=3, kl=1.0),
        row("a", true=0, false=0, kl=2.0),
        row("b", true=2, false=0, kl=6.0),
    ]
    found = summarize(rows)
    assert found["topics"]["a"] == {
        "responses": 2,
        "correct": 1,
        "hallucinated": 3,
        "no_fact": 2,
        "true_facts": 1,
        "false_facts": 3,
        "abstained": 1,
    }
    assert found["true_share"] == pytest.approx((0.25 + 1.0) / 2)
    assert found["sentence_score"] == pytest.approx((0.25 + 1.0) / 2)
    assert found["respond_ratio"] == pytest.approx(2 / 3)
    assert found["mean_facts"] == 2.0 and found["mean_tokens"] == 10.0
    # Differences from the mean 3: -2 - 1 for a, 3 for b.
    assert found["kl"] == 3.0 and found["kl_error"] == pytest.approx(math.sqrt(2 * 18) / 3)
    assert found["log_ratio"] == 6.0
    colder = summarize(rows, has_divergence=False)
    assert colder["kl"] is colder["kl_error"] is colder["log_ratio"] is None


@pytest.mark.parametrize("rows", [[], [row("a", true=0, false=0)] * 3], ids=["none", "abstained"])
def test_what_has_no_value_is_null(rows: list[ResponseRow]) -> None:
    found = summarize(rows)
    assert found["true_share"] is None and found["sentence_score"] is None
    assert found["kl_error"] is None and found["respond_ratio"] == (0.0 if rows else None)
    json.dumps(found, allow_nan=False)


def test_the_error_of_a_mean_is_over_topics() -> None:
    # Equal responses of one topic give no more information than one of them.
    one, few = mean_with_error([0.0, 4.0], ["a", "b"])
    assert mean_with_error([0.0] * 5 + [4.0] * 5, ["a"] * 5 + ["b"] * 5) == (one, few)
    assert (one, few) == (2.0, 2.0)
    assert mean_with_error([1.0, 3.0], ["a", "a"]) == (2.0, None)
    assert mean_with_error([], []) == (None, None)


# All kinds, end to end.

WORLD = {"num_people": 8, "num_unseen": 3, "languages": ["en"]}
TINY = {"hidden_size": 16, "num_layers": 1, "num_steps": 2, "batch_size": 4}
BASE = Task("base", {"world": WORLD, "base": TINY})
WRITTEN = Task("samples", {"writer": "document", "num_responses": 4}, {"model": BASE})
LABELS = Task("labels", {}, {"samples": WRITTEN})


def dataset(**settings: object) -> Task:
    return Task("dataset", settings, {"labels": LABELS})


def model(steps: int) -> Task:
    settings = {"steps": steps, "batch_size": 4, "learning_rate": 0.01}
    return Task("model", settings, {"base": BASE, "dataset": dataset()})


def score(of: Task, **settings: object) -> Task:
    return Task("score", {"num_responses": 2, **settings}, {"model": of, "base": BASE})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


def do(lab: Path, task: Task) -> Result:
    """The result of a task; all that it needs is done in this process."""
    missing, _ = find_missing([task], lambda item: read_result(lab, item))
    for item in missing:
        do_task(item, lab)
    result = read_result(lab, task)
    assert result is not None
    return result


def test_samples_of_a_model_are_one_per_question_and_number(lab: Path) -> None:
    task = Task("samples", {"num_responses": 2, "kinds": [0, 2]}, {"model": BASE})
    result = do(lab, task)
    rows = read_records(result.folder / "responses.jsonl", Response)
    assert result.values == {"num_responses": 5 * 2 * 2} and len(rows) == 20
    assert (
        len({item.topic for item in rows}) == 5 and len({item.question_id for item in rows}) == 10
    )
    assert not list(result.folder.glob("store*"))
    assert read_result(lab, BASE) is not None


def test_an_author_with_the_document_errs_as_little_as_asked(lab: Path) -> None:
    exact = Task("samples", {"writer": "document", "wrong_share": 0.0}, {"model": BASE})
    labels = do(lab, Task("labels", {}, {"samples": exact}))
    rows = read_records(labels.folder / "annotations.jsonl", Annotation)
    found = {item.verdict.label for annotation in rows for item in annotation.sentences}
    assert found <= {TRUE, EMPTY} and TRUE in found
    assert labels.values["wrong_labels"] == 0.0


def test_labels_with_noise_are_wrong_as_often_as_asked(lab: Path) -> None:
    values = do(lab, Task("labels", {"noise": 0.4}, {"samples": WRITTEN})).values
    assert values["wrong_labels"] == pytest.approx(0.4, abs=0.15)


def pairs_of(result: Result) -> list[Pair]:
    found = read_pairs(find_pair_files(result.folder / "dataset").train)
    assert not found.failures
    return list(found.pairs)


@pytest.mark.parametrize("masks", ["sentence", "span", "random"])
def test_masks_of_a_data_set(lab: Path, masks: str) -> None:
    result = do(lab, dataset(masks=masks))
    pairs = pairs_of(result)
    assert len(pairs) == result.values["num_pairs"] > 5
    plain = do(lab, dataset()).values
    shares = {side: result.values[side] for side in ("chosen", "rejected")}
    assert (shares == {side: plain[side] for side in shares}) == (masks == "sentence")
    if masks == "random":
        for side in shares:
            assert shares[side]["active_sentences"] == plain[side]["active_sentences"]
        wrong = [s for p in pairs for s in p.chosen_spans or [] if s.label in HALLUCINATED_LABELS]
        assert any(span.weight for span in wrong)
    if masks == "span":
        assert shares["rejected"]["mean_weight"] < plain["rejected"]["mean_weight"]
        assert any(s.part == "error" for p in pairs for s in p.rejected_spans or [])


def test_a_data_set_of_some_topics_questions_and_pairs(lab: Path) -> None:
    some, more = (pairs_of(do(lab, dataset(topics=number))) for number in (2, 3))
    assert {item.topic for item in some} < {item.topic for item in more}
    assert len({item.topic for item in more}) <= 3
    first = pairs_of(do(lab, dataset(kinds=[0])))
    assert first and all(item.question_id.endswith("-0") for item in first)
    few, fewer = (pairs_of(do(lab, dataset(num_pairs=number))) for number in (4, 3))
    assert len(few) == 4 and len(fewer) == 3
    assert {item.id for item in fewer} < {item.id for item in few}


def test_weights_can_be_the_judges_confidence(lab: Path) -> None:
    noisy = Task("labels", {"noise": 0.3}, {"samples": WRITTEN})
    result = do(lab, Task("dataset", {"confidence_weights": True}, {"labels": noisy}))
    weights = {s.weight for p in pairs_of(result) for s in p.chosen_spans or []}
    assert any(0.5 <= weight < 1.0 for weight in weights)


def test_a_data_set_without_pairs_is_impossible_and_names_the_reason(lab: Path) -> None:
    exact = Task("samples", {"writer": "document", "wrong_share": 0.0}, {"model": BASE})
    result = do(lab, Task("dataset", {}, {"labels": Task("labels", {}, {"samples": exact})}))
    assert result.impossible.startswith("the data set gives no pair: of 15 questions with 120 resp")
    none = Task("samples", {"num_responses": 0}, {"model": BASE})
    result = do(lab, Task("dataset", {}, {"labels": Task("labels", {}, {"samples": none})}))
    assert result.impossible == "the data set has no pair, because there are no responses"


def test_fewer_steps_are_a_prefix_of_more(lab: Path) -> None:
    losses = {}
    for steps in (2, 4):
        result = do(lab, model(steps))
        assert result.values["counts"]["steps"] == steps
        log = (result.folder / "model" / "training_log.jsonl").read_text().splitlines()
        losses[steps] = [line["loss"] for line in map(json.loads, log) if "loss" in line]
    assert len(losses[4]) == 4 and losses[4][:2] == losses[2]


def test_a_model_is_scored_on_unseen_people(lab: Path) -> None:
    result = do(lab, score(model(4)))
    assert result.values["num_responses"] == 3 * 3 * 2 and len(result.values["topics"]) == 3
    assert result.values["kl"] > 0.0 and result.values["kl_error"] > 0.0
    rows = read_records(result.folder / "scores.jsonl", ResponseRow)
    assert result.values == json.loads(json.dumps(summarize(rows)))
    assert do(lab, score(BASE)).values["kl"] == 0.0


def test_a_score_of_no_responses_is_null(lab: Path) -> None:
    values: Mapping[str, Any] = do(lab, score(model(2), num_responses=0)).values
    assert values["num_responses"] == 0 and values["topics"] == {}
    assert values["kl"] is None and values["true_share"] is None


def test_divergence_equals_that_of_one_response_at_a_time(lab: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    trained = do(lab, score(model(4)))
    policy, reference = (do(lab, task).folder / "model" for task in (model(4), BASE))
    responses = read_records(trained.folder / "responses.jsonl", Response)[:5]
    responses.append(responses[0].model_copy(update={"text": "abc", "finish_reason": "stop"}))
    tokenizer = AutoTokenizer.from_pretrained(policy)
    networks = [AutoModelForCausalLM.from_pretrained(folder) for folder in (policy, reference)]
    for response, found in zip(
        responses, measure_divergence(policy, reference, responses), strict=True
    ):
        messages = [message.model_dump() for message in response.prompt]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        answer = tokenizer(response.text)["input_ids"]
        answer += [tokenizer.eos_token_id] * (response.finish_reason == "stop")
        assert found.num_tokens == len(answer)
        with torch.no_grad():
            ours, theirs = (
                network(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
                for network in networks
            )
        ours, theirs = ours.log_softmax(-1), theirs.log_softmax(-1)
        ratio = sum(float(ours[at, id] - theirs[at, id]) for at, id in enumerate(answer))
        assert found.log_ratio == pytest.approx(ratio, abs=1e-3)
        kl = torch.nn.functional.kl_div(theirs, ours, reduction="sum", log_target=True)
        assert found.kl == pytest.approx(float(kl), abs=1e-3)
