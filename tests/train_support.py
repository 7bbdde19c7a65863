"""What tests of interrupted training share: settings, runs, and processes of the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from schemas.stage import StageResult
from trainer.config import TrainConfig
from trainer.run import run_train

SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-2,
    "batch_size": 2,
    "epochs": 2,
    "logging_steps": 1,
    "device": "cpu",
    "progress": False,
}


def train(model: Path, dataset: Path, output: Path, **changes: Any) -> StageResult:
    config = TrainConfig.parse({"model": str(model)} | SETTINGS | changes, where="test")
    return run_train(config, dataset=dataset, output=output)


def start_verb(
    model: Path, dataset: Path, output: Path, *, pause: float = 0.0, env: Any = None, **changes: Any
) -> subprocess.Popen[str]:
    """`maskdpo train` as a process of its own, with `pause` seconds before each step."""
    code = (
        "import sys, time\n"
        f"pause = {pause}\n"
        "if pause:\n"
        "    import trainer.callbacks as callbacks\n"
        "    callbacks.LogFile.on_step_begin = lambda self, *a, **k: time.sleep(pause)\n"
        "from maskdpo.cli.main import main\n"
        "main()\n"
    )
    arguments = ["train", "--dataset", str(dataset), "--output", str(output)]
    for name, value in ({"model": str(model)} | SETTINGS | changes).items():
        arguments += ["--set", f"train.{name}={json.dumps(value)}"]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | dict(env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def weights_of(folder: Path, name: str = "model.safetensors") -> bytes:
    return (folder / name).read_bytes()


def log_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "training_log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def curve_of(folder: Path) -> list[tuple[int, str, float]]:
    """Every loss of the log, training's and evaluation's."""
    return [
        (line["step"], name, line[name])
        for line in log_of(folder)
        for name in ("loss", "eval_loss")
        if name in line
    ]


def checkpoints_of(output: Path) -> list[str]:
    return sorted(path.name for path in (output / "checkpoints").glob("checkpoint-*"))
