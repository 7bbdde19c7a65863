"""Peak memory of a LoRA run of the whole command, including frozen weights.

    python benchmarks/lora_memory.py                    0.5B parameters, bfloat16, one step
    python benchmarks/lora_memory.py --peer CHECKOUT    the same in another checkout, as the peer

The model has the shape of Qwen2.5-0.5B with random weights, stored in bfloat16 like published
models. The figure is the peak resident memory of `run_train` (load, check of the layout, reference,
training, merge, save) minus the resident memory after all imports. It includes frozen weights,
adapter, optimiser state, activations and logits.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SHAPE = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
    "tie_word_embeddings": True,
    "max_position_embeddings": 2048,
}
WORDS = "Ada Ling was born in Lima in 1871. She studied law and then she wrote novels. "


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Peak memory of a LoRA run with a 0.5B shape, including frozen weights.",
        epilog="The last line is one JSON object in MiB: after imports, the peak, the increase.",
    )
    parser.add_argument("--dtype", default="bfloat16", help="train.dtype [bfloat16]")
    parser.add_argument("--stored", default="bfloat16", help="dtype of the files [bfloat16]")
    parser.add_argument("--pairs", type=int, default=1, help="pairs per step [1]")
    parser.add_argument("--layers", type=int, default=24, help="decoder layers [24]")
    parser.add_argument("--peer", type=Path, help="another checkout of this project")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(measure(arguments)))
        return
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        make_inputs(Path(folder), arguments)
        here = Path(__file__).resolve().parents[1]
        for name, checkout in (("ours", here), ("peer", arguments.peer)):
            if checkout is None:
                continue
            command = [sys.executable, __file__, *sys.argv[1:], "--run", folder]
            environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder
            )
            results[name] = json.loads(done.stdout.splitlines()[-1])
            print(f"{name}: {results[name]}", flush=True)
    if "peer" in results:
        results["ratio"] = round(results["ours"]["run_mb"] / results["peer"]["run_mb"], 3)
    print(json.dumps(results))


def make_inputs(folder: Path, arguments: argparse.Namespace) -> None:
    """A model folder and a data set of one pair per training step."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    import torch
    from tiny_models import byte_level_tokenizer
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = byte_level_tokenizer()
    config = Qwen2Config(**SHAPE | {"num_hidden_layers": arguments.layers})
    model = Qwen2ForCausalLM(config).to(getattr(torch, arguments.stored))
    model.save_pretrained(folder / "policy")
    tokenizer.save_pretrained(folder / "policy")
    rows = [make_row(index) for index in range(arguments.pairs)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "pairs.jsonl").write_text(text, encoding="utf-8")


def make_row(index: int) -> dict[str, Any]:
    """A pair of some 60, 250 and 250 tokens of the small tokenizer."""
    chosen, rejected = (f"{name} {index}. " + WORDS * 5 for name in ("First", "Second"))
    return {
        "prompt": [{"role": "user", "content": "Who was Ada Ling? " + WORDS}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run in a separate process: its memory after imports, and its peak."""
    import peft  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2ForCausalLM  # noqa: F401

    import trainer.mask_dpo  # noqa: F401
    from trainer.config import TrainConfig
    from trainer.run import run_train

    folder = arguments.run
    config = TrainConfig.parse(
        {
            "model": str(folder / "policy"),
            "lora": {},
            "learning_rate": 1e-4,
            "dtype": arguments.dtype,
            "device": "cpu",
            "batch_size": arguments.pairs,
            "max_steps": 1,
            "save": "no",
            "progress": False,
        },
        where="benchmark",
    )
    output = Path(tempfile.mkdtemp(dir=folder))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = status_mb("VmRSS")
    run_train(config, dataset=folder / "pairs.jsonl", output=output / "model")
    peak = status_mb("VmHWM")
    return {
        "imports_mb": round(before),
        "peak_mb": round(peak),
        "run_mb": round(peak - before),
    }


def status_mb(name: str) -> float:
    """A figure of this process in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


if __name__ == "__main__":
    main()
