"""Makes an annotations file of any size, in the shape of ANAH-v2 (arXiv 2407.04693).

    python benchmarks/scale_rows.py --responses 2000000 --output annotations.jsonl

4.19 sentences per response, eight responses per question, three questions per topic. Words are
invented; labels, confidences and evidence are random. One question in a hundred is another topic's
question in other words: the near duplicates that `build` must find. Same arguments, same bytes:
blocks of questions are made independently of each other, by all cores.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

ANAH_RESPONSES, ANAH_SENTENCES = 196_000, 822_000
RESPONSES_PER_QUESTION = 8
QUESTIONS_PER_TOPIC = 3
RESPONSES_PER_BLOCK = QUESTIONS_PER_TOPIC * RESPONSES_PER_QUESTION * 500
NEAR_DUPLICATE_SHARE = 0.01
MAX_SENTENCES = 9
LABELS = ("no_hallucination", "contradictory", "unverifiable", "no_fact", "undetermined")
LABEL_WEIGHTS = (60, 18, 12, 8, 2)
OPENINGS = ("What is known of", "When did they build", "Why do people visit", "Who ran")
SYLLABLES = "ka ri to mel san ve lor in da pes un gra ti bo sel ny fa dor que mi".split()


@dataclass(frozen=True, kw_only=True)
class Words:
    """Invented words, and beginnings and ends of sentences that any two of make a sentence."""

    words: Sequence[str]
    starts: Sequence[str]
    ends: Sequence[str]


@cache
def invent(seed: int) -> Words:
    rng = random.Random(seed)
    words = sorted({"".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(4_000)})

    def pieces() -> list[str]:
        return [" ".join(rng.choices(words, k=rng.randint(5, 11))) for _ in range(4_000)]

    return Words(words=words, starts=[piece.capitalize() for piece in pieces()], ends=pieces())


def make_block(first: int, *, num_responses: int, seed: int) -> str:
    """The lines of the responses from number `first`, of `num_responses` in all.

    The text of a row is written out: names and words need no escapes, and JSON of a dictionary
    would take three times as long.
    """
    rng = random.Random(f"{seed}/{first}")
    invented = invent(seed)
    lines: list[str] = []
    asked: list[str] = []
    question = ""
    owed = _owed(first)
    for index in range(first, min(first + RESPONSES_PER_BLOCK, num_responses)):
        if index % RESPONSES_PER_QUESTION == 0:
            question = _question(rng, invented, asked)
        # The block's last responses bring the number of sentences to its share.
        is_near_end = index % RESPONSES_PER_BLOCK + MAX_SENTENCES >= RESPONSES_PER_BLOCK
        noise = 0 if is_near_end else rng.choice((-2, -1, 0, 0, 1, 2))
        count = min(max(_owed(index + 1) - owed + noise, 1), MAX_SENTENCES)
        owed += count
        lines.append(_response(rng, invented, index, question, count))
    return "".join(lines)


def _owed(num_responses: int) -> int:
    """The sentences of this many responses."""
    return round(num_responses * ANAH_SENTENCES / ANAH_RESPONSES)


def _question(rng: random.Random, invented: Words, asked: list[str]) -> str:
    if asked and rng.random() < NEAR_DUPLICATE_SHARE:
        return rng.choice(asked).removesuffix("?") + ", please?"
    words = " ".join(rng.choices(invented.words, k=rng.randint(5, 10)))
    text = f"{rng.choice(OPENINGS)} {words}?"
    asked.append(text)
    return text


def _response(rng: random.Random, invented: Words, index: int, question: str, count: int) -> str:
    number = index // RESPONSES_PER_QUESTION
    name, topic = f"question-{number:07d}", f"{number // QUESTIONS_PER_TOPIC:06d}"
    texts = [
        f"{start} {end}."
        for start, end in zip(
            rng.choices(invented.starts, k=count), rng.choices(invented.ends, k=count), strict=True
        )
    ]
    sentences, position = [], 0
    for text, label in zip(texts, rng.choices(LABELS, LABEL_WEIGHTS, k=count), strict=True):
        end = position + len(text)
        sentences.append(
            f'{{"start":{position},"end":{end},"verdict":{_verdict(rng, label, topic)}}}'
        )
        position = end + 1
    return (
        f'{{"id":"{name}/{index % RESPONSES_PER_QUESTION}","question_id":"{name}",'
        f'"topic":"Topic {topic}","language":"en","document_ids":["document-{topic}"],'
        f'"prompt":[{{"role":"user","content":"{question}"}}],"text":"{" ".join(texts)}",'
        '"model":"example/policy-7b","sampling":{"temperature":1.0,"top_p":1.0,"max_tokens":512,'
        f'"seed":{index}}},"finish_reason":"stop","sentences":[{",".join(sentences)}]}}\n'
    )


def _verdict(rng: random.Random, label: str, topic: str) -> str:
    start = int(rng.random() * 4_000)
    reason = '"reason":"evidence_not_found",' if label == "undetermined" else ""
    return (
        f'{{"label":"{label}",{reason}"confidence":{0.5 + rng.random() / 2:.3f},'
        f'"confidence_kind":"votes","votes":{{"{label}":3}},"evidence":[{{'
        f'"document_id":"document-{topic}","start":{start},"end":{start + 120},"score":0.8}}],'
        '"judge":"example/judge-7b","protocol":"three-questions-1"}'
    )


def make_blocks(num_responses: int, *, seed: int = 0) -> Iterator[str]:
    """All lines in order, block by block."""
    starts = range(0, num_responses, RESPONSES_PER_BLOCK)
    make = partial(make_block, num_responses=num_responses, seed=seed)
    if len(starts) == 1:
        yield make(0)
        return
    with get_context("spawn").Pool() as pool:
        yield from pool.imap(make, starts)


def write_rows(path: Path, num_responses: int, *, seed: int = 0) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        handle.writelines(make_blocks(num_responses, seed=seed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--responses", type=int, default=ANAH_RESPONSES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    write_rows(arguments.output, arguments.responses, seed=arguments.seed)
