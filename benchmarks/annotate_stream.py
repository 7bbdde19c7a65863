"""A stream of responses through `Annotator.annotate`: peak memory, rate, and stopping anywhere.

    python benchmarks/annotate_stream.py
    python benchmarks/annotate_stream.py --responses 100000 --processes 0 2 --cancel 20
    python benchmarks/annotate_stream.py --former ../former

The baseline (lexical) judges synthetic responses of five sentences, made on demand, with 4,000
documents of 24 sentences; responses about the same document are consecutive, as in a file of
`sample`. With --processes 0 it works in a thread, else in that number of worker processes. Each
side runs in a separate process. Peer: `run_annotate` on a file with the same rows, of this checkout
or of --former DIR.

With --cancel N the first side is run again: its stream is closed at N random places, and each time
continued with the responses whose rows were not received. The rows must be the same.

The last line is one JSON object: for each side `peak_mb` (the process), `peak_with_workers_mb` (its
peak plus the largest worker's peak for each worker: an upper bound), `rate` (responses per second,
including the start of processes) and `digest` (of all rows, in input order; none for --former); for
the cancelled run its `digest`, `num_streams` and `num_asked_again` (responses that were pulled but
not received). `met`: every stream stays below 500 MB, including workers, and all digests are equal.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from annotator.judging.stream_judge import JudgeProcesses
    from schemas.records import Annotation, Document, Failure, Response

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = 4_000
DOCUMENT_SENTENCES = 24
SENTENCES = 5
SHARE_WRONG = 0.5
MAX_PEAK_MB = 500.0
SYLLABLES = "ka ri to mel san ve lor in da pes un gra ti bo sel ny fa dor que mi".split()
_WORDS = random.Random(0)
VOCABULARY = sorted(
    {"".join(_WORDS.choices(SYLLABLES, k=_WORDS.randint(2, 4))) for _ in range(4_000)}
)


def main() -> None:
    args = parse_arguments()
    if args.side:
        use_checkout()
        print(json.dumps(measure(args)))
        return
    sides: dict[str, dict[str, Any]] = {}
    for count in args.processes:
        sides[f"stream, {count or 'no'} processes"] = run_side(args, "stream", ROOT, count)
    if args.cancel:
        sides["cancelled"] = run_side(args, "cancelled", ROOT, args.processes[0])
    if not args.without_peer:
        with tempfile.TemporaryDirectory() as folder:
            write_rows(Path(folder), args.responses)
            checkout = args.former.resolve() if args.former else ROOT
            name = "run_annotate" + (" of --former" if args.former else "")
            sides[name] = run_side(args, "files", checkout, 0, folder)
    print(f"{args.responses:,} responses of {SENTENCES} sentences on {DOCUMENTS:,} documents")
    for name, side in sides.items():
        print(
            f"  {name:24} {side['rate']:8.1f}/s {side['peak_mb']:7.0f} MB"
            f" {side['peak_with_workers_mb']:7.0f} MB with workers  {side['digest'][:12]}"
        )
    digests = {side["digest"] for side in sides.values() if side["digest"]}
    peaks = [side["peak_with_workers_mb"] for name, side in sides.items() if "run_" not in name]
    result = {"responses": args.responses, "sides": sides}
    print(json.dumps(result | {"met": len(digests) == 1 and max(peaks) < MAX_PEAK_MB}))


def use_checkout() -> None:
    """Import our packages only from PYTHONPATH, even if a checkout is installed as editable.

    The finder of an editable install would add modules that a former checkout lacks.
    """
    sys.meta_path[:] = [
        finder
        for finder in sys.meta_path
        if "__editable__" not in getattr(finder, "__module__", "")
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--responses", type=int, default=100_000)
    parser.add_argument("--processes", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--cancel", type=int, default=0, help="how often a stream is closed")
    parser.add_argument("--seed", type=int, default=0, help="of the places where it is closed")
    parser.add_argument("--former", type=Path, help="another checkout, for the peer")
    parser.add_argument("--without-peer", action="store_true")
    parser.add_argument("--side", help=argparse.SUPPRESS)  # what a child process measures
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_side(
    args: argparse.Namespace, side: str, checkout: Path, processes: int, folder: str = ""
) -> dict[str, Any]:
    """One run of one side with the code of `checkout`, in a separate process."""
    command = [sys.executable, __file__, "--side", side, "--processes", str(processes)]
    command += ["--responses", str(args.responses), "--cancel", str(args.cancel)]
    command += ["--seed", str(args.seed), "--folder", folder or "."]
    command += ["--former", "-"] if checkout != ROOT else []
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        command, env=environment, cwd=checkout, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# The rows, made on demand: the same row for the same number.


def make_document(number: int) -> Document:
    """A document of invented facts."""
    from schemas.records import Document

    rng = random.Random(number)
    text = " ".join(_sentence(rng) for _ in range(DOCUMENT_SENTENCES))
    return Document(id=f"document-{number:04d}", text=text)


def make_response(number: int, document: Document) -> Response:
    """Sentences of the document, half of them replaced by others."""
    from schemas.records import Message, Response

    rng = random.Random(f"response {number}")
    facts = rng.sample(document.text.rstrip(".").split(". "), SENTENCES)
    said = [_sentence(rng) if rng.random() < SHARE_WRONG else f"{fact}." for fact in facts]
    return Response(
        id=f"response-{number:06d}",
        question_id=f"question-{number:06d}",
        language="en",
        document_ids=[document.id],
        prompt=[Message(role="user", content=f"What is known of place {number}?")],
        text=" ".join(said),
    )


def _sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(VOCABULARY, k=rng.randint(8, 16))).capitalize() + "."


def write_rows(folder: Path, count: int) -> None:
    """The same rows as files."""
    documents = [make_document(number) for number in range(DOCUMENTS)]
    with (folder / "documents.jsonl").open("w", encoding="utf-8", newline="\n") as handle:
        handle.writelines(f"{item.model_dump_json()}\n" for item in documents)
    with (folder / "responses.jsonl").open("w", encoding="utf-8", newline="\n") as handle:
        for number in range(count):
            response = make_response(number, documents[number * DOCUMENTS // count])
            handle.write(f"{response.model_dump_json()}\n")


# What a child process does.


class SeenRows:
    """One digest per row, by the response's number; rows themselves are not kept."""

    def __init__(self, count: int) -> None:
        self._digests: list[bytes | None] = [None] * count
        self.num_seen = 0

    def __contains__(self, number: int) -> bool:
        return self._digests[number] is not None

    def add(self, row: Annotation | Failure) -> None:
        """Add a row, which must be the first of its response."""
        number = int(row.id.rpartition("-")[2])
        assert number not in self, row.id
        self._digests[number] = hashlib.sha256(row.model_dump_json().encode()).digest()
        self.num_seen += 1

    def digest(self) -> str:
        """The digest of all rows, in input order."""
        whole = hashlib.sha256()
        for digest in self._digests:
            assert digest is not None
            whole.update(digest)
        return whole.hexdigest()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """One side: peaks, rate, digest."""
    processes = args.processes[0]
    if args.side == "files":
        started = time.perf_counter()
        run_files(args.folder)
        seconds = time.perf_counter() - started
        found = {"digest": "" if args.former else digest_file(args.folder, args.responses)}
    else:
        points = []
        if args.side == "cancelled":
            rng = random.Random(args.seed)
            points = sorted(rng.sample(range(1, args.responses), args.cancel))
        started = time.perf_counter()
        found = run_stream(args.responses, processes, points)
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 if processes else 0.0
    return {
        "peak_mb": round(peak, 1),
        "peak_with_workers_mb": round(peak + processes * worker, 1),
        "rate": round(args.responses / seconds, 1),
        **found,
    }


def run_stream(count: int, num_processes: int, points: Sequence[int]) -> dict[str, Any]:
    """The stream, closed after each number of rows in `points`, and continued."""
    from annotator.judging.stream_judge import JudgeProcesses

    documents = [make_document(number) for number in range(DOCUMENTS)]
    seen = SeenRows(count)
    num_asked = 0
    workers = JudgeProcesses(num_processes) if num_processes else nullcontext()
    with workers as processes:
        for most in (*points, count):
            num_asked += asyncio.run(stream_until(most, seen, documents, processes, count))
    found: dict[str, Any] = {"digest": seen.digest()}
    if points:
        found |= {"num_streams": len(points) + 1, "num_asked_again": num_asked - count}
    return found


async def stream_until(
    most: int,
    seen: SeenRows,
    documents: Sequence[Document],
    processes: JudgeProcesses | None,
    count: int,
) -> int:
    """Add missing rows until there are `most`; returns the number of responses pulled."""
    from annotator.judging.annotator import Annotator
    from annotator.judging.config import AnnotateConfig

    num_pulled = 0

    def unseen() -> Iterator[Response]:
        nonlocal num_pulled
        for number in range(count):
            if number not in seen:
                num_pulled += 1
                yield make_response(number, documents[number * DOCUMENTS // count])

    annotator = Annotator(AnnotateConfig(), documents=documents, processes=processes)
    async with aclosing(annotator.annotate(unseen())) as rows:
        async for row in rows:
            seen.add(row)
            if seen.num_seen == most:
                break
    return num_pulled


def run_files(folder: Path) -> None:
    """The same rows from a file into a file."""
    from annotator.judging.config import AnnotateConfig

    try:
        from annotator.judging.runs.annotate import run_annotate

        silent = {}
    except ImportError:  # a former checkout
        from annotator.judging.annotate import run_annotate  # type: ignore[import-not-found]

        silent = {"show_progress": False}
    run_annotate(
        AnnotateConfig(),
        responses=folder / "responses.jsonl",
        documents=folder / "documents.jsonl",
        output=folder / "annotations.jsonl",
        store=folder / "store.sqlite",
        **silent,
    )


def digest_file(folder: Path, count: int) -> str:
    """The digest of the rows that were written."""
    from schemas.records import Annotation

    seen = SeenRows(count)
    with (folder / "annotations.jsonl").open(encoding="utf-8") as handle:
        for line in handle:
            seen.add(Annotation.model_validate_json(line))
    return seen.digest()


if __name__ == "__main__":
    main()
