"""Makes a run of many sentences for the benchmarks and slow tests of the review desk.

    python benchmarks/desk_rows.py FOLDER --sentences 200000

writes annotations.jsonl and documents.jsonl: English and Chinese responses of three sentences,
labels, reasons and confidences as a judge gives them, 50 topics. With `--reviews 200000` also
reviews.jsonl: decisions of three people, most of them blind, of whom one in ten differs. The same
seed, the same files.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.labels import Label
from schemas.reviews import make_review, text_sha256

PLACES = ["Karsted", "Bremmel", "Olvera", "Tindal", "Maravik", "Sonnhof", "Perdu", "Ilmen"]
NAMES = ["Mira", "Tolvan", "Anselm", "Greta", "Ito", "Farid", "Lena", "Oskar", "Wanda", "Piet"]
THINGS = ["bridge", "mill", "library", "treaty", "harbour", "school", "railway", "festival"]
ZH_PLACES = ["北京", "上海", "杭州", "成都", "西安", "南京", "青岛", "昆明"]
ZH_THINGS = ["图书馆", "大桥", "博物馆", "医院", "铁路", "港口", "学校", "公园"]
LABELS = ["no_hallucination", "contradictory", "unverifiable", "no_fact", "undetermined"]
SHARES = [60, 15, 15, 5, 5]
PEOPLE = ["Ada", "Ben", "Cho"]


def english(rng: random.Random) -> str:
    """One sentence."""
    name, place, thing = rng.choice(NAMES), rng.choice(PLACES), rng.choice(THINGS)
    year, count = rng.randint(1200, 2020), rng.randint(2, 9000)
    return f"{name} opened the {thing} of {place} in {year}, and {count:,} people came."


def chinese(rng: random.Random) -> str:
    """One sentence."""
    place, thing, year = rng.choice(ZH_PLACES), rng.choice(ZH_THINGS), rng.randint(1800, 2020)
    return f"{place}的{thing}建于{year}年，每年有{rng.randint(2, 900)}万人参观。"


def verdict(rng: random.Random) -> dict[str, Any]:
    """A verdict of a judge."""
    label = rng.choices(LABELS, SHARES)[0]
    values: dict[str, Any] = {"label": label, "judge": "made", "protocol": "sentence"}
    if label == "undetermined":
        return values | {"reason": rng.choice(["no_document", "no_majority", "unreadable"])}
    return values | {"confidence": round(rng.random(), 3), "confidence_kind": "votes"}


def response(number: int, rng: random.Random) -> dict[str, Any]:
    """A row of annotations with three sentences."""
    language = "zh" if number % 4 == 0 else "en"
    make, blank = (chinese, "") if language == "zh" else (english, " ")
    sentences: list[dict[str, Any]] = []
    text = ""
    for _ in range(3):
        text += blank if text else ""
        start = len(text)
        text += make(rng)
        given = verdict(rng)
        if given["label"] != "undetermined":
            given["evidence"] = [{"document_id": f"d{number % 1000}", "start": 0, "end": 40}]
        sentences.append({"start": start, "end": len(text), "verdict": given})
    return {
        "id": f"r{number}",
        "question_id": f"q{number // 4}",
        "topic": f"topic {number // 4 % 50}",
        "language": language,
        "document_ids": [f"d{number % 1000}"],
        "prompt": [{"role": "user", "content": f"What is known about {number // 4}?"}],
        "text": text,
        "sentences": sentences,
    }


def document(number: int, rng: random.Random) -> dict[str, Any]:
    """A document of 30 sentences."""
    make = chinese if number % 4 == 0 else english
    return {"id": f"d{number}", "text": " ".join(make(rng) for _ in range(30))}


def write_run(folder: Path, sentences: int, seed: int = 0) -> None:
    """Write the files of a run with this many sentences (a multiple of three)."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    rows = (response(number, rng) for number in range(sentences // 3))
    _write(folder / "annotations.jsonl", rows)
    _write(folder / "documents.jsonl", (document(number, rng) for number in range(1000)))


def write_reviews(folder: Path, count: int, seed: int = 0) -> None:
    """Write this many reviews of the run in a folder by three people, in the order of their time.

    The first one reads each sentence, the others a second time from the start.
    """
    rng = random.Random(seed)
    when = datetime(2026, 1, 1, tzinfo=UTC)
    places = [(row, place) for row in _rows(folder) for place in row["sentences"]]
    with (folder / "reviews.jsonl").open("w", encoding="utf-8") as handle:
        for number in range(count):
            row, place = places[number // 2 % len(places)]
            when += timedelta(seconds=4)
            same = rng.random() < 0.9 and place["verdict"]["label"] != "undetermined"
            span = {"start": place["start"], "end": place["end"]}
            label = place["verdict"]["label"] if same else rng.choice(LABELS[:4])
            review = make_review(
                response_id=row["id"],
                text_sha256=text_sha256(row["text"]),
                action="label",
                spans=[span | {"label": Label(label)}],
                blind=rng.random() < 0.8,
                who=PEOPLE[0] if number % 2 == 0 else PEOPLE[1 + number // 2 % 2],
                when=when.isoformat(),
                **span,
            )
            handle.write(review.model_dump_json() + "\n")


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    with (folder / "annotations.jsonl").open(encoding="utf-8") as handle:
        yield from map(json.loads, handle)


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")


def main() -> None:
    """Read the arguments, write the files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sentences", type=int, default=200_000, help="[200000]")
    parser.add_argument("--reviews", type=int, default=0, help="[0]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    given = parser.parse_args()
    write_run(given.folder, given.sentences, given.seed)
    if given.reviews:
        write_reviews(given.folder, given.reviews, given.seed)
    rows = given.sentences // 3
    made = {"responses": rows, "sentences": rows * 3, "reviews": given.reviews}
    print(json.dumps({"folder": str(given.folder), **made}))


if __name__ == "__main__":
    main()
