"""Measures a training step, with TRL's DPOTrainer and the published Mask-DPO loss as peers.

    python benchmarks/train_step.py                            the whole grid: an hour on a CPU
    python benchmarks/train_step.py --shapes head32k --lengths 64/256/256 --shares 0.6
    python benchmarks/train_step.py --shapes head32k --ladder  one technique after the other

The same pairs, masks, initial weights, precision (float32) and batch are used for

    trl          TRL's trainer with a masking collator; its reference is computed in each step
    trl_cached   the same with precomputed reference sums; checkpointing is off in both
    published    full logits of policy and reference on padded batches, and the cross-entropy that
                 the published code also computes (re-implemented from its description)
    ours         MaskDpoTrainer in the layout that it chooses, with a precomputed reference

each through its own `Trainer.train()` of two steps, in turn. The time is measured from the end of
the first step to the end of the second: batch, forward, backward, clipping and optimiser. The
figures are medians over the rounds, and ratios of them with the smallest and largest of a round. No
measured step is logged (ours then scores only active tokens; with its defaults, one step in ten
also scores masked ones). `vs_trl_best` is relative to the faster of TRL's two.

`flop_ratio_trl` is the ratio of matrix products: those of `trl_cached` (every token of both
sequences through the layers and the LM head, causal attention) / those of MaskDpoTrainer (P + C' +
R' tokens, active rows), without recomputation. Memory is the peak of a step above the memory before
it, with model and optimiser state allocated.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
import torch
from train_peers import make_published_trainer, make_trl_trainer
from transformers import PrinterCallback, TrainerCallback

from trainer.batches import PairCollator, ReferencedExample
from trainer.choice import Choice, choose_layout
from trainer.examples import Example, TokenSequence
from trainer.flops import ModelShape, Work, measure_shape, measure_work
from trainer.head import DEFAULT_BYTES, Head
from trainer.layouts import Layout, arrange
from trainer.loss import LossSettings
from trainer.mask_dpo import MaskDpoTrainer, Method
from trainer.scoring import score_completions

SHAPES = {  # hidden size, layers, vocabulary
    "head32k": (256, 4, 32_000),
    "head151k": (256, 4, 151_936),
    "body32k": (512, 8, 32_000),
}
# Pairs per step: what the slowest contestant does in about half a minute on two cores.
BATCHES = {"head32k": 4, "head151k": 2, "body32k": 2}
LENGTHS = ("64/256/256", "256/128/128", "1024/256/256")  # prompt/chosen/rejected, in tokens
SHARES = (0.3, 0.6, 1.0)
SENTENCE = 8  # tokens per sentence; a whole sentence is active or masked
SEED = 5
STEPS = 2  # per run of a trainer: the first warms up, the second is measured


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of the grid."""

    shape: str
    lengths: str
    share: float
    batch: int
    online: bool = True


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A trainer with the time and memory of its last run."""

    name: str
    train: Callable[[], object]
    clock: StepClock


class StepClock(TrainerCallback):  # type: ignore[misc]
    """Seconds of a run's last step, and bytes of its peak memory above the memory before it."""

    def __init__(self) -> None:
        self.seconds = self.peak = 0.0
        self._started = self._held = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start after the first step, stop after the last."""
        if state.global_step < STEPS:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            self._held = status_bytes("VmRSS")
            self._started = time.perf_counter()
        else:
            self.seconds = time.perf_counter() - self._started
            self.peak = status_bytes("VmHWM") - self._held


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measures a training step, with TRL and the published loss as peers.",
        epilog="Prints a table and, as its last line, one JSON object with one row per grid point.",
    )
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--lengths", nargs="+", choices=LENGTHS, default=list(LENGTHS))
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    parser.add_argument("--batch", type=int, help="pairs per step [4 for head32k, else 2]")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant [3]")
    parser.add_argument(
        "--online-shares",
        nargs="*",
        type=float,
        default=[0.6],
        help="where TRL also runs without its cache, for which the share makes no difference [0.6]",
    )
    parser.add_argument(
        "--ladder", action="store_true", help="measure our layouts and heads one by one"
    )
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    rows = []
    for shape in arguments.shapes:
        for lengths in arguments.lengths:
            for share in arguments.shares:
                point = Point(
                    shape=shape,
                    lengths=lengths,
                    share=share,
                    batch=arguments.batch or BATCHES[shape],
                    online=share in arguments.online_shares,
                )
                rows.append(measure_point(point, arguments.rounds, ladder=arguments.ladder))
                print(describe(rows[-1]), flush=True)
    print(
        json.dumps({"threads": torch.get_num_threads(), "rounds": arguments.rounds, "rows": rows})
    )


def measure_point(point: Point, rounds: int, *, ladder: bool) -> dict[str, Any]:
    examples = make_examples(point)
    with tempfile.TemporaryDirectory() as folder:
        contestants, shape, reference_s = make_contestants(point, examples, Path(folder), ladder)
        seconds: dict[str, list[float]] = {c.name: [] for c in contestants}
        peaks: dict[str, list[float]] = {c.name: [] for c in contestants}
        for _ in range(rounds):
            for contestant in contestants:
                contestant.train()
                seconds[contestant.name].append(contestant.clock.seconds)
                peaks[contestant.name].append(contestant.clock.peak)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    best = min(medians.keys() & {"trl", "trl_cached"}, key=lambda name: medians[name])
    theirs, ours = stock_work(examples), our_work(examples)
    row: dict[str, Any] = {
        "shape": point.shape,
        "lengths": point.lengths,
        "active_share": point.share,
        "pairs": point.batch,
        "vs_trl_best": ratio(seconds[best], seconds["ours"]),
        "flop_ratio_trl": round(shape.step_flops(theirs) / shape.step_flops(ours), 3),
        "vs_published": ratio(seconds["published"], seconds["ours"]),
        "memory_vs_trl": round(
            statistics.median(peaks["ours"]) / max(statistics.median(peaks[best]), 1.0), 3
        ),
        "spread_vs_trl": spread(seconds[best], seconds["ours"]),
        "spread_vs_published": spread(seconds["published"], seconds["ours"]),
        "step_s": {name: round(value, 3) for name, value in medians.items()},
        "peak_mb": {name: round(statistics.median(v) / 1e6, 1) for name, v in peaks.items()},
        "reference_s": reference_s,
        "tokens_forwarded": ours.num_tokens,
        "head_rows": ours.num_rows,
    }
    # The reference pass runs once; TRL without a cache computes it in the step.
    for epochs in (1, 3):
        total = reference_s["ours"] + epochs * medians["ours"]
        peer = reference_s["trl_cached"] + epochs * medians["trl_cached"]
        if "trl" in medians:
            peer = min(peer, epochs * medians["trl"])
        row[f"total_vs_trl_{epochs}_epochs"] = round(peer / total, 3)
    return row


def make_examples(point: Point) -> list[Example]:
    """The pairs of a point's step."""
    return make_pairs(point.batch, point.lengths, point.share, SHAPES[point.shape][2])


def make_pairs(num_pairs: int, lengths: str, share: float, vocabulary: int) -> list[Example]:
    """Pairs of these lengths; whole sentences are active, chosen at random up to the share."""
    prompt, chosen, rejected = (int(n) for n in lengths.split("/"))
    draw = np.random.default_rng(SEED)

    def side(start: list[int], length: int) -> TokenSequence:
        count = length // SENTENCE
        active = draw.permutation(count) < max(round(share * count), 1)
        weights = np.repeat(active.astype(float), SENTENCE).tolist()
        ids = start + draw.integers(0, vocabulary, length).tolist()
        return TokenSequence(token_ids=ids, weights=[0.0] * prompt + weights, first=prompt)

    examples = []
    for index in range(num_pairs):
        start = draw.integers(0, vocabulary, prompt).tolist()
        examples.append(
            Example(id=f"{index}", chosen=side(start, chosen), rejected=side(start, rejected))
        )
    return examples


def make_model(shape: str) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    hidden, layers, vocabulary = SHAPES[shape]
    torch.manual_seed(SEED)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=hidden,
            intermediate_size=hidden * 8 // 3 // 16 * 16,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 64,
            num_key_value_heads=hidden // 64,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
        )
    )


def make_contestants(
    point: Point, examples: Sequence[Example], folder: Path, ladder: bool
) -> tuple[list[Contestant], ModelShape, dict[str, float]]:
    """The trainers, the model's shape, and the seconds of the precomputed references."""
    peers = {
        name: training_arguments(folder / name, len(examples))
        for name in ("cached", "online", "published")
    }
    cached = make_trl_trainer(
        make_model(point.shape), make_model(point.shape), examples, peers["cached"], cached=True
    )
    online = None
    if point.online:
        online = make_trl_trainer(
            make_model(point.shape),
            make_model(point.shape),
            examples,
            peers["online"],
            cached=False,
        )
    model = make_model(point.shape)
    choice = choose_layout(
        model, examples, setting="auto", max_length=2048, max_bytes=DEFAULT_BYTES
    )
    started = time.perf_counter()
    items = make_items(model, examples, choice, size=len(examples))
    reference_s = {
        "trl_cached": round(cached.reference_s, 3),
        "ours": round(time.perf_counter() - started, 3),
    }
    published = make_published_trainer(
        make_model(point.shape), make_model(point.shape), examples, peers["published"]
    )
    contestants = [] if online is None else [enter("trl", online)]
    contestants += [
        enter("trl_cached", cached),
        enter("published", published),
        enter("ours", our_trainer(model, items, choice.layout, folder)),
    ]
    if ladder:
        for name, layout, scored in (
            ("padded, all completions scored", "padded", "completion"),
            ("padded, active tokens scored", "padded", "active"),
            ("packed", "packed", "active"),
        ):
            rung = make_model(point.shape)
            choose_layout(rung, examples, setting=layout, max_length=2048, max_bytes=DEFAULT_BYTES)
            trainer = our_trainer(rung, items, layout, folder)
            trainer.data_collator = PairCollator(layout=layout, scored=scored)
            contestants.append(enter(name, trainer))
    return contestants, measure_shape(model), reference_s


def make_items(
    model: Any,
    examples: Sequence[Example],
    choice: Choice,
    *,
    size: int,
    dtype: torch.dtype = torch.float32,
) -> list[ReferencedExample]:
    """The examples with their log-probabilities under `model`, `size` pairs scored at a time."""
    items = []
    for start in range(0, len(examples), size):
        batch = examples[start : start + size]
        logps = score_completions(model, batch, layout=choice.layout, head=choice.head, dtype=dtype)
        items += [
            ReferencedExample(example=example, chosen_logps=chosen, rejected_logps=rejected)
            for example, chosen, rejected in zip(
                batch, logps[: len(batch)], logps[len(batch) :], strict=True
            )
        ]
    return items


def enter(name: str, trainer: Any) -> Contestant:
    clock = StepClock()
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock)
    return Contestant(name=name, train=trainer.train, clock=clock)


def our_trainer(model: Any, items: Sequence[Any], layout: Layout, folder: Path) -> Any:
    from transformers import TrainingArguments

    return MaskDpoTrainer(
        model=model,
        args=TrainingArguments(**training_arguments(folder / "ours", len(items))),
        method=Method(
            loss=LossSettings(), choice=Choice(layout=layout, head=Head(inside=True), notes=[])
        ),
        train_items=items,
        eval_items=[],
    )


def training_arguments(folder: Path, batch: int) -> dict[str, Any]:
    """The same for every contestant: a step of the whole batch."""
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": batch,
        "max_steps": STEPS,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "remove_unused_columns": False,
        "seed": SEED,
    }


def stock_work(examples: Sequence[Example]) -> Work:
    """Both sequences whole, every row through the output matrix."""
    lengths = [len(s.token_ids) for e in examples for s in (e.chosen, e.rejected)]
    tokens = sum(lengths)
    seen = sum(n * (n + 1) // 2 for n in lengths)
    return Work(num_tokens=tokens, num_seen=seen, num_rows=tokens)


def our_work(examples: Sequence[Example]) -> Work:
    """The minimum: P + C' + R' tokens, one row of the LM head per active token."""
    active = sum(s.num_active for e in examples for s in (e.chosen, e.rejected))
    return measure_work(arrange(examples, "shared", "active"), num_rows=active)


def status_bytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    return round(statistics.median(theirs) / statistics.median(ours), 3)


def spread(theirs: Sequence[float], ours: Sequence[float]) -> list[float]:
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    return [round(min(ratios), 3), round(max(ratios), 3)]


def describe(row: dict[str, Any]) -> str:
    share_of_floor = row["vs_trl_best"] / row["flop_ratio_trl"]
    rungs = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in row["step_s"].items())
    return (
        f"{row['shape']:>8} {row['lengths']:>12} {row['active_share']:.1f}: vs TRL "
        f"{row['vs_trl_best']:.2f} {row['spread_vs_trl']} of {row['flop_ratio_trl']:.2f} by FLOPs "
        f"({share_of_floor:.0%}), vs published {row['vs_published']:.2f}, memory "
        f"{row['memory_vs_trl']:.2f}; {rungs}"
    )


if __name__ == "__main__":
    main()
