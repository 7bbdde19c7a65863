"""lm-eval: finding tasks, loading a model, running tasks. The only module that imports lm_eval.

The rule: everything that a user can get wrong (a name, a data set that cannot be downloaded, a task
that runs generated code) is refused before the first model is loaded. Models are loaded by the
project's own rules: safetensors only, no code from their folder.

lm-eval's list of its own tasks takes about 9 s to read, so it is read only for a task that the
user's folder does not have.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from annotator.models.detail_line import detail_line
from annotator.models.local.model_loading import choose_device, choose_dtype, load_network
from maskdpo.skills.config import SkillsConfig
from schemas.errors import BackendError, ConfigError, nearest
from schemas.hashing import content_key
from schemas.packages import require

_CODE_VARIABLE = "HF_ALLOW_CODE_EVAL"  # without it, the library that runs the code refuses to


@dataclass(frozen=True, kw_only=True)
class Harness:
    """The loaded tasks, by the name that the user gave: lm-eval's `TaskDict` of each."""

    tasks: Mapping[str, Any]
    version: str

    def describe(self, name: str) -> str:
        """A key (hex) of a task's content: lm-eval's version, task settings, every document."""
        parts = {
            task_name: [_settings_of(task), [_canonical(doc) for doc in task.eval_docs]]
            for task_name, task in self.tasks[name]["tasks"].items()
        }
        return content_key([self.version, parts])


def load_tasks(config: SkillsConfig) -> Harness:
    """Find and load the tasks, with their documents; no model yet.

    Raises MissingPackageError without lm-eval, ConfigError for a name that is unknown or a task
    that runs generated code, and BackendError for a data set that cannot be loaded.
    """
    require("lm_eval", "torch", "transformers", "scipy", needed_for="skills")
    from importlib.metadata import version

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    _check_folder(config.task_folder)
    manager = _make_manager(config)
    for name in config.tasks:
        if name not in manager.task_index:
            raise ConfigError(
                f"skills.tasks: lm-eval has no task {name!r}; "
                f"{nearest(name, manager.all_tasks)}; lm-eval ls tasks lists all"
            )
        _refuse_code(name, _runs_code(name, manager.task_index), allowed=config.run_generated_code)
    tasks = {name: _load_task(name, manager, config) for name in config.tasks}
    return Harness(tasks=tasks, version=version("lm_eval"))


def with_dtype(config: SkillsConfig, folder: Path) -> SkillsConfig:
    """The settings with the precision that the model in `folder` gets on this machine.

    Raises ConfigError for a CUDA device that is not there.
    """
    dtype = choose_dtype(config.dtype, choose_device(config.device), folder)
    return config.model_copy(update={"dtype": dtype})


def load_model(folder: Path, config: SkillsConfig) -> Any:
    """lm-eval's wrapper around the model in `folder`; `config` is that of `with_dtype`."""
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    device = choose_device(config.device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the error of a broken tokenizer file depends on its class
        reason = detail_line(str(error)) or type(error).__name__
        raise ConfigError(f"the tokenizer in {str(folder)!r} cannot be loaded: {reason}") from None
    if config.chat_template and not tokenizer.chat_template:
        raise ConfigError(
            f"the tokenizer in {str(folder)!r} has no chat template; "
            "use --set skills.chat_template=false"
        )
    network = load_network(folder, config.dtype, device)
    return HFLM(pretrained=network, tokenizer=tokenizer, batch_size=config.batch_size)


def run_task(harness: Harness, name: str, model: Any, config: SkillsConfig) -> Mapping[str, Any]:
    """lm-eval's results of one task, group or tag, with one sample per document and filter."""
    from lm_eval.evaluator import evaluate

    _seed_everything(config.seed)
    loaded = harness.tasks[name]
    results = evaluate(
        model,
        loaded,
        limit=config.max_documents,
        apply_chat_template=config.chat_template,
        fewshot_as_multiturn=config.chat_template,
        confirm_run_unsafe_code=config.run_generated_code,
    )
    assert results is not None  # there is one process
    found: Mapping[str, Any] = results
    return found


def _check_folder(folder: Path | None) -> None:
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"skills.task_folder: {str(folder)!r} is not a folder")


def _make_manager(config: SkillsConfig) -> Any:
    from lm_eval.tasks import TaskManager

    if config.task_folder is not None:
        own = TaskManager(include_path=config.task_folder, include_defaults=False)
        if set(config.tasks) <= set(own.all_tasks):
            return own
    click.echo("skills: reading lm-eval's list of tasks, about 10 s", err=True)
    return TaskManager(include_path=config.task_folder)


def _load_task(name: str, manager: Any, config: SkillsConfig) -> Any:
    """The task with its documents, few-shot settings as lm-eval's own command sets them."""
    try:
        loaded = manager.load(name)
        counts = {task.task_name: len(task.eval_docs) for task in loaded["tasks"].values()}
    except Exception as error:  # a task's own code and five libraries raise here
        raise _unloadable(name, manager, error) from None
    for task in loaded["tasks"].values():
        if not counts[task.task_name]:
            raise ConfigError(f"task {task.task_name!r} has no documents to ask about")
        marked = [task.task_name] if getattr(task, "UNSAFE_CODE", False) else []
        _refuse_code(name, marked, allowed=config.run_generated_code)
        _set_shots(task, config)
    return loaded


def _set_shots(task: Any, config: SkillsConfig) -> None:
    """lm-eval's rule: a task that sets 0 itself stays at 0; one that sets none gets 0."""
    own = task.get_config("num_fewshot")
    if own is None or (own != 0 and config.num_shots is not None):
        task.set_config(key="num_fewshot", value=config.num_shots or 0)
    task.set_fewshot_seed(seed=config.seed)


def _unloadable(name: str, manager: Any, error: Exception) -> BackendError | ConfigError:
    reason = detail_line(str(error)) or type(error).__name__
    if isinstance(error, ImportError):
        return ConfigError(f"task {name!r} cannot be loaded: {reason}")
    settings = manager.task_index[name].cfg or {}
    source = settings.get("dataset_path")
    what = f"its data set {source!r}" if source else "its data set"
    return BackendError(
        f"task {name!r}: {what} cannot be loaded: {reason}; lm-eval downloads data sets from the "
        "Hub when a task is first used: run the command once with a connection, or give a task "
        "with local files with --task-folder"
    )


def _runs_code(
    name: str, index: Mapping[str, Any], seen: frozenset[str] = frozenset()
) -> list[str]:
    """The tasks below `name` (a task, group or tag) that lm-eval marks as running code."""
    entry = index.get(name)
    if entry is None or name in seen:
        return []
    settings = entry.cfg or {}
    found = [name] if settings.get("unsafe_code") else []
    for child in _children(entry, index):
        found += _runs_code(child, index, seen | {name})
    return found


def _children(entry: Any, index: Mapping[str, Any]) -> Iterator[str]:
    listed = (entry.cfg or {}).get("task") if entry.kind.name == "GROUP" else None
    for child in listed if isinstance(listed, list) else ():
        yield child if isinstance(child, str) else str(child.get("task") or child.get("group"))
    if entry.kind.name == "TAG":
        yield from (other.name for other in index.values() if entry.name in other.tags)


def _refuse_code(name: str, marked: Sequence[str], *, allowed: bool) -> None:
    if not marked:
        return
    if not allowed:
        raise ConfigError(
            f"task {name!r} runs code that the model wrote ({', '.join(marked[:3])}), on this "
            "machine and without a sandbox; in a machine that may be lost, allow it with "
            "--set skills.run_generated_code=true"
        )
    if os.environ.get(_CODE_VARIABLE) != "1":
        raise ConfigError(
            f"task {name!r} runs code that the model wrote; the library that runs it also needs "
            f"the environment variable {_CODE_VARIABLE}=1"
        )


def _seed_everything(seed: int) -> None:
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _settings_of(task: Any) -> str:
    """A task's settings as text, without the place of their file."""
    settings = dict(task.dump_config())
    metadata = settings.get("metadata")
    if isinstance(metadata, Mapping):
        settings["metadata"] = {k: v for k, v in metadata.items() if k != "config_source"}
    return _canonical(settings)


def _canonical(value: Any) -> str:
    """Text of any value; functions by name, so that no address in memory is in it."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key!r}:{_canonical(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    return str(getattr(value, "__qualname__", type(value).__qualname__))
