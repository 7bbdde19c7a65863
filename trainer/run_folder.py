"""The output folder of a run: which run owns it, what can be resumed, when it is finished.

The rule: a folder belongs to one run, named by the key of everything that decides the trained
weights. A checkpoint is complete when its state file, which is written last, can be read; any other
was being written when the process died, and is removed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, InputError
from schemas.files.sidecar import FORMAT_PREFIX, check_format, make_sidecar
from schemas.files.writing import follow_umask, write_json
from schemas.hashing import content_key
from schemas.validation import show_value

MANIFEST = "training.json"
CHECKPOINTS = "checkpoints"
SAVING = ".saving"  # the model while it is written; see `publish_model`
# The files of a run in its folder: the model with its tokenizer, and the run's own files.
_WRITTEN = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "adapter_model.safetensors",
    "adapter_config.json",
    "*.py",  # of a model with its own code, written next to its weights by transformers
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "spiece.model",
    "chat_template.*",
    "additional_chat_templates",
    "training.json",
    "training_log.jsonl",
    "dropped.jsonl",
    "curves.html",  # plotted by the command, from the log
    "tensorboard",
    CHECKPOINTS,
    SAVING,
    ".*.json*",  # temporary files of an interrupted write
    ".curves.html.*",
)
# Without one of these no library takes a folder for a model.
_PUBLISHED_LAST = ("config.json", "adapter_config.json")
STATE_FILE = "trainer_state.json"  # written last by transformers' Trainer


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """What makes two runs the same: settings that decide the result, and content hashes.

    `computed`, `trusted_code` and `dataset` are records, and not part of the key: how the run was
    computed, the code that ran with the model (whose hash is part of the weights' content), and
    the name and commit of a data set whose content is in `content`.
    """

    settings: Mapping[str, Any]
    content: Mapping[str, str]
    computed: Mapping[str, Any] = field(default_factory=dict)
    trusted_code: Mapping[str, Any] = field(default_factory=dict)
    dataset: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """One hash of all of it."""
        return content_key([dict(self.settings), dict(self.content)])


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """The counts of a run that is already finished."""

    counts: Mapping[str, int]


def claim_folder(output: Path, identity: RunIdentity, *, resume: bool) -> FinishedRun | None:
    """Claim `output` for this run; returns the finished run when there is nothing left to do.

    Raises ConfigError when another run owns it, InputError when it is not a run folder.
    """
    if output.exists() and not output.is_dir():
        raise InputError.of(output, "is a file; the output of train is a folder")
    if not resume:
        _start_over(output)
    manifest = _read_manifest(output / MANIFEST)
    if manifest is None:
        if output.is_dir() and any(output.iterdir()):
            raise ConfigError(f"{output}: has files but no training run; choose another output")
        output.mkdir(parents=True, exist_ok=True)
        write_manifest(output, identity, finished=False)
        return None
    if manifest.get("key") != identity.key:
        if not manifest.get("finished") and last_checkpoint(output) is None:
            write_manifest(output, identity, finished=False)  # that run had not done anything yet
            return None
        raise ConfigError(
            f"{output}: holds another run ({_differences(manifest, identity)}); choose another "
            "output, or set train.resume=false to delete it and start over"
        )
    if manifest.get("finished") and _holds_a_model(output):
        return FinishedRun(counts=manifest.get("counts", {}))
    return None


def refuse_overlap(output: Path, *, model: Path, dataset: Path, reference: Path | None) -> None:
    """Raise ConfigError where writing or deleting `output` could harm what the run reads.

    `resume: false` deletes the output folder, and a run writes a model into it: neither may be the
    policy's own folder, the data, or a folder that contains them or is inside them.
    """
    mine = output.resolve()
    for name, path in (("the policy", model), ("the data set", dataset)):
        other = path.resolve()
        if mine == other or mine in other.parents or other in mine.parents:
            raise ConfigError(
                f"{output}: the output folder and {name} ({path}) overlap; choose another output"
            )
    if reference is not None:
        other = reference.resolve()
        if mine == other or mine in other.parents:
            raise ConfigError(
                f"{output}: the cache of reference log-probabilities ({reference}) is in the "
                "output folder, which train.resume=false deletes; choose another "
                "train.reference_dir"
            )


def last_checkpoint(output: Path) -> Path | None:
    """The newest complete checkpoint of this run; incomplete ones are removed."""
    folder = output / CHECKPOINTS
    complete: list[tuple[int, Path]] = []
    for path in sorted(folder.glob("checkpoint-*")):
        step = _completed_step(path)
        if step is None:
            shutil.rmtree(path)
        else:
            complete.append((step, path))
    return max(complete)[1] if complete else None


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The trainer's state in a complete checkpoint: `global_step`, `epoch`, `log_history`, ..."""
    state: dict[str, Any] = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
    return state


@contextmanager
def publish_model(output: Path) -> Iterator[Path]:
    """A folder to write the model into; its files are moved to `output` if the block succeeds.

    Configuration files are moved last, so a folder that looks like a model holds all its weights.
    """
    staging = output / SAVING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        for name in _PUBLISHED_LAST:
            (output / name).unlink(missing_ok=True)
        files = sorted(staging.iterdir(), key=lambda path: (path.name in _PUBLISHED_LAST, path))
        for path in files:
            target = output / path.name
            if path.is_dir():  # of chat templates; a rename cannot replace a non-empty folder
                shutil.rmtree(target, ignore_errors=True)
            else:
                follow_umask(path)  # safetensors makes files that only their owner can read
            path.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_manifest(
    output: Path,
    identity: RunIdentity,
    *,
    finished: bool,
    counts: Mapping[str, int] | None = None,
    timings: Mapping[str, float] | None = None,
) -> None:
    """Write `training.json`, atomically."""
    sidecar = make_sidecar(
        "training",
        config=identity.settings,
        inputs=[],
        packages=("torch", "transformers", "accelerate", "peft"),
        models={"policy": identity.content["weights"]},
        counts=counts,
        timings=timings,
    )
    own: dict[str, Any] = {
        "key": identity.key,
        "computed": dict(identity.computed),
        "content": dict(identity.content),
        "finished": finished,
    }
    if identity.trusted_code:
        own["trusted_code"] = dict(identity.trusted_code)
    if identity.dataset:
        own["dataset"] = dict(identity.dataset)
    write_json(output / MANIFEST, sidecar.model_dump() | own)


def _read_manifest(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        name, version = manifest["format"], manifest["version"]
    except (OSError, ValueError, KeyError, TypeError):
        message = "is not a readable training manifest; set train.resume=false to start over"
        raise InputError.of(path, message) from None
    check_format(path, str(name), str(version), expected="training")
    return dict(manifest)


def refuse_undeletable(output: Path) -> None:
    """Raise ConfigError for a folder with files that no training run writes: it is not deleted."""
    if not output.is_dir() or not any(output.iterdir()):
        return
    path = output / MANIFEST
    if not path.exists() or f'"{FORMAT_PREFIX}training"' not in path.read_text(encoding="utf-8"):
        raise ConfigError(f"{output}: has files but no training run, so it is not deleted")
    strange = [item.name for item in output.iterdir() if not _is_ours(item.name)]
    if strange:
        raise ConfigError(
            f"{output}: holds {', '.join(sorted(strange)[:5])}, which no training run writes, so "
            "it is not deleted; move that away or choose another output"
        )


def _start_over(output: Path) -> None:
    """Delete a run folder, and no other folder."""
    refuse_undeletable(output)
    if output.is_dir():
        shutil.rmtree(output)


def _is_ours(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in _WRITTEN)


def _holds_a_model(output: Path) -> bool:
    has_config = any((output / name).exists() for name in _PUBLISHED_LAST)
    return has_config and any(output.glob("*.safetensors"))


def _completed_step(checkpoint: Path) -> int | None:
    try:
        return int(read_state(checkpoint)["global_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _differences(manifest: Mapping[str, Any], identity: RunIdentity) -> str:
    """What differs, with names: 'learning_rate 1e-06 is now 5e-07'."""
    before = manifest.get("config", {})
    changed = [
        f"{name} {show_value(before.get(name))} is now {show_value(value)}"
        for name, value in identity.settings.items()
        if before.get(name) != value
    ]
    hashes = manifest.get("content", {})
    changed += [
        f"the {name} changed"
        for name, value in identity.content.items()
        if hashes.get(name) != value
    ]
    return ", ".join(changed) or "of an earlier version"
