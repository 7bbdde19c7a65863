"""Runs real judge models on labelled responses, and counts the outcomes of their replies.

    python benchmarks/real_judges.py --server http://127.0.0.1:8080 --model smollm2 \
        --labels begin_wow_dev.jsonl wice_dev.jsonl --output runs/judges
    python benchmarks/real_judges.py ... --code OLD_CHECKOUT    the same with other code
    python benchmarks/real_judges.py ... --figures              counts an earlier run's logs again
    python benchmarks/real_judges.py ... --ask-spans            also asks for the wrong words

Selection: of a file with n responses, every (n // K)-th line from the first one, K lines in all
(K is --per-file), so that the selection spans the file and its groups. Each protocol is run by
`maskdpo agreement` through a proxy that records every call (real_judge_proxy.py), then run again: a
rerun must make no calls. The figures are explained in real_judge_log.py. A judge whose replies are
useless is run to the end with --set annotate.max_useless=0.

No peer: the published annotator has no checks to count. Targets: 0 flips by repair, 0 copied forms
that became verdicts, 0 calls of a rerun.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real_judge_log import describe, read_lines
from real_judge_proxy import recording_proxy

PROTOCOLS = ("response", "sentence", "anah")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a judge is run: server address without /v1, served name, code folder, settings."""

    server: str
    model: str
    code: Path
    max_tokens: int
    concurrency: int
    extra: Sequence[str] = ()


def main() -> int:
    args = parse_arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    gold = args.output / "selection.jsonl"
    if not args.figures:
        write_selection(args.labels, args.per_file, gold, document_chars=args.document_chars)
    num_responses = len(read_lines(gold))
    setting = Setting(
        server=args.server,
        model=args.model,
        code=args.code.resolve(),
        max_tokens=args.max_tokens,
        concurrency=args.concurrency,
        extra=[*(["annotate.llm.ask_spans=true"] if args.ask_spans else []), *args.set],
    )
    result: dict[str, Any] = {"model": args.model, "responses": num_responses}
    for protocol in args.protocols:
        folder = args.output / protocol
        if not args.figures:
            run_protocol(setting, protocol, gold, folder)
        figures = find_figures(folder)
        result[protocol] = figures
        print(f"{protocol}: {json.dumps(figures, indent=2)}", flush=True)
    print(json.dumps(result))
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, help="address of the server, without /v1")
    parser.add_argument("--model", required=True, help="name that the server serves")
    parser.add_argument("--labels", type=Path, nargs="+", required=True, help="human-label JSONL")
    parser.add_argument("--per-file", type=int, default=30, help="responses per file [30]")
    parser.add_argument("--document-chars", type=int, help="characters kept of each document [all]")
    parser.add_argument("--ask-spans", action="store_true", help="ask for the wrong words, too")
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--output", type=Path, required=True, help="folder for logs and verdicts")
    parser.add_argument(
        "--code", type=Path, default=Path(__file__).resolve().parents[1], help="checkout to run"
    )
    parser.add_argument("--max-tokens", type=int, default=64, help="tokens per verdict [64]")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--figures", action="store_true", help="run nothing, count the logs")
    parser.add_argument("--set", action="append", default=[], help="further settings; repeatable")
    return parser.parse_args()


def write_selection(
    files: Sequence[Path], per_file: int, path: Path, *, document_chars: int | None = None
) -> int:
    """The selected lines of all files in one file; returns how many.

    With `document_chars` only the beginning of each document is kept.
    """
    lines: list[str] = []
    for file in files:
        rows = file.read_text(encoding="utf-8").splitlines()
        stride = max(1, len(rows) // per_file)
        lines += rows[::stride][:per_file]
    if document_chars is not None:
        lines = [cut_documents(line, document_chars) for line in lines]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def cut_documents(line: str, size: int) -> str:
    """A labelled response with the first `size` characters of each document."""
    row = json.loads(line)
    for document in row["documents"]:
        document["text"] = document["text"][:size]
    return json.dumps(row, ensure_ascii=False)


def run_protocol(setting: Setting, protocol: str, gold: Path, folder: Path) -> None:
    """Runs a protocol and its rerun; logs, verdicts and printed text are written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for log in ("calls.jsonl", "calls_rerun.jsonl"):
        with recording_proxy(setting.server, folder / log) as url:
            start = time.perf_counter()
            code = run_agreement(setting, protocol, gold.resolve(), folder.resolve(), url)
            took = {"exit_code": code, "seconds": round(time.perf_counter() - start)}
        (folder / f"{log}.meta.json").write_text(json.dumps(took), encoding="utf-8")


def run_agreement(setting: Setting, protocol: str, gold: Path, folder: Path, url: str) -> int:
    """Runs `maskdpo agreement` once; its output is appended to `folder`/output.txt."""
    judge = folder / "judge.yaml"
    llm = {
        "model": setting.model,
        "base_url": url,
        "protocol": protocol,
        "max_tokens": setting.max_tokens,
        "concurrency": setting.concurrency,
        "max_retries": 0,
    }
    judge.write_text(json.dumps({"annotate": {"judge": "llm", "llm": llm}}), encoding="utf-8")
    command = [sys.executable, "-m", "maskdpo", "agreement", "--gold", str(gold)]
    command += ["--judge", str(judge), "--store", "calls.sqlite", "--output", "agreement.json"]
    command += ["--annotations-output", "annotations.jsonl", "--show", "0"]
    for value in setting.extra:
        command += ["--set", value]
    with (folder / "output.txt").open("a", encoding="utf-8") as output:
        return subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(setting.code)},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode


def find_figures(folder: Path) -> dict[str, Any]:
    """Figures of the logs, the verdicts and the agreement of a run in `folder`; missing: null."""
    log = folder / "calls.jsonl"
    took = read_object(folder / "calls.jsonl.meta.json")
    agreement = read_object(folder / "agreement.json")
    return {
        **took,
        **describe(read_lines(log), read_lines(folder / "annotations.jsonl")),
        **{key: agreement.get(key) for key in ("balanced_accuracy", "coverage")},
        "rerun_calls": len(read_lines(folder / "calls_rerun.jsonl")),
    }


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file; empty if there is no file."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return value


if __name__ == "__main__":
    sys.exit(main())
