"""Makes an annotations file of any size, in the shape of ANAH-v2 (arXiv 2407.04693).

    python benchmarks/scale_rows.py --responses 196000 --output annotations.jsonl

At full size: 196,000 responses, 822,000 sentences, 24,500 questions with eight responses each,
three questions per topic. Words are invented; labels, confidences and evidence are random. One
question in a hundred is another topic's question in other words: the near duplicates that `build`
must find. Same arguments, same bytes.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FULL_RESPONSES = 196_000
FULL_SENTENCES = 822_000
RESPONSES_A_QUESTION = 8
QUESTIONS_A_TOPIC = 3
NEAR_DUPLICATE_SHARE = 0.01
MAX_SENTENCES = 9
LABELS = ("no_hallucination", "contradictory", "unverifiable", "no_fact", "undetermined")
LABEL_WEIGHTS = (60, 18, 12, 8, 2)
OPENINGS = ("What is known of", "When did they build", "Why do people visit", "Who ran")
SYLLABLES = "ka ri to mel san ve lor in da pes un gra ti bo sel ny fa dor que mi".split()


def make_rows(num_responses: int, *, seed: int = 0) -> Iterator[dict[str, Any]]:
    """`num_responses` annotations, in file order, with as many sentences as in ANAH-v2."""
    rng = random.Random(seed)
    vocabulary = sorted({_word(rng) for _ in range(4_000)})
    num_sentences = round(num_responses * FULL_SENTENCES / FULL_RESPONSES)
    made = 0
    asked: list[str] = []
    for index in range(num_responses):
        if index % RESPONSES_A_QUESTION == 0:
            question = _question(rng, vocabulary, asked)
        owed = round(num_sentences * (index + 1) / num_responses) - made
        noise = rng.choice((-2, -1, 0, 0, 1, 2)) if index + MAX_SENTENCES < num_responses else 0
        count = min(max(owed + noise, 1), MAX_SENTENCES)
        made += count
        yield _response(rng, vocabulary, index, question, count)
    assert made == num_sentences, (made, num_sentences)


def _question(rng: random.Random, vocabulary: list[str], asked: list[str]) -> str:
    if asked and rng.random() < NEAR_DUPLICATE_SHARE:
        return rng.choice(asked).removesuffix("?") + ", please?"
    start = rng.choice(
        ("What is known of", "When did they build", "Why do people visit", "Who ran")
    )
    text = f"{start} {' '.join(rng.choices(vocabulary, k=rng.randint(5, 10)))}?"
    asked.append(text)
    return text


def _response(
    rng: random.Random, vocabulary: list[str], index: int, question: str, count: int
) -> dict[str, Any]:
    number = index // RESPONSES_A_QUESTION
    topic = number // QUESTIONS_A_TOPIC
    texts = [_sentence(rng, vocabulary) for _ in range(count)]
    sentences, position = [], 0
    for text in texts:
        sentences.append(
            {"start": position, "end": position + len(text), "verdict": _verdict(rng, topic)}
        )
        position += len(text) + 1
    return {
        "id": f"question-{number:06d}/{index % RESPONSES_A_QUESTION}",
        "question_id": f"question-{number:06d}",
        "topic": f"Topic {topic:05d}",
        "language": "en",
        "document_ids": [f"document-{topic:05d}"],
        "prompt": [{"role": "user", "content": question}],
        "text": " ".join(texts),
        "model": "example/policy-7b",
        "sampling": {"temperature": 1.0, "top_p": 1.0, "max_tokens": 512, "seed": index},
        "finish_reason": "stop",
        "sentences": sentences,
    }


def _verdict(rng: random.Random, topic: int) -> dict[str, Any]:
    label = rng.choices(LABELS, LABEL_WEIGHTS)[0]
    start = rng.randrange(4_000)
    return {
        "label": label,
        **({"reason": "evidence_not_found"} if label == "undetermined" else {}),
        "confidence": round(rng.uniform(0.5, 1.0), 3),
        "confidence_kind": "votes",
        "votes": {label: 3},
        "evidence": [
            {
                "document_id": f"document-{topic:05d}",
                "start": start,
                "end": start + 120,
                "score": 0.8,
            }
        ],
        "judge": "example/judge-7b",
        "protocol": "three-questions-1",
    }


def _sentence(rng: random.Random, vocabulary: list[str]) -> str:
    return " ".join(rng.choices(vocabulary, k=rng.randint(10, 22))).capitalize() + "."


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(SYLLABLES, k=rng.randint(1, 4)))


def write_rows(path: Path, num_responses: int, *, seed: int = 0) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        for row in make_rows(num_responses, seed=seed):
            handle.write(json.dumps(row, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--responses", type=int, default=FULL_RESPONSES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    write_rows(arguments.output, arguments.responses, seed=arguments.seed)
