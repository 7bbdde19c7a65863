"""Measures training steps on one GPU, with TRL's DPOTrainer and the published loss as peers.

    python benchmarks/train_step_gpu.py                           all: 140 GB of GPU memory
    python benchmarks/train_step_gpu.py --models 0.5b --no-published   40 GB are enough

As `train_step.py`, on models of real shapes with random weights:

    0.5b    24 layers of 896, vocabulary 151,936 (Qwen2.5-0.5B), full weights
    8b      32 layers of 4,096, vocabulary 128,256 (Llama-3.1-8B), full weights and LoRA (rank 64,
            all linear layers)

The same pairs, masks and micro-batches are used for TRL (precomputed reference) and ours, and for
the published loss, which holds two models, if both fit. All sides have float32 weights, bfloat16
autocast, gradient checkpointing of every layer and fused AdamW. An optimiser step is
`--accumulation` micro-batches; the first step of a run warms up, the medians are over the others.

MFU is the number of operations of the contestant's own layout (without recomputation, see
`trainer/flops.py`) / (time x the card's dense bfloat16 peak). `flop_ratio_trl` is the ratio of
matrix products in the shared layout, with active rows of the LM head on both sides. Memory is the
peak of a step above the memory between steps. `difference_to_padded` is the change that the layout
makes to the log-probabilities of four pairs in bfloat16, mean and largest.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import statistics
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")

import numpy as np
import torch
from train_peers import make_published_trainer, make_trl_trainer
from train_step import LENGTHS, make_items, make_pairs, our_work, stock_work
from transformers import PrinterCallback, TrainerCallback
from trl.trainer import dpo_trainer

from trainer.choice import choose_layout
from trainer.config import LoraSettings
from trainer.examples import Example
from trainer.flops import find_peak, measure_shape, measure_work
from trainer.head import DEFAULT_BYTES
from trainer.layouts import arrange
from trainer.lora import add_adapter
from trainer.loss import LossSettings
from trainer.mask_dpo import MaskDpoTrainer, Method
from trainer.scoring import score_completions

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "0.5b": (
        "qwen2",
        {
            "vocab_size": 151_936,
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32_768,
            "tie_word_embeddings": True,
        },
    ),
    "8b": (
        "llama",
        {
            "vocab_size": 128_256,
            "hidden_size": 4096,
            "intermediate_size": 14_336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": False,
        },
    ),
}
# The same kinds at a size for a CPU: a test of the code, no measurement.
TINY: dict[str, tuple[str, dict[str, Any]]] = {
    f"{name}-tiny": (
        kind,
        settings
        | {
            "vocab_size": 2048,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
        },
    )
    for name, (kind, settings) in MODELS.items()
}
SHAPES = MODELS | TINY
# Pairs per micro-batch, and micro-batches per step.
SIZES = {"0.5b-full": (64, 1), "8b-lora": (8, 2), "8b-full": (4, 4)}
RANK = 64
_HAS_GPU = torch.cuda.is_available()
SEED = 5


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of the grid: a model, the part that trains, the lengths, the active share."""

    model: str
    way: str
    lengths: str
    share: float
    micro: int
    accumulation: int
    steps: int
    layers: int | None = None
    published: bool = True

    @property
    def num_pairs(self) -> int:
        """Pairs of an optimiser step."""
        return self.micro * self.accumulation


class StepClock(TrainerCallback):  # type: ignore[misc]
    """Seconds of each step, and its peak memory above the memory before it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.peaks: list[float] = []
        self.held = self._started = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start."""
        self._start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop, and start the next: preparing its batches counts too."""
        self._wait()
        self.seconds.append(time.perf_counter() - self._started)
        self.peaks.append(torch.cuda.max_memory_allocated() - self.held if _HAS_GPU else 0.0)
        self._start()

    def _start(self) -> None:
        self._wait()
        if _HAS_GPU:
            torch.cuda.reset_peak_memory_stats()
            self.held = torch.cuda.memory_allocated()
        self._started = time.perf_counter()

    def _wait(self) -> None:
        if _HAS_GPU:
            torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measures training steps on a GPU, with TRL and the published loss as peers.",
        epilog="Prints one line per point and, as its last line, one JSON object with one row "
        "per point.",
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--ways", nargs="+", choices=("full", "lora"), default=["lora", "full"])
    parser.add_argument("--lengths", nargs="+", choices=LENGTHS, default=list(LENGTHS))
    parser.add_argument("--shares", nargs="+", type=float, default=[0.6])
    parser.add_argument("--micro", type=int, help="pairs per micro-batch [as in this file]")
    parser.add_argument("--accumulation", type=int, help="micro-batches per step [as in this file]")
    parser.add_argument(
        "--steps", type=int, default=4, help="optimiser steps; the first warms up [4]"
    )
    parser.add_argument("--layers", type=int, help="number of layers [the model's own]")
    parser.add_argument("--no-published", action="store_true", help="leave that contestant out")
    parser.add_argument("--output", type=Path, help="also write the JSON object here, row by row")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(1, "train_step_gpu: torch finds no GPU here; train_step.py measures on a CPU\n")
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    report: dict[str, Any] = {
        "device": device_name(),
        "torch": torch.__version__,
        "rows": [],
    }
    for point in grid(arguments):
        report["rows"].append(measure_point(point))
        print(describe(report["rows"][-1]), flush=True)
        if arguments.output:
            arguments.output.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(json.dumps(report))


def grid(arguments: argparse.Namespace) -> Iterator[Point]:
    for model in arguments.models:
        for way in arguments.ways if model == "8b" else ["full"]:
            for lengths in arguments.lengths:
                for share in arguments.shares:
                    micro, accumulation = SIZES[f"{model}-{way}"]
                    yield Point(
                        model=model,
                        way=way,
                        lengths=lengths,
                        share=share,
                        micro=arguments.micro or micro,
                        accumulation=arguments.accumulation or accumulation,
                        steps=arguments.steps,
                        layers=arguments.layers,
                        published=not arguments.no_published,
                    )


def measure_point(point: Point) -> dict[str, Any]:
    examples = make_pairs(
        point.num_pairs, point.lengths, point.share, SHAPES[point.model][1]["vocab_size"]
    )
    names = ["trl_cached", "ours"]
    if point.published and point.model.startswith("0.5b"):
        # Two 8b models in float32 and the training state of one fit on no GPU.
        names.insert(1, "published")
    clocks: dict[str, StepClock] = {}
    row: dict[str, Any] = {
        "shape": f"{point.model}-{point.way}",
        "lengths": point.lengths,
        "active_share": point.share,
        "pairs": point.num_pairs,
        "micro": point.micro,
        "errors": {},
    }
    for name in names:
        try:
            clocks[name] = run_contestant(name, point, examples, row)
        except Exception as error:  # a row gives the error; the others are measured
            traceback.print_exc()
            row["errors"][name] = str(error).splitlines()[0]
        release()
    peak = find_peak(device_name())
    shape = measure_shape(make_model(point.model, point.layers, device="meta"))
    stock, floor = stock_work(examples), our_work(examples)
    # TRL 1.16 also leaves masked rows out of its LM head on a GPU.
    theirs = replace(stock, num_rows=floor.num_rows)
    laid = arrange(examples, row.get("layout", "shared"), "active")
    frozen = point.way == "lora"
    flops = {
        "trl_cached": shape.step_flops(theirs, frozen=frozen),
        "published": shape.step_flops(stock, frozen=frozen) + shape.forward_flops(stock),
        "ours": shape.step_flops(measure_work(laid, num_rows=floor.num_rows), frozen=frozen),
    }
    row["flop_ratio_trl"] = round(shape.forward_flops(theirs) / shape.forward_flops(floor), 3)
    for name, clock in clocks.items():
        seconds = statistics.median(clock.seconds[1:])
        row |= {
            f"{name}_step_s": [round(s, 4) for s in clock.seconds],
            f"{name}_pairs_s": round(point.num_pairs / seconds, 3),
            f"{name}_mfu": round(flops[name] / seconds / peak, 4) if peak else None,
            f"{name}_peak_gib": round(max(clock.peaks[1:]) / 2**30, 3),
            f"{name}_held_gib": round(clock.held / 2**30, 3),
        }
    for name, label in (("trl_cached", "vs_trl_best"), ("published", "vs_published")):
        if name in clocks and "ours" in clocks:
            row[label] = round(row["ours_pairs_s"] / row[f"{name}_pairs_s"], 3)
    if {"trl_cached", "ours"} <= clocks.keys() and _HAS_GPU:
        row["memory_vs_trl"] = round(row["ours_peak_gib"] / row["trl_cached_peak_gib"], 3)
    return row


def run_contestant(
    name: str, point: Point, examples: Sequence[Example], row: dict[str, Any]
) -> StepClock:
    with tempfile.TemporaryDirectory() as folder:
        arguments = training_arguments(Path(folder), point)
        model = make_model(point.model, point.layers)
        if name == "ours":
            trainer = make_ours(model, point, examples, arguments, row)
        elif name == "trl_cached":
            # Its name for the cache is a hash of all weights, which takes longer than all steps.
            dpo_trainer.hash_module = lambda _: str(time.time_ns())
            trainer = make_trl_trainer(
                model,
                None,
                examples,
                arguments,
                cached=True,
                lora_rank=RANK if point.way == "lora" else None,
            )
        else:
            trainer = make_published_trainer(
                model, make_model(point.model, point.layers), examples, arguments
            )
        release()
        clock = StepClock()
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(clock)
        trainer.train()
    return clock


def make_ours(
    model: Any, point: Point, examples: Sequence[Example], arguments: dict[str, Any], row: Any
) -> MaskDpoTrainer:
    from transformers import TrainingArguments

    choice = choose_layout(
        model, examples[:4], setting="auto", max_length=2048, max_bytes=DEFAULT_BYTES
    )
    row["layout"] = choice.layout
    row["notes"] = list(choice.notes)
    items = make_items(model, examples, choice, size=point.micro, dtype=torch.bfloat16)
    first = examples[:4]
    padded, found = (
        score_completions(model, first, layout=layout, head=choice.head, dtype=torch.bfloat16)
        for layout in ("padded", choice.layout)
    )
    row["difference_to_padded"] = [  # of log-probabilities, mean and largest
        float(of(np.abs(np.concatenate(padded) - np.concatenate(found))))
        for of in (np.mean, np.max)
    ]
    if point.way == "lora":
        add_adapter(model, LoraSettings(rank=RANK, alpha=RANK), seed=SEED)
    return MaskDpoTrainer(
        model=model,
        args=TrainingArguments(**arguments),
        method=Method(loss=LossSettings(), choice=choice),
        train_items=items,
        eval_items=[],
    )


def device_name() -> str:
    """The GPU's name; "CPU" without one."""
    return torch.cuda.get_device_name() if _HAS_GPU else "CPU"


def make_model(name: str, layers: int | None, *, device: str = "") -> Any:
    """Random float32 weights, on the GPU where there is one."""
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, settings = SHAPES[name]
    if layers is not None:
        settings = settings | {"num_hidden_layers": layers}
    torch.manual_seed(SEED)
    with torch.device(device or ("cuda" if _HAS_GPU else "cpu")):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings))


def training_arguments(folder: Path, point: Point) -> dict[str, Any]:
    """The same for every contestant."""
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": point.micro,
        "gradient_accumulation_steps": point.accumulation,
        "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "max_steps": point.steps,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "optim": "adamw_torch_fused",
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "bf16": True,
        "use_cpu": not _HAS_GPU,
        "remove_unused_columns": False,
        "seed": SEED,
    }


def release() -> None:
    """Return the memory of deleted tensors to the GPU."""
    gc.collect()
    if _HAS_GPU:
        torch.cuda.empty_cache()


def describe(row: dict[str, Any]) -> str:
    def figure(name: str) -> str:
        return f"{row[name]:.3g}" if row.get(name) is not None else "not measured"

    return (
        f"{row['shape']:>9} {row['lengths']:>12} {row['active_share']:.1f}: vs TRL "
        f"{figure('vs_trl_best')} of {figure('flop_ratio_trl')} by FLOPs, vs published "
        f"{figure('vs_published')}, memory {figure('memory_vs_trl')}; pairs/s "
        f"{figure('trl_cached_pairs_s')} TRL, {figure('ours_pairs_s')} ours; MFU "
        f"{figure('trl_cached_mfu')} TRL, {figure('ours_mfu')} ours"
    )


if __name__ == "__main__":
    main()
