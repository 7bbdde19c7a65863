"""The demo's settings as a run config, and the preference runs that it compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskdpo.demo.config import DemoConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """A preference run: the settings that differ from the others, and a description."""

    settings: Mapping[str, Any]
    description: str


# Budget, pairs and reference are the same for all three.
METHODS: dict[str, Method] = {
    "dpo": Method(
        settings={"use_spans": False, "eos": "both"},
        description="Stock DPO: every token of both answers trains, including the end-of-text "
        "token.",
    ),
    "dpo_eos": Method(
        settings={"use_spans": False, "eos": "neither"},
        description="DPO without the end-of-text token, like Mask-DPO: it differs from mask_dpo "
        "only in the sentence masks.",
    ),
    "mask_dpo": Method(
        settings={"use_spans": True, "eos": "neither"},
        description="Mask-DPO: only the correct sentences of the better answer and the wrong "
        "sentences of the worse one train.",
    ),
}
BASE_DESCRIPTION = (
    "The model before preference training, trained on biographies with half of the facts wrong."
)


def make_run_values(config: DemoConfig, folder: Path) -> dict[str, dict[str, Any]]:
    """The demo's settings as a run config, so that every command can be run with it."""
    return {
        "run": {"dir": str(folder)},
        "sample": {
            "model": str(folder / "base"),
            "num_responses": config.num_responses,
            "temperature": 1.0,
            "max_tokens": config.max_tokens,
            "seed": config.seed,
            "device": "cpu",
        },
        "annotate": {"judge": "lexical", "text": {"language": "en"}},
        # The demo itself separates the unseen topics, so all pairs train.
        "build": {"test_share": 0.0, "title": "Closed world: preference pairs"},
        "train": {
            "model": str(folder / "base"),
            "learning_rate": config.learning_rate,
            "epochs": config.epochs,
            "batch_size": config.batch_size,
            "beta": config.beta,
            "max_length": 256,
            "seed": config.seed,
            "device": "cpu",
            "logging_steps": 2,
        },
        "evaluate": {
            "questions": str(folder / "unseen.jsonl"),
            "models": {"base": str(folder / "base")}
            | {name: str(folder / name) for name in METHODS},
            "descriptions": {"base": BASE_DESCRIPTION}
            | {name: method.description for name, method in METHODS.items()},
            "seed": config.seed + 1,
        },
    }
