"""Do masks push down the wrong words, and only those? Measured on people's labels.

    python benchmarks/span_likelihood.py --model MODEL --labels LABELS.jsonl --work FOLDER
    python benchmarks/span_likelihood.py ... --methods sentence,span --seeds 0 --pairs 20

Trains a policy on pairs from one half of the documents, in several ways with equal pairs, steps,
learning rate and seeds:

    response        every token of both answers (stock DPO, which also trains the end of an answer)
    sentence        sentence masks: right sentences of the chosen, wrong ones of the rejected answer
    span            span masks: in the wrong sentences, only the words that people marked
    span_context    span masks, and the rest of these sentences with --context-weight

Then it scores people's answers about the other half of the documents under the policy and the
reference. The log-ratio of a token is its log-probability under the policy less that under the
reference. No text is generated.

LABELS is a file of human labels with `spans` (docs/dataset-format.md), such as RAGTruth's. Prompts
hold the instruction and the first --document-tokens of the document; longer answers than
--answer-tokens are left out. Each document that is measured gives two answers: one with wrong words
and the best of the others.

FOLDER/results has a JSON file per method and seed, so a benchmark that was stopped continues.
--report-only makes the tables of what there is. They are printed and written to FOLDER/table.md;
the last line is one JSON object with their figures.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import InputError, MaskDpoError

os.environ.setdefault("HF_HUB_OFFLINE", "1")

METHODS = ("response", "sentence", "span", "span_context")
# What a result depends on, apart from the method and the seed.
KEYED = (
    "pairs",
    "documents",
    "document_tokens",
    "answer_tokens",
    "context_weight",
    "epochs",
    "max_steps",
    "batch_size",
    "learning_rate",
    "beta",
    "lora_rank",
    "dtype",
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One trained policy: how it was trained, and the measured answers."""

    method: str
    seed: int
    path: Path


def main(given: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(given)
    try:
        results = measure_all(arguments)
    except MaskDpoError as error:
        raise SystemExit(str(error)) from None
    from span_likelihood_figures import make_tables, summarise

    summary = summarise(results)
    tables = make_tables(summary)
    (arguments.work / "table.md").write_text(tables, encoding="utf-8")
    print(tables)
    print(json.dumps(summary))


def measure_all(arguments: argparse.Namespace) -> dict[str, list[Any]]:
    """The measured answers by method and seed, after the runs that have no result yet."""
    import torch

    torch.set_num_threads(arguments.threads)
    runs = plan_runs(arguments)
    missing = [run for run in runs if not run.path.exists()]
    if missing and not arguments.report_only:
        make_runs(missing, arguments)
        missing = []
    partial = {run.seed for run in missing}
    results: dict[str, list[Any]] = {}
    for run in runs:
        if run.seed not in partial:
            found = json.loads(run.path.read_text(encoding="utf-8"))
            results.setdefault(run.method, []).append(found["answers"])
    if not results:
        raise InputError.of(arguments.work, "holds no seed with a result of every method")
    return results


def parse_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0],
        epilog="\n\n".join((__doc__ or "").split("\n\n")[1:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help="folder of the model to train")
    add("--labels", type=Path, required=True, help="file of human labels with spans")
    add("--work", type=Path, required=True, help="folder for results; a second run continues")
    add("--methods", type=split_names, default=METHODS[:3], help="[response,sentence,span]")
    add("--seeds", type=split_numbers, default=(0, 1, 2), help="of order and adapter [0,1,2]")
    add("--pairs", type=int, default=100, help="training pairs [100]")
    add("--documents", type=int, default=40, help="measured documents, 2 answers each [40]")
    add("--document-tokens", type=int, default=256, help="of the document in the prompt [256]")
    add("--answer-tokens", type=int, default=192, help="longest answer [192]")
    add("--context-weight", type=float, default=0.2, help="for span_context [0.2]")
    add("--epochs", type=float, default=1.0, help="passes over the pairs [1]")
    add("--max-steps", type=int, help="stop after this many steps [no limit]")
    add("--batch-size", type=int, default=4, help="pairs per step [4]")
    add("--learning-rate", type=float, default=2e-4, help="peak learning rate [2e-4]")
    add("--beta", type=float, default=0.1, help="of DPO [0.1]")
    add("--lora-rank", type=int, default=16, help="of the adapter; 0: train all weights [16]")
    add("--dtype", default="float32", help="float32 or bfloat16, for training only [float32]")
    add("--threads", type=int, default=1, help="of torch [1]")
    add("--report-only", action="store_true", help="tables of the seeds that are complete")
    return parser.parse_args(given)


def split_names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in METHODS:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(METHODS)}")
    return names


def split_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def plan_runs(arguments: argparse.Namespace) -> list[Run]:
    """All runs, seed by seed, so that the methods have equally many when a run is stopped."""
    from schemas.files.sidecar import describe_file
    from schemas.hashing import content_key
    from trainer.models import hash_weights

    settings = {name: getattr(arguments, name) for name in KEYED}
    content = [hash_weights(arguments.model), describe_file(arguments.labels)["sha256"]]
    folder = arguments.work / "results"
    folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for seed in arguments.seeds:
        for method in arguments.methods:
            used = settings | {"method": method, "seed": seed}
            if method != "span_context":
                used["context_weight"] = None
            name = f"{method}-{seed}-{content_key([content, used])[:12]}.json"
            runs.append(Run(method=method, seed=seed, path=folder / name))
    return runs


def make_runs(runs: Sequence[Run], arguments: argparse.Namespace) -> None:
    """Train and measure; each result is written as soon as it is complete."""
    from span_likelihood_data import build_same_pairs, choose_answers, read_halves
    from span_likelihood_model import Workbench

    from schemas.files.writing import write_json
    from trainer.models import load_tokenizer

    halves = read_halves(
        arguments.labels,
        load_tokenizer(arguments.model),
        document_tokens=arguments.document_tokens,
        answer_tokens=arguments.answer_tokens,
    )
    print(f"{halves.num_rows} answers, {halves.num_too_long} of them too long", flush=True)
    pairs = build_same_pairs(
        halves.train, build_settings(arguments.context_weight), num_pairs=arguments.pairs
    )
    answers = choose_answers(halves.measured, num_documents=arguments.documents)
    bench = Workbench(train_config(arguments), answers, arguments.work)
    for run in runs:
        started = time.monotonic()
        policy = bench.train(pairs[run.method], seed=run.seed)
        trained = time.monotonic()
        measured = bench.measure(policy)
        seconds = {"train": trained - started, "measure": time.monotonic() - trained}
        settings = {name: getattr(arguments, name) for name in KEYED}
        write_json(run.path, {"settings": settings, "seconds": seconds, "answers": measured})
        print(f"{run.method}, seed {run.seed}: {describe(seconds)}", flush=True)


def build_settings(context_weight: float) -> dict[str, Mapping[str, Any]]:
    """Settings of `build` for each method."""
    return {
        "response": {"granularity": "response"},
        "sentence": {"granularity": "sentence"},
        "span": {"granularity": "span"},
        "span_context": {"granularity": "span", "context_weight": context_weight},
    }


def train_config(arguments: argparse.Namespace) -> Any:
    from trainer.config import TrainConfig

    rank = arguments.lora_rank
    values = {
        "model": str(arguments.model),
        "lora": {"rank": rank, "alpha": 2 * rank} if rank else None,
        "learning_rate": arguments.learning_rate,
        "beta": arguments.beta,
        "batch_size": arguments.batch_size,
        # With space for the instruction and the template: nothing is cut while training.
        "max_length": arguments.document_tokens + arguments.answer_tokens + 512,
        "epochs": arguments.epochs,
        "max_steps": arguments.max_steps,
        "dtype": arguments.dtype,
        "device": "cpu",
        "save": "no",
        "evaluate": "no",
        "progress": False,
    }
    return TrainConfig.parse(values, where="span_likelihood")


def describe(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())


if __name__ == "__main__":
    main()
