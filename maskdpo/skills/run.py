"""`skills`: every model does every task; the results and the differences from the first model.

The rule: a finished pair of model and task is a file of its own, whose key is the content of the
model and of the task. A rerun, after a stop or a kill, repeats only what is missing or has changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from annotator.agreement.intervals import INTERVAL_NAME
from annotator.models.local.model_files import digest_model, locate_model
from maskdpo.skills.config import SkillsConfig
from maskdpo.skills.figures import Row, compare_models, mark_shares, read_results
from maskdpo.skills.harness import Harness, load_model, load_tasks, run_task, with_dtype
from schemas.files.own_files import has_keys, refuse_to_replace_unless
from schemas.files.writing import write_json
from schemas.hashing import content_key
from schemas.stage import StageResult

# Settings that decide a score, with the dtype that `auto` becomes on this machine. Not: the device
# and the batch size, which change its last digits.
_DECIDING = ("num_shots", "max_documents", "chat_template", "seed", "dtype")
SCORES = "skills.json"


@dataclass(kw_only=True)
class _Model:
    """One model: located and digested at once, loaded when a task is missing.

    config   the settings with the model's own dtype (`with_dtype`)
    """

    name: str
    folder: Path
    digest: str
    config: SkillsConfig
    loaded: Any = field(default=None)

    def load(self) -> Any:
        if self.loaded is None:
            self.loaded = load_model(self.folder, self.config)
        return self.loaded


def run_skills(models: Mapping[str, str], config: SkillsConfig, output: Path) -> StageResult:
    """Measure `models` (name: folder or Hub id; the first is the baseline); writes skills.json.

    Raises what `load_tasks`, `locate_model` and `with_dtype` raise, before a model is loaded.
    """
    refuse_to_replace_unless(
        output / SCORES, has_keys("skills", "differences"), by="maskdpo skills"
    )
    harness = load_tasks(config)
    located = {name: locate_model(model, None) for name, model in models.items()}
    own = {name: with_dtype(config, folder) for name, folder in located.items()}
    rows: dict[str, list[Row]] = {}
    num_kept = 0
    for name, folder in located.items():
        model = _Model(name=name, folder=folder, digest=digest_model(folder), config=own[name])
        rows[name] = []
        for task in config.tasks:
            found, is_kept = _measure(model, task, harness, output)
            rows[name] += found
            num_kept += is_kept
    write_json(output / SCORES, _scores(mark_shares(rows), harness, models))
    return StageResult(
        output=output / SCORES,
        num_rows=len(models) * len(config.tasks),
        counts={"models": len(models), "tasks": len(config.tasks), "kept": num_kept},
    )


def _measure(model: _Model, task: str, harness: Harness, output: Path) -> tuple[list[Row], bool]:
    """The rows of one task, and whether they were there already."""
    path = output / model.name / f"{re.sub(r'[^A-Za-z0-9._-]', '_', task)}.json"
    settings = model.config.model_dump(mode="json", include=set(_DECIDING))
    key = content_key([model.digest, task, harness.describe(task), settings])
    kept = _read(path)
    if kept.get("key") == key:
        return kept["rows"], True
    click.echo(f"skills: {model.name}: {task}", err=True)
    rows = read_results(run_task(harness, task, model.load(), model.config))
    write_json(path, {"key": key, "task": task, "model": model.name, "rows": rows})
    return rows, False


def _scores(
    rows: Mapping[str, list[Row]], harness: Harness, models: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "harness": f"lm-eval {harness.version}",
        "models": dict(models),
        "skills": {
            name: [{key: row[key] for key in row if key != "documents"} for row in found]
            for name, found in rows.items()
        },
        "differences": compare_models(rows),
        "interval": INTERVAL_NAME.replace("groups", "documents"),
    }


def _read(path: Path) -> dict[str, Any]:
    """An earlier result; {} where there is none that can be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
