"""Judging with a language model: every reply validated, nothing guessed, lost or paid for twice."""

import json
import random
import threading
import time
from collections import Counter

import pytest
from judge_server import ScriptedJudge, asked_sentences
from judge_support import LABELS, make_world, read_labels
from sample_server import ChatServer, as_json, completion

from annotator.calls.usage import NO_LIMITS, Limits
from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from schemas.errors import LimitReachedError
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Document

PROTOCOLS = ("response", "sentence", "anah")


@pytest.fixture
def annotate(tmp_path):
    """Annotate the world in tmp_path with a server's judge; returns the StageResult."""

    def run(server, protocol="response", *, limits=NO_LIMITS, retry_failed=False, **llm):
        values = {"model": "judge", "base_url": server.base_url, "protocol": protocol}
        config = AnnotateConfig.parse(
            {"judge": "llm", "llm": values | {"max_retries": 0} | llm}, where="annotate"
        )
        return run_annotate(
            config,
            responses=tmp_path / "responses.jsonl",
            documents=tmp_path / "documents.jsonl",
            output=tmp_path / "annotations.jsonl",
            store=tmp_path / "store.sqlite",
            limits=limits,
            retry_failed=retry_failed,
        )

    return run


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_verdicts_are_what_the_judge_said_with_evidence_in_the_documents(
    annotate, tmp_path, protocol
):
    truths = make_world(tmp_path)
    with ChatServer(ScriptedJudge(truths)) as server:
        result = annotate(server, protocol)
        num_calls = len(server.asked)
        annotate(server, protocol)
        assert len(server.asked) == num_calls
    expected = {text: (LABELS[label], None) for text, (label, _) in truths.items()}
    assert read_labels(result.output) == expected
    assert num_calls == {"response": 12, "sentence": 48, "anah": 12 * (1 + 2 + 3 + 3)}[protocol]
    documents = {d.id: d.text for d in read_records(tmp_path / "documents.jsonl", Document)}
    for annotation in read_records(result.output, Annotation):
        for sentence in annotation.sentences:
            quote = truths[annotation.text[sentence.start : sentence.end]][1]
            found = [documents[e.document_id][e.start : e.end] for e in sentence.verdict.evidence]
            # A full stop at the end of a quote is not part of what is located.
            assert [text.rstrip(".") for text in found] == ([quote.rstrip(".")] if quote else [])


def chaos(judge, seed, share=0.2):
    """The judge, but a share of its answers goes wrong, each request in its own way every time."""
    lock = threading.Lock()
    source = random.Random(seed)

    def answer(body):
        right = judge.reply(body)
        with lock:
            fault = source.choice(FAULTS) if source.random() < share else None
        return fault(right, source) if fault else completion(right)

    return answer


def wrong_ids(right, source):
    try:
        value = json.loads(right)
    except ValueError:
        return completion("<Maybe>")
    if "verdicts" not in value:
        return completion(json.dumps({"id": 99}))
    ids = [item["id"] for item in value["verdicts"]]
    for item, number in zip(value["verdicts"], ids[1:] + ids[:1], strict=True):
        item["id"] = number
    return completion(json.dumps(value))


def extra_sentence(right, source):
    if '"verdicts"' not in right:
        return completion(right)
    value = json.loads(right)
    value["verdicts"].append(value["verdicts"][0] | {"id": 77})
    return completion(json.dumps(value))


def other_case(right, source):
    for name in LABELS:
        right = right.replace(f'"{name}"', f'"{name.upper()}"')
    return completion(right)


def hang(right, source):
    time.sleep(1.5)  # longer than the client waits
    return completion(right)


FAULTS = [
    hang,
    lambda right, source: as_json(500, {"error": "broken"}),
    lambda right, source: as_json(429, {"error": "slow down"}),
    lambda right, source: None,
    lambda right, source: completion(""),
    lambda right, source: completion(right[: len(right) // 2] + "}{"),
    lambda right, source: completion(right[: len(right) // 2], finish_reason="length"),
    lambda right, source: completion(f"Let me think. Here it is:\n```json\n{right}\n```\nDone."),
    wrong_ids,
    extra_sentence,
    other_case,
]
TRUE_REASONS = {
    "timeout",
    "http_500",
    "http_429",
    "connection",
    "empty_reply",
    "unparsable",
    "cut_off",
    "wrong_ids",
    "ambiguous",
    "unknown_label",
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_server_that_fails_at_random_mislabels_nothing(annotate, tmp_path, protocol, seed):
    truths = make_world(tmp_path, num_responses=15)
    with ChatServer(chaos(ScriptedJudge(truths), seed)) as server:
        result = annotate(server, protocol, concurrency=8, timeout_s=1.0)
    labels = read_labels(result.output)
    assert labels.keys() == truths.keys()
    wrong = {
        text: found
        for text, found in labels.items()
        if found[0] not in (LABELS[truths[text][0]], "undetermined")
    }
    assert wrong == {}
    undetermined = Counter(reason for label, reason in labels.values() if label == "undetermined")
    assert set(undetermined) <= TRUE_REASONS
    assert undetermined.total() < len(labels) / 2
    assert result.counts["sentences"] == len(truths)
    assert result.counts.get("label_undetermined", 0) == undetermined.total()
    with ChatServer(ScriptedJudge(truths)) as server:
        annotate(server, protocol)
        assert len(server.asked) == 0
        again = annotate(server, protocol, retry_failed=True)
    expected = {text: (LABELS[label], None) for text, (label, _) in truths.items()}
    assert read_labels(again.output) == expected


def test_a_quote_that_is_not_there_is_asked_again_then_undetermined(annotate, tmp_path):
    truths = make_world(tmp_path, num_responses=1)
    invented = {
        text: (label, "a sentence no document holds" if quote else "")
        for text, (label, quote) in truths.items()
    }
    with ChatServer(ScriptedJudge(invented)) as server:
        result = annotate(server, "sentence")
        assert len(server.asked) == 4 + 2
    reasons = Counter(read_labels(result.output).values())
    assert reasons["undetermined", "evidence_not_found"] == 2
    with ChatServer(ScriptedJudge(invented)) as server:
        kept = annotate(server, "sentence", evidence="keep")
    assert "undetermined" not in dict(read_labels(kept.output).values())


def test_a_cut_off_reply_is_asked_again_with_twice_the_room(annotate, tmp_path):
    truths = make_world(tmp_path, num_responses=1)
    judge = ScriptedJudge(truths)

    def needs_room(body):
        reply = judge.reply(body)
        return (
            completion(reply)
            if body["max_tokens"] >= 200
            else completion(reply[:9], finish_reason="length")
        )

    with ChatServer(needs_room) as server:
        result = annotate(server, "sentence", max_tokens=100)
        assert [call.body["max_tokens"] for call in server.asked].count(200) == 4
    assert "undetermined" not in dict(read_labels(result.output).values())


def test_a_limit_stops_before_it_is_passed_and_a_higher_one_continues(annotate, tmp_path):
    truths = make_world(tmp_path)
    with ChatServer(ScriptedJudge(truths)) as server:
        with pytest.raises(LimitReachedError, match="max_calls=7"):
            annotate(server, "sentence", limits=Limits(max_calls=7))
        assert len(server.asked) == 7
        assert not (tmp_path / "annotations.jsonl").exists()
        annotate(server, "sentence", limits=Limits(max_calls=41))
        assert len(server.asked) == 48


def test_votes_are_counted_and_a_tie_is_undetermined(annotate, tmp_path):
    truths = make_world(tmp_path, num_responses=1)
    judge = ScriptedJudge(truths)
    seeds: list[int] = []

    def wavering(body):
        if body["seed"] not in seeds:
            seeds.append(body["seed"])
        text = asked_sentences(body)[0][1]
        value = judge.verdict(text)
        if seeds.index(body["seed"]) == 0 and "cats" in text:
            value["label"] = "supported"
        return completion(json.dumps(value))

    with ChatServer(wavering) as server:
        result = annotate(
            server, "sentence", votes=3, temperature=0.7, confidence="votes", concurrency=1
        )
    (annotation,) = read_records(result.output, Annotation)
    cats = annotation.sentences[1].verdict
    assert (cats.label, cats.confidence, cats.votes) == (
        "contradictory",
        0.6667,
        {"no_hallucination": 1, "contradictory": 2},
    )
    assert annotation.sentences[0].verdict.confidence == 1.0
