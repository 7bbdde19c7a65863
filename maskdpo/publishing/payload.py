"""What a push sends: the files of a folder by name, the card, and faults in them.

The rule: a file is sent because a list names it, never because it exists. For a data set these are
the files in its manifest; for a model they are safetensors, JSON and tokenizer text, so that no
file that runs code on loading, no checkpoint and no optimiser state leaves this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from dataset_builder.folder.validate import validate_folder
from dataset_builder.folder.write import CARD_NAME, MANIFEST_NAME
from dataset_builder.pairs import public_name
from maskdpo.publishing.card_merge import merge_cards
from maskdpo.publishing.client import RepoType
from maskdpo.publishing.markdown import CardText, split_card
from maskdpo.publishing.model_card import TRAINING_NAME, ModelFacts, render_model_card
from maskdpo.publishing.people import People, find_people, refuse_names
from maskdpo.publishing.privacy import json_faults
from schemas.errors import Fault, InputError

MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    TRAINING_NAME,
)
# Keys under which libraries store the folder from which a model was loaded.
PLACE_KEYS = ("_name_or_path", "name_or_path")


@dataclass(frozen=True, kw_only=True)
class Payload:
    """The content of a folder, ready to be sent.

    files      content by name in the repository, without the card
    card       the card, from the folder or made here
    faults     texts that name this machine; a push stops if there are any
    left       files of the folder that are not sent
    people     the people that a data set names; None for a model
    """

    repo_type: RepoType
    files: Mapping[str, Path | bytes]
    card: CardText
    faults: Sequence[Fault]
    left: Sequence[str]
    people: People | None = None


def collect_payload(folder: Path, *, model: ModelFacts, allowed: frozenset[str]) -> Payload:
    """The payload of a data set or model folder of maskdpo.

    model      additions to the model card; not used for a data set

    Raises InputError when the folder is neither, is unfinished or has faults.
    """
    if not folder.is_dir():
        raise InputError.of(
            folder, "is not a folder; push takes the output folder of build or train"
        )
    if (folder / MANIFEST_NAME).exists():
        return _collect_dataset(folder, allowed)
    if (folder / TRAINING_NAME).exists():
        return _collect_model(folder, model, allowed)
    raise InputError.of(
        folder,
        f"has neither {MANIFEST_NAME} (maskdpo build) nor {TRAINING_NAME} (maskdpo train), so "
        "it is not pushed",
    )


def _collect_dataset(folder: Path, allowed: frozenset[str]) -> Payload:
    validation = validate_folder(folder)
    if validation.num_faults:
        shown = [
            Fault(path=str(folder / finding.file), line=None, message=str(finding))
            for finding in validation.findings
        ]
        raise InputError(shown)
    manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    people = find_people(folder, manifest)
    refuse_names(folder, manifest, people)
    names = [*manifest["files"], MANIFEST_NAME]
    return Payload(
        repo_type="dataset",
        files={name: folder / name for name in names},
        card=split_card((folder / CARD_NAME).read_text(encoding="utf-8")),
        faults=json_faults(MANIFEST_NAME, manifest, allowed=allowed),
        left=_left(folder, names),
        people=people,
    )


def _collect_model(folder: Path, facts: ModelFacts, allowed: frozenset[str]) -> Payload:
    training = _read_json(folder / TRAINING_NAME)
    if not training.get("finished"):
        raise InputError.of(folder, "has a training run that is not finished; run maskdpo train")
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in MODEL_FILES)
    )
    weights = [name for name in names if name.endswith(".safetensors")]
    if "config.json" not in names or not weights:
        raise InputError.of(folder, "has no model: config.json and *.safetensors are needed")
    for name in weights:
        _check_weights(folder / name)
    files: dict[str, Path | bytes] = {name: folder / name for name in names}
    faults: list[Fault] = []
    for name in names:
        if name.endswith(".json") and name != "tokenizer.json":
            values = _read_json(folder / name)
            public = _without_place(values)
            if public != values:
                files[name] = (json.dumps(public, indent=2, ensure_ascii=False) + "\n").encode()
            if name in (TRAINING_NAME, "config.json"):
                faults += json_faults(name, public, allowed=allowed)
    card = split_card(render_model_card(training, facts))
    if (folder / CARD_NAME).exists():
        present = split_card((folder / CARD_NAME).read_text(encoding="utf-8"))
        card = merge_cards(card, present).card
    return Payload(
        repo_type="model", files=files, card=card, faults=faults, left=_left(folder, names)
    )


def _left(folder: Path, names: Sequence[str]) -> list[str]:
    sent = {*names, CARD_NAME}
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted({path.relative_to(folder).as_posix() for path in found} - sent)


def _without_place(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: public_name(value) if key in PLACE_KEYS and isinstance(value, str) else value
        for key, value in values.items()
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise InputError.of(path, "cannot be read as a JSON object") from None


def _check_weights(path: Path) -> None:
    """Read the header of a safetensors file: an incomplete file is refused before it is sent."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as tensors:
            num_tensors = len(list(tensors.keys()))
    except (SafetensorError, OSError) as error:
        message = f"is not a complete safetensors file ({str(error).splitlines()[0]}); train again"
        raise InputError.of(path, message) from None
    if not num_tensors:
        raise InputError.of(path, "has no tensors; train again")
