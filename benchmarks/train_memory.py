"""The memory that training takes: one complete run of the trainer.

    python benchmarks/train_memory.py             100M parameters, vocabulary 151,936, 1024/256/256
    python benchmarks/train_memory.py --batch 8 --checkpointing

The peak is that of the whole process (Python, libraries, weights, gradients, AdamW's moments and
activations), after two optimiser steps of MaskDpoTrainer with a precomputed reference. The peer is
the padded layout with all completion tokens scored at once, as in a plain DPO loop.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

HIDDEN, LAYERS, VOCABULARY = 512, 8, 151_936


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Peak memory of training a 100M model with a large vocabulary.",
        epilog="The last line is one JSON object: peak_mb of MaskDpoTrainer and of the peer.",
    )
    parser.add_argument("--lengths", default="1024/256/256", help="[1024/256/256]")
    parser.add_argument("--share", type=float, default=0.6, help="active share [0.6]")
    parser.add_argument("--batch", type=int, default=4, help="pairs per device per step [4]")
    parser.add_argument("--checkpointing", action="store_true", help="recompute activations")
    parser.add_argument(
        "--head-megabytes", type=int, default=1024, help="MiB of logits at a time [1024]"
    )
    parser.add_argument("--no-peer", action="store_true", help="ours alone")
    parser.add_argument("--role", choices=("ours", "peer"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        print(json.dumps(train(arguments)))
        return
    results = {}
    for role in ("ours",) if arguments.no_peer else ("ours", "peer"):
        command = [sys.executable, __file__, *sys.argv[1:], "--role", role]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results[role] = json.loads(output.splitlines()[-1])
        print(f"{role}: {results[role]}", flush=True)
    print(json.dumps({"lengths": arguments.lengths, "batch": arguments.batch} | results))


def train(arguments: argparse.Namespace) -> dict[str, Any]:
    import train_step as step
    from transformers import TrainingArguments

    from trainer.batches import PairCollator
    from trainer.choice import choose_layout
    from trainer.loss import LossSettings
    from trainer.mask_dpo import MaskDpoTrainer, Method

    logging.disable(logging.WARNING)
    step.SHAPES["memory"] = (HIDDEN, LAYERS, VOCABULARY)
    point = step.Point(
        shape="memory", lengths=arguments.lengths, share=arguments.share, batch=arguments.batch
    )
    examples, model = step.make_examples(point), step.make_model("memory")
    ours = arguments.role == "ours"
    choice = choose_layout(
        model,
        examples,
        setting="auto" if ours else "padded",
        max_length=2048,
        max_bytes=arguments.head_megabytes << 20 if ours else 1 << 40,
    )
    items = step.make_items(model, examples, choice, size=1)
    with tempfile.TemporaryDirectory() as folder:
        settings = step.training_arguments(Path(folder), len(items))
        trainer = MaskDpoTrainer(
            model=model,
            args=TrainingArguments(
                **settings | {"activation_checkpointing": arguments.checkpointing}
            ),
            method=Method(loss=LossSettings(), choice=choice),
            train_items=items,
            eval_items=[],
        )
        if not ours:
            trainer.data_collator = PairCollator(layout="padded", scored="completion")
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    return {
        "parameters": model.num_parameters(),
        "layout": choice.layout,
        "peak_mb": round(step.status_bytes("VmHWM") / 2**20),
        "step_s": round(seconds / step.STEPS, 2),
    }


if __name__ == "__main__":
    main()
