"""A scripted judge model: it answers what a table says, in whichever protocol it is asked."""

import json
import re
from collections.abc import Mapping
from typing import Any

from sample_server import Answer, completion

SENTENCE = re.compile(r'<sentence(?: id="(\d+)")?>\n(.*?)\n</sentence>', re.S)
ANAH_NAMES = {
    "supported": "<No Hallucination>",
    "contradicted": "<Contradictory>",
    "not_mentioned": "<Unverifiable>",
}


def asked_sentences(body: Mapping[str, Any]) -> list[tuple[int, str]]:
    """(id or 0, text) of the sentences a request asks about: those of its first user message."""
    opening = next(m["content"] for m in body["messages"] if m["role"] == "user")
    tail = opening.rpartition("</response>")[2]
    return [(int(number or 0), text) for number, text in SENTENCE.findall(tail)]


def wanted_ids(body: Mapping[str, Any]) -> set[int] | None:
    """The ids the schema allows; None where there is no schema."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    items = schema.get("properties", {}).get("verdicts", {}).get("items", {})
    return set(items["properties"]["id"]["enum"]) if items else None


class ScriptedJudge:
    """`truths`: sentence text -> (label, quote)."""

    def __init__(self, truths: Mapping[str, tuple[str, str]]) -> None:
        self.truths = truths

    def reply(self, body: Mapping[str, Any]) -> str:
        """The right answer to a request, as text."""
        sentences = asked_sentences(body)
        last = body["messages"][-1]["content"]
        if "of 3" in json.dumps(body["messages"]) or "三问之" in json.dumps(
            body["messages"], ensure_ascii=False
        ):
            return self._anah(sentences[0][1], body)
        if sentences[0][0]:
            ids = wanted_ids(body)
            verdicts = [
                {"id": number, "begins": text[:60], **self.verdict(text)}
                for number, text in sentences
                if ids is None or number in ids
            ]
            return json.dumps({"verdicts": verdicts}, ensure_ascii=False)
        assert last
        return json.dumps(self.verdict(sentences[0][1]), ensure_ascii=False)

    def verdict(self, text: str) -> dict[str, Any]:
        label, quote = self.truths[text]
        return {"quotes": [quote] if quote else [], "reason": "as it is", "label": label}

    def _anah(self, text: str, body: Mapping[str, Any]) -> str:
        label, quote = self.truths[text]
        questions = [
            m["content"] for m in body["messages"] if m["role"] == "user" and "of 3" in m["content"]
        ]
        step = len(questions)
        if step == 1:
            return "<No Facts>" if label == "no_fact" else "<Fact>"
        if step == 2:
            return f"<Reference>{quote}</Reference>" if quote else "<No Reference Information>"
        return ANAH_NAMES[label]

    def __call__(self, body: Mapping[str, Any]) -> Answer:
        return completion(self.reply(body))
