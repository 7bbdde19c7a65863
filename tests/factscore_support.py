"""A world for FActScore: two policies, a writer of facts and a judge, all on one server."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from judge_server import ScriptedJudge, asked_sentences
from judge_support import make_world
from sample_server import Answer, completion

NUM_PEOPLE = 4
SILENT = 3  # the person that the second model says nothing about
# base: 4 facts per response, 2 supported; dpo: 2 facts, both supported, and one person without any.
# The text of a sentence is equal in both, its response is not: the writer is asked about each.
CALLS = {
    "base": NUM_PEOPLE,
    "dpo": NUM_PEOPLE,
    "writer": 3 * NUM_PEOPLE + (NUM_PEOPLE - 1),
    "judge": 4 * NUM_PEOPLE + 2 * (NUM_PEOPLE - 1) + 1 + 4 * NUM_PEOPLE,
}


class FactWorld:
    """Files of an evaluation, and the answers of all its models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truths = make_world(folder, num_responses=NUM_PEOPLE)
        self.facts: dict[str, list[str]] = {}
        for n in range(NUM_PEOPLE):
            born = f"Person {n} was born in the town of Karsted-{n} in {1900 + n}."
            self.truths[f"Karsted-{n} is a town."] = ("supported", born)
            came = f"Person {n} came from Karsted-{n}."
            self.facts[came] = [came, f"Karsted-{n} is a town."]
        self.truths["I do not know."] = ("no_fact", "")
        self.judge = ScriptedJudge(self.truths)
        rows = [
            {"id": f"q{n}", "topic": f"person {n}", "document_ids": [f"d{n}"], "language": "en",
             "question": f"Who is person {n}?"}
            for n in range(NUM_PEOPLE)
        ]  # fmt: skip
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "questions.jsonl").write_text(text)

    def reply(self, body: dict[str, Any]) -> Answer:
        """The answer of the model that is asked."""
        model = body["model"]
        if model == "judge":
            return self.judge(body)
        if model == "writer":
            ((_, sentence),) = asked_sentences(body)
            return completion(json.dumps({"facts": self.facts.get(sentence, [sentence])}))
        (n,) = [n for n in range(NUM_PEOPLE) if f"person {n}?" in body["messages"][-1]["content"]]
        return completion(self.text(model, n))

    @staticmethod
    def text(model: str, n: int) -> str:
        """What a policy says about a person."""
        came = f"Person {n} came from Karsted-{n}."
        if model == "base":
            return (
                f"{came} Person {n} kept {n + 7} cats. Person {n} loved mountain {n}. "
                f"Thank you for question {n}!"
            )
        return "I do not know." if n == SILENT else f"{came} Thank you for question {n}!"

    def command(self, base_url: str, *, facts: bool = True) -> list[str]:
        """`maskdpo evaluate` on these files."""
        sets = [
            "annotate.judge=llm",
            "annotate.llm.model=judge",
            "annotate.llm.protocol=sentence",
            f"annotate.llm.base_url={base_url}",
            "sample.backend=openai",
            f"sample.base_url={base_url}",
            "sample.num_responses=1",
        ]
        if facts:
            sets += [
                "evaluate.factscore.writer.model=writer",
                f"evaluate.factscore.writer.base_url={base_url}",
            ]
        words = [
            "evaluate",
            *("--questions", str(self.folder / "questions.jsonl")),
            *("--documents", str(self.folder / "documents.jsonl")),
            *("--model", "base=base", "--model", "dpo=dpo"),
            *("--output", str(self.folder / "new")),
        ]
        return [*words, *(word for item in sets for word in ("--set", item))]

    def scores(self) -> Any:
        return json.loads((self.folder / "new" / "scores.json").read_text())


def by_model(asked: Any) -> Counter[str]:
    """Requests that arrived, by model."""
    return Counter(item.body["model"] for item in asked)
