"""Measures `annotate` with the lexical judge on many rows: rate, peak memory, growth with the data.

    python benchmarks/annotate_scale.py [--responses 20000] [--repeats 1]

Writes synthetic rows (invented words, four sentences per response, eight responses per document;
same arguments, same bytes), annotates a quarter and then all, each in a separate process, the two
sizes and the peer in turn. `ratio` is the time at full size / the time at a quarter, without start
and imports; 4 is linear. The peak is the largest resident set of the process. Figures are medians
over the repeats; `noise` gives the lowest and highest.

Peer: a plain loop over all rows with the plain-overlap judge (OverlapJudge), verdicts in a list: no
store, no checks of rows, no evidence, and all results lost if it is killed.

    target    700 MB at full size, a ratio of at most 4.6
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FULL_RESPONSES = 20_000
SENTENCES = 4
RESPONSES_A_DOCUMENT = 8
DOCUMENT_SENTENCES = 24
SHARE_WRONG = 0.5
MAX_PEAK_MB = 700.0
MAX_RATIO = 4.6
SYLLABLES = "ka ri to mel san ve lor in da pes un gra ti bo sel ny fa dor que mi".split()

ANNOTATE = """
import json, sys, time
from pathlib import Path
from annotator.judging.runs.annotate import run_annotate
from annotator.judging.config import AnnotateConfig

folder, output = Path(sys.argv[1]), Path(sys.argv[2])
started = time.perf_counter()
result = run_annotate(
    AnnotateConfig(),
    responses=folder / "responses.jsonl",
    documents=folder / "documents.jsonl",
    output=output / "annotations.jsonl",
    store=output / "calls.sqlite",
)
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "sentences": result.counts["sentences"]}))
"""

PEER = """
import json, sys, time
from pathlib import Path
from annotator.agreement.baselines import OverlapJudge
from annotator.judging.judge import JudgeTask
from annotator.text.sentences import split_sentences
from schemas.records import Document, Response

folder = Path(sys.argv[1])
started = time.perf_counter()
with (folder / "documents.jsonl").open(encoding="utf-8") as handle:
    documents = {row["id"]: Document(**row) for row in map(json.loads, handle)}
judge, verdicts = OverlapJudge(), []
with (folder / "responses.jsonl").open(encoding="utf-8") as handle:
    for row in map(Response.model_validate_json, handle):
        task = JudgeTask(
            response=row,
            sentences=split_sentences(row.text, language="en"),
            documents=[documents[name] for name in row.document_ids],
        )
        for batch in judge.judge([task]):
            for _, found in batch:
                verdicts.extend(found)
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "sentences": len(verdicts)}))
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One process: seconds of its work, peak resident megabytes, sentences judged."""

    seconds: float
    peak_mb: float
    sentences: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] + " Peer: a plain loop of the plain-overlap judge.",
        epilog="Prints one line per run and, as its last line, one JSON object.",
    )
    parser.add_argument("--responses", type=int, default=FULL_RESPONSES)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--scratch", type=Path, help="where the data go [the temporary folder]")
    arguments = parser.parse_args()
    if arguments.responses < SENTENCES or arguments.repeats < 1:
        parser.error("--responses must be at least 4 and --repeats at least 1")
    quarter: list[Run] = []
    full: list[Run] = []
    peer: list[Run] = []
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        small, large = Path(name) / "quarter", Path(name) / "full"
        write_rows(small, arguments.responses // 4)
        write_rows(large, arguments.responses)
        for _ in range(arguments.repeats):  # in turn, so that a slow period affects all three
            quarter.append(run_once("a quarter", ANNOTATE, small))
            full.append(run_once("all", ANNOTATE, large))
            peer.append(run_once("peer, all", PEER, large))
    print(json.dumps(summarise(arguments.responses, quarter, full, peer)))


def write_rows(folder: Path, num_responses: int, *, seed: int = 0) -> None:
    """Write responses.jsonl and documents.jsonl; half of the sentences of a response are wrong."""
    folder.mkdir()
    rng = random.Random(seed)
    vocabulary = sorted(
        {"".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(4_000)}
    )
    with (
        (folder / "responses.jsonl").open("w", encoding="utf-8", newline="\n") as responses,
        (folder / "documents.jsonl").open("w", encoding="utf-8", newline="\n") as documents,
    ):
        for index in range(num_responses):
            if index % RESPONSES_A_DOCUMENT == 0:
                number = index // RESPONSES_A_DOCUMENT
                facts = [_sentence(rng, vocabulary) for _ in range(DOCUMENT_SENTENCES)]
                document = {"id": f"document-{number:05d}", "text": " ".join(facts)}
                documents.write(json.dumps(document) + "\n")
            said = [
                _sentence(rng, vocabulary) if rng.random() < SHARE_WRONG else fact
                for fact in rng.sample(facts, SENTENCES)
            ]
            row = {
                "id": f"response-{index:05d}",
                "question_id": f"question-{number:05d}",
                "language": "en",
                "document_ids": [f"document-{number:05d}"],
                "prompt": [{"role": "user", "content": f"What is known of place {number}?"}],
                "text": " ".join(said),
            }
            responses.write(json.dumps(row) + "\n")


def _sentence(rng: random.Random, vocabulary: Sequence[str]) -> str:
    return " ".join(rng.choices(vocabulary, k=rng.randint(8, 16))).capitalize() + "."


def run_once(name: str, program: str, folder: Path) -> Run:
    """Run the program on the rows of `folder`, with its own output folder."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(folder), output], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        printed = process.stdout.read()
        # wait4 gives the peak of this one child; RUSAGE_CHILDREN would keep the largest of all.
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit("a run failed; its message is above")
    run = Run(peak_mb=usage.ru_maxrss / 1_024, **json.loads(printed.splitlines()[-1]))
    print(f"{name}: {run.sentences:,} sentences, {run.seconds:.1f} s, {run.peak_mb:.0f} MB")
    return run


def summarise(
    num_responses: int, quarter: Sequence[Run], full: Sequence[Run], peer: Sequence[Run]
) -> dict[str, Any]:
    """The report; figures are medians."""
    assert {run.sentences for run in [*full, *peer]} == {num_responses * SENTENCES}
    rate = statistics.median(num_responses / run.seconds for run in full)
    peer_rate = statistics.median(num_responses / run.seconds for run in peer)
    ratios = [later.seconds / run.seconds for run, later in zip(quarter, full, strict=True)]
    ratio = statistics.median(ratios)
    peak = statistics.median(run.peak_mb for run in full)
    return {
        "benchmark": "annotate_scale",
        "peer": "a plain loop of OverlapJudge",
        "responses": num_responses,
        "sentences": num_responses * SENTENCES,
        "rate": round(rate, 1),
        "sentences_per_s": round(rate * SENTENCES, 1),
        "peak_mb": round(peak, 1),
        "peak_mb_at_quarter": round(statistics.median(run.peak_mb for run in quarter), 1),
        "ratio": round(ratio, 3),
        "peer_rate": round(peer_rate, 1),
        "peer_peak_mb": round(statistics.median(run.peak_mb for run in peer), 1),
        "rate_over_peer": round(rate / peer_rate, 3),
        "noise": {
            "seconds": _range([run.seconds for run in full]),
            "ratio": _range(ratios),
            "repeats": len(full),
        },
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "met": peak < MAX_PEAK_MB and ratio <= MAX_RATIO,
    }


def _range(values: Sequence[float]) -> list[float]:
    return [round(min(values), 2), round(max(values), 2)]


if __name__ == "__main__":
    main()
