"""Measures sentence splitting, with the library alone as peer: hard cases, people's spans, speed.

    python benchmarks/sentences.py                 hard cases by language and domain (seconds)
    python benchmarks/sentences.py --data DIR      also human-labelled responses (JSONL files)
    python benchmarks/sentences.py --speed         also the time, on generated biographies or DIR

Peer: each of the three libraries alone, with its proposed ends unchanged. A case counts if all of
its sentences are right. Agreement is the share of the people's spans that are exactly the same.
Speed is CPU seconds of one core, ours / the peer's on the same texts, in turn, warm: the median of
the runs with their spread.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from sentence_cases import Case, all_cases, parse_case

from annotator.text.sentences import split_sentences
from annotator.text.splitters import SPLITTERS, find_splitter
from maskdpo.demo.world import make_world, write_biography
from schemas.spans import Offsets, trim


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text and its spans, from people or from the generator."""

    text: str
    language: str
    spans: frozenset[Offsets]


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measures sentence splitting, with each library alone as peer.",
        epilog="Prints a table and, as its last line, one JSON object.",
    )
    parser.add_argument("--data", type=Path, help="folder of human-label JSONL files")
    parser.add_argument("--splitters", nargs="+", choices=SPLITTERS, default=list(SPLITTERS))
    parser.add_argument("--speed", action="store_true", help="time the splitting too")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each [5]")
    parser.add_argument("--misses", action="store_true", help="print the cases that are wrong")
    arguments = parser.parse_args()
    cases = measure_cases(arguments.splitters, show=arguments.misses)
    print_cases(cases)
    rows = []
    if arguments.data or arguments.speed:
        sets = read_sets(arguments.data) if arguments.data else {"biographies": make_biographies()}
        for splitter in arguments.splitters:
            for name, texts in sets.items():
                row = measure_agreement(name, texts, splitter)
                if arguments.speed:
                    row |= measure_speed(texts, splitter, arguments.runs)
                print_row(row)
                rows.append(row)
    peer = "the library alone"
    print(json.dumps({"benchmark": "sentences", "peer": peer, "cases": cases, "rows": rows}))


def measure_cases(splitters: Sequence[str], *, show: bool) -> list[dict[str, Any]]:
    """For each language, domain and the held-out cases: how many are completely right."""
    totals: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str, str]] = Counter()
    for case in all_cases():
        text, expected = parse_case(case.marked)
        groups = groups_of(case)
        totals.update(groups)
        for splitter in splitters:
            ours = split_sentences(text, language=case.language, splitter=splitter)
            alone = split_alone(text, case.language, splitter)
            for column, found in ((splitter, ours), (f"{splitter} alone", alone)):
                if found == expected:
                    right.update((*group, column) for group in groups)
            if show and ours != expected and not case.held_out:
                print(f"{splitter:>10} {case.language}: {[text[a:b] for a, b in ours]}")
    columns = [column for splitter in splitters for column in (splitter, f"{splitter} alone")]
    return [
        {"language": language, "set": name, "cases": total}
        | {column: right[language, name, column] for column in columns}
        for (language, name), total in sorted(totals.items())
    ]


def groups_of(case: Case) -> list[tuple[str, str]]:
    """The rows of the table in which a case counts."""
    rows = [(case.language, "all"), (case.language, case.domain)]
    return [*rows, (case.language, "held out")] if case.held_out else rows


def print_cases(rows: Sequence[dict[str, Any]]) -> None:
    columns = list(rows[0])
    for cells in (columns, *([row[column] for column in columns] for row in rows)):
        print("  ".join(f"{cell:>15}" for cell in cells))


def print_row(row: dict[str, Any]) -> None:
    line = (
        f"{row['splitter']:>10} {row['set']:>22}: spans {row['spans']:>5}; the same: ours "
        f"{row['same']} ({row['agreement']:.4f}), alone {row['agreement_alone']:.4f}"
    )
    if "per_s" in row:
        line += (
            f"; {row['per_s']:,.0f} sentences/s; time over the library alone "
            f"{row['time_ratio']:.2f} ({row['time_ratio_low']:.2f} to {row['time_ratio_high']:.2f})"
        )
    print(line)


def measure_agreement(name: str, texts: Sequence[Text], splitter: str) -> dict[str, Any]:
    """One set with one splitter, ours and the library alone."""
    ours = [split_sentences(t.text, language=t.language, splitter=splitter) for t in texts]
    alone = [split_alone(t.text, t.language, splitter) for t in texts]
    num_spans = sum(len(t.spans) for t in texts)
    return {
        "set": name,
        "splitter": splitter,
        "spans": num_spans,
        "same": count_same(texts, ours),
        "agreement": count_same(texts, ours) / num_spans,
        "agreement_alone": count_same(texts, alone) / num_spans,
        "sentences": sum(map(len, ours)),
    }


def measure_speed(texts: Sequence[Text], splitter: str, runs: int) -> dict[str, Any]:
    """The time of one set with one splitter, ours and the library alone in turn."""
    ratios, times, num_sentences = [], [], 0
    for text in texts:  # warm
        num_sentences += len(split_sentences(text.text, language=text.language, splitter=splitter))
    for _ in range(runs):
        mine = clock(
            lambda t: split_sentences(t.text, language=t.language, splitter=splitter), texts
        )
        ratios.append(mine / clock(lambda t: split_alone(t.text, t.language, splitter), texts))
        times.append(mine)
    return {
        "per_s": num_sentences / statistics.median(times),
        "time_ratio": statistics.median(ratios),
        "time_ratio_low": min(ratios),
        "time_ratio_high": max(ratios),
    }


def split_alone(text: str, language: str, splitter: str) -> list[Offsets]:
    """The library's own ends, trimmed; the peer."""
    cuts = sorted({0, len(text), *find_splitter(splitter, language)(text)})
    return [span for start, end in pairwise(cuts) if (span := trim(text, start, end))]


def count_same(texts: Sequence[Text], found: Sequence[Sequence[Offsets]]) -> int:
    """How many of the given spans were found exactly."""
    return sum(len(t.spans & set(spans)) for t, spans in zip(texts, found, strict=True))


def clock(split: Callable[[Text], object], texts: Sequence[Text]) -> float:
    """CPU seconds to split every text once."""
    started = time.process_time()
    for text in texts:
        split(text)
    return time.process_time() - started


def read_sets(folder: Path) -> dict[str, list[Text]]:
    """Every JSONL file of `folder` whose responses mostly have more than one span."""
    sets = {}
    for path in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        sets[path.stem] = [
            Text(
                text=row["response"],
                language=row["language"],
                spans=frozenset((span["start"], span["end"]) for span in row["sentences"]),
            )
            for row in rows
        ]
    if not sets:
        sys.exit(f"{folder}: has no .jsonl file")
    return sets


def make_biographies() -> list[Text]:
    """Generated English text with known sentences: easy, so it checks that everything works."""
    world = make_world(num_people=200, seed=0)
    rng = random.Random(0)
    made = []
    for person in world.people:
        text = write_biography(world, person, corrupted_share=0.5, rng=rng)
        ends = [index + 1 for index, letter in enumerate(text) if letter == "."]
        starts = [0, *(end + 1 for end in ends[:-1])]
        spans = frozenset(zip(starts, ends, strict=True))
        made.append(Text(text=text, language="en", spans=spans))
    return made


if __name__ == "__main__":
    main()
