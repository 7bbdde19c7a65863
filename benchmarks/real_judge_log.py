"""Figures of a judge's run, from the recorded calls and their verdicts.

The rule: nothing here uses the project's own readers, so the counts are the same for any version of
them. Calls with one opening (system message and first user message) are one dialogue.

| figure | counts |
|---|---|
| `decided`, `undetermined` | sentences by recorded label, and by recorded reason |
| `flips` | decided sentences whose recorded label is not the first label a reply gave them |
| `copied_form` | decided sentences whose deciding reply has a field that is copied from the form: |
| | two words or more of the text behind the last tag of the opening, or marks alone (`...`); |
| | a label's name does not count as a copy |
| `no_evidence` | decided sentences that need a quote and have no offsets |
| `wrong_words` | hallucinated sentences whose wrong words were asked for: `found`, `whole` where |
| | these are the whole sentence, or the reason of the first missing ones |
| `first_*_tokens` | tokens of the first call of each dialogue, which no repair changes |
| `calls` | all calls; of them `repairs` name a fault, and `longer` ask again with more room |

In protocol `anah` a flip is a question whose first and last reply differ in their choice.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

LABELS = {
    "supported": "no_hallucination",
    "no hallucination": "no_hallucination",
    "contradicted": "contradictory",
    "contradictory": "contradictory",
    "not mentioned": "unverifiable",
    "unverifiable": "unverifiable",
    "no fact": "no_fact",
    "no facts": "no_fact",
    "fact": "fact",
}
NO_POINTS = "no reference information"
HALLUCINATED = {"contradictory", "unverifiable", "hallucinated"}
NEED_QUOTES = {"no_hallucination", "contradictory"}
SENTENCE = re.compile(r'<sentence(?: id="(\d+)")?>\n(.*?)\n</sentence>', re.S)
SHOWN = re.compile(r"<(question|response)>\n(.*?)\n</\1>", re.S)
ANAH_QUESTION = re.compile(r"\bof 3\b|三问之")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A recorded call: the request's messages, the reply's text, and both in full."""

    messages: Sequence[Mapping[str, str]]
    text: str
    request: Json
    reply: Json

    @property
    def opening(self) -> str:
        """The messages up to the first one of the user, which all calls of a dialogue share."""
        first = next(n for n, m in enumerate(self.messages) if m["role"] == "user")
        return json.dumps(self.messages[: first + 1])

    @property
    def first_user(self) -> str:
        """The first message of the user: documents, question, response, and the form."""
        return next(m["content"] for m in self.messages if m["role"] == "user")

    @property
    def questions(self) -> int:
        """How many of the three questions of `anah` the conversation contains; 0 for others."""
        asked = [m["content"] for m in self.messages if m["role"] == "user"]
        return sum(bool(ANAH_QUESTION.search(text)) for text in asked)

    @property
    def is_repair(self) -> bool:
        """Whether the last message is neither the opening nor one of the three questions."""
        last = self.messages[-1]["content"]
        return len(self.messages) > 2 and not ANAH_QUESTION.search(last)


def read_lines(path: Path) -> list[Json]:
    """The objects of a JSONL file; empty if there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def describe(lines: Sequence[Json], annotations: Sequence[Json]) -> Json:
    """The figures of the table above, of one run."""
    calls = list(read_calls(lines))
    dialogues: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        dialogues[call.opening].append(call)
    known = {
        (letters(row["prompt"][-1]["content"]), letters(row["text"])): row for row in annotations
    }
    verdicts = [item["verdict"] for row in annotations for item in row["sentences"]]
    words = [find_words(row, item) for row in annotations for item in row["sentences"]]
    cases = [case for one in dialogues.values() for case in find_cases(one, known)]
    flips = [case for case in cases if case["flip"]]
    copies = [case for case in cases if case["copied"]]
    return {
        "sentences": len(verdicts),
        "decided": count(v["label"] for v in verdicts if v["label"] != "undetermined"),
        "undetermined": count(v["reason"] for v in verdicts if v["label"] == "undetermined"),
        "flips": len(flips),
        "copied_form": len(copies),
        "no_evidence": sum(v["label"] in NEED_QUOTES and not v["evidence"] for v in verdicts),
        "wrong_words": count([outcome for outcome in words if outcome]),
        "cases": flips + [case for case in copies if case not in flips],
        **count_calls(lines, calls),
        **sum_tokens([one[0] for one in dialogues.values()], prefix="first_"),
    }


def count(values: Iterator[str] | Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def count_calls(lines: Sequence[Json], calls: Sequence[Call]) -> dict[str, int]:
    """Calls by kind, and the tokens the server counted."""
    asked = Counter(json.dumps(call.messages) for call in calls)
    return {
        "calls": len(lines),
        "failed_calls": len(lines) - len(calls),
        "repairs": sum(call.is_repair for call in calls),
        "longer": sum(asked.values()) - len(asked),
        **sum_tokens(calls),
    }


def sum_tokens(calls: Sequence[Call], *, prefix: str = "") -> dict[str, int]:
    """The tokens of calls, as the server counted them."""
    usage = [call.reply.get("usage") or {} for call in calls]
    cached = [(one.get("prompt_tokens_details") or {}).get("cached_tokens") or 0 for one in usage]
    return {
        f"{prefix}prompt_tokens": sum(one.get("prompt_tokens", 0) for one in usage),
        f"{prefix}cached_tokens": sum(cached),
        f"{prefix}completion_tokens": sum(one.get("completion_tokens", 0) for one in usage),
    }


def find_words(row: Json, item: Json) -> str:
    """What became of the wrong words of a sentence whose judge was asked for them; '' for others.

    `whole` where they are all its letters and digits.
    """
    verdict = item["verdict"]
    spans, missing = verdict.get("error_spans"), verdict.get("missing_error_words")
    if verdict["label"] not in HALLUCINATED or not (spans or missing):
        return ""
    if not spans:
        return str(missing[0]["reason"])
    marked = {place for span in spans for place in range(span["start"], span["end"])}
    said = range(item["start"], item["end"])
    rest = "".join(row["text"][place] for place in said if place not in marked)
    return "found" if letters(rest) else "whole"


def read_calls(lines: Sequence[Json]) -> Iterator[Call]:
    """The calls that a server served."""
    for line in lines:
        if line["status"] == 200:
            yield Call(
                messages=line["request"]["messages"],
                text=line["reply"]["choices"][0]["message"].get("content") or "",
                request=line["request"],
                reply=line["reply"],
            )


def find_cases(dialogue: Sequence[Call], known: Mapping[tuple[str, str], Json]) -> Iterator[Json]:
    """The outcome of each sentence of a dialogue that has a recorded, decided verdict."""
    opening = dialogue[0].first_user
    shown = dict(SHOWN.findall(opening))
    row = known.get((letters(shown.get("question", "")), letters(shown.get("response", ""))))
    for number, sentence in SENTENCE.findall(opening.rpartition("</response>")[2]):
        verdict = find_verdict(row, sentence)
        if verdict is None or verdict["label"] == "undetermined":
            continue
        said = [stated for call in dialogue if (stated := read_reply(call, int(number or 0)))]
        deciding = [one for one in said if LABELS.get(one["label"]) == verdict["label"]]
        yield {
            "id": row["id"] if row else None,
            "sentence": sentence,
            "recorded": verdict["label"],
            "said": [one["label"] for one in said],
            "flip": is_flip(dialogue, said, verdict["label"]),
            "copied": find_copies(deciding[-1], opening) if deciding else [],
        }


def find_verdict(row: Json | None, sentence: str) -> Json | None:
    """The recorded verdict of a sentence as it was shown."""
    for item in row["sentences"] if row else []:
        if letters(row["text"][item["start"] : item["end"]]) == letters(sentence):
            return item["verdict"]
    return None


def is_flip(dialogue: Sequence[Call], said: Sequence[Json], recorded: str) -> bool:
    """Whether a repaired reply changed the first answer."""
    if not dialogue[0].questions:
        return bool(said) and LABELS.get(said[0]["label"]) != recorded
    by_question: dict[int, list[str]] = defaultdict(list)
    for one in said:
        by_question[one["question"]].append(one["label"])
    return any(labels[0] != labels[-1] for labels in by_question.values())


def read_reply(call: Call, number: int) -> Json | None:
    """The label (as words), and the fields, that a reply has for the sentence with this id."""
    if call.questions:
        choice = read_choice(call.text, call.questions)
        return {"label": choice, "question": call.questions, "fields": []} if choice else None
    start = call.text.find("{")
    try:
        value, _ = json.JSONDecoder().raw_decode(call.text, max(start, 0))
    except ValueError:
        return None
    if number and isinstance(value, dict):
        items = value.get("verdicts")
        named = [v for v in items if isinstance(v, dict) and v.get("id") == number] if items else []
        value = named[0] if len(named) == 1 else None
    if not isinstance(value, dict) or not isinstance(value.get("label"), str):
        return None
    quotes = value.get("quotes")
    fields = [
        value.get("reason"),
        value.get("begins"),
        *(quotes if isinstance(quotes, list) else []),
    ]
    kept = [text for text in fields if isinstance(text, str) and text.strip()]
    return {"label": words(value["label"]), "question": 0, "fields": kept}


def read_choice(text: str, question: int) -> str | None:
    """The one choice that a reply to a question of `anah` names; `points` for a list of them."""
    if question == 2:
        return NO_POINTS if NO_POINTS in words(text) else "points" if text.strip() else None
    lines = {words(line) for line in text.splitlines()}
    tags = {words(tag) for tag in re.findall(r"<([^<>]{1,40})>", text)}
    named = (lines | tags) & LABELS.keys()
    return named.pop() if len(named) == 1 else None


def find_copies(stated: Json, opening: str) -> list[str]:
    """Fields of a reply that are copied from the form: what follows the opening's last tag."""
    form = words(opening.rpartition("</sentence>")[2])
    return [
        text
        for text in stated["fields"]
        if not letters(text)
        or (" " in words(text) and words(text) not in LABELS and words(text) in form)
    ]


def words(text: str) -> str:
    """Words in lower case, single spaces between them, no marks."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def letters(text: str) -> str:
    """Only letters and digits, in lower case: equal for a text and its form in a prompt."""
    return "".join(filter(str.isalnum, text.casefold()))
