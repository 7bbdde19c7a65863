"""The date that some chat templates print: one date for all prompts of a run, recorded and reused.

The rule: the same pairs give the same tokens on any day. Otherwise a run resumed tomorrow would
train its remaining steps on other prompts, and no cached reference log-probability would be found.
The date is the first of these: `train.template_date`; the date in the manifest of the run that is
resumed; the date recorded in the reference cache; today.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from schemas.files.sidecar import read_object
from schemas.files.writing import write_json
from trainer.config import TrainConfig
from trainer.models import load_tokenizer
from trainer.processes import as_main_says
from trainer.render import prints_date
from trainer.run_folder import MANIFEST

RECORD = "template_date.json"  # in the folder of the reference cache


def freeze_date(config: TrainConfig, model: Path, *, output: Path, cache: Path) -> TrainConfig:
    """`config` with the date that the chat template of the folder `model` prints.

    `template_date` is None afterwards where the template prints no date.
    """
    date = None
    if _mentions_date(model):
        tokenizer = load_tokenizer(model, trust=config.trust_remote_code)
        if prints_date(tokenizer, config.chat_template_kwargs):
            date = as_main_says(config.template_date or _recorded(config, output, cache))
    return config.model_copy(update={"template_date": date})


def record_date(config: TrainConfig, cache: Path) -> list[str]:
    """Record the date for other runs with this reference cache; returns a note for the user."""
    if config.template_date is None:
        return []
    path = cache / RECORD
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        write_json(path, {"template_date": config.template_date.isoformat()})
    return [
        f"the chat template prints the current date; all prompts of this run have the date "
        f"{config.template_date} (train.template_date)"
    ]


def _recorded(config: TrainConfig, output: Path, cache: Path) -> datetime.date:
    manifest = read_object(output / MANIFEST).get("config") if config.resume else None
    for values in (manifest, read_object(cache / RECORD)):
        text = values.get("template_date") if isinstance(values, dict) else None
        if isinstance(text, str):
            return datetime.date.fromisoformat(text)
    return datetime.datetime.now().astimezone().date()  # what `strftime_now` would print


def _mentions_date(model: Path) -> bool:
    """Whether a template can read the clock: this test is quick, loading a tokenizer is not."""
    names = ("tokenizer_config.json", "chat_template*", "additional_chat_templates/*")
    paths = [path for name in names for path in model.glob(name) if path.is_file()]
    return any("strftime_now" in path.read_text(encoding="utf-8") for path in paths)
