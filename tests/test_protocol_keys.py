"""Keys of calls, verdicts, fingerprints and estimates of the protocols: equal to recorded ones.

The rule: a store of paid calls is found again only under the very same keys. `protocol_keys.json`
was recorded before the protocols became objects; record it again only for a change that must ask
every user's judge again, and say so in the CHANGELOG:

    RECORD_PROTOCOL_KEYS=1 pytest tests/test_protocol_keys.py
"""

import hashlib
import json
import os
from pathlib import Path

import pytest
from judge_server import ScriptedJudge, asked_sentences
from judge_support import make_world
from sample_server import ChatServer, completion

from annotator.calls.store import Store
from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from annotator.judging.domains.domain import load_domain
from annotator.judging.domains.preview import make_sample, preview_protocols
from annotator.judging.make_judge import make_judge
from annotator.judging.runs.annotate import run_annotate
from annotator.judging.runs.asked_keys import find_asked_keys
from annotator.judging.runs.estimate import estimate_annotate
from schemas.files.jsonl import read_records
from schemas.records import Document, Response

RECORDED = Path(__file__).parent / "protocol_keys.json"
PROTOCOLS = ("response", "sentence", "anah")
CASES = {
    "plain": {},
    "votes": {"votes": 3, "temperature": 0.7, "confidence": "votes"},
    "logprob": {"confidence": "logprob", "evidence": "keep", "max_tokens": 200},
    "window": {"window": 3, "prompt_language": "en"},
    "chinese": {"prompt_language": "zh"},
    "domain": {"domain": "zh_general"},
    "passages": {"retrieval": {"max_tokens": 64, "passage_sentences": 1, "overlap": 0}},
}
ANAH_ZH = {
    "supported": "<无幻觉>",
    "contradicted": "<矛盾>",
    "not_mentioned": "<无法验证>",
}


class FaultyJudge(ScriptedJudge):
    """Right, but that its first reply about every fifth sentence and to every window is not."""

    def __call__(self, body):
        number, text = asked_sentences(body)[0]
        is_first = len([m for m in body["messages"] if m["role"] == "user"]) == 1
        if is_first and (number or text.endswith("3.") or "7 cats" in text):
            return completion("I would say that it is right.")
        return completion(self.reply(body))

    def _anah(self, text, body):
        label, quote = self.truths[text]
        said = [m["content"] for m in body["messages"] if m["role"] == "user"]
        step = sum("of 3" in words or "三问之" in words for words in said)
        is_chinese = any("三问之" in words for words in said)
        if not is_chinese:
            return super()._anah(text, body)
        if step == 1:
            return "<无事实>" if label == "no_fact" else "<有事实>"
        if step == 2:
            return f"<Reference>{quote}</Reference>" if quote else "<无参考信息>"
        return ANAH_ZH[label]


def lengthen_documents(path):
    """Make documents longer than a judge reads, so that passages are chosen."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["text"] += "".join(f" The harbour has {n} white boats at pier {n}." for n in range(40))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def digest(value):
    return hashlib.sha256(value.encode("utf-8")).hexdigest()[:16]


def dump(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def measure(folder, protocol, case, values):
    """All that a user's store and files depend on, in few words."""
    truths = make_world(folder, num_responses=4)
    if "retrieval" in values:
        lengthen_documents(folder / "documents.jsonl")
    documents = read_records(folder / "documents.jsonl", Document)
    responses = read_records(folder / "responses.jsonl", Response)
    files = {
        "responses": folder / "responses.jsonl",
        "documents": folder / "documents.jsonl",
        "store": folder / "store.sqlite",
    }
    output = folder / "annotations.jsonl"
    with ChatServer(FaultyJudge(truths)) as server:
        given = {name: values[name] for name in ("domain", "retrieval") if name in values}
        llm = {name: value for name, value in values.items() if name not in given}
        llm |= {"model": "judge", "base_url": server.base_url, "protocol": protocol}
        config = AnnotateConfig.parse(given | {"judge": "llm", "llm": llm}, where="annotate")
        estimate = estimate_annotate(config, **files)
        run_annotate(config, **files, output=output)
        num_asked = len(server.asked)
    keys = find_asked_keys(config, responses, documents, store=files["store"])
    with Store(files["store"]) as store:
        fingerprint = make_judge(config, store=store).fingerprint()
    assert len(keys) == num_asked  # equal sentences are asked about once
    return {
        "calls": num_asked,
        "keys": digest(dump(sorted(keys))),
        "verdicts": digest(output.read_text(encoding="utf-8")),
        "fingerprint": digest(dump(fingerprint)),
        "estimate": [estimate.num_calls, estimate.tokens.prompt, estimate.at_most],
    }


def measure_preview(name):
    """The messages that `domain check` shows, by protocol."""
    domain = load_domain(name)
    config = with_domain(AnnotateConfig(), domain)
    found = {}
    for item in preview_protocols(domain, config, make_sample(domain, config)):
        asked = [[m.role, m.content] for ask in item.calls for m in ask.messages]
        found[item.protocol] = [len(item.calls), item.num_tokens, digest(dump(asked))]
    return found


def compare(name, found):
    """Compare with what was recorded; with RECORD_PROTOCOL_KEYS, record it."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}
    if os.environ.get("RECORD_PROTOCOL_KEYS"):
        text = json.dumps(recorded | {name: found}, indent=1, sort_keys=True)
        RECORDED.write_text(text + "\n", encoding="utf-8")
    else:
        assert found == recorded[name]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_keys_verdicts_and_fingerprints_are_those_recorded(tmp_path, protocol, case):
    compare(f"{protocol}, {case}", measure(tmp_path, protocol, case, CASES[case]))


@pytest.mark.parametrize("name", ["biography", "zh_general"])
def test_the_messages_of_a_preview_are_those_recorded(name):
    compare(f"preview of {name}", measure_preview(name))
