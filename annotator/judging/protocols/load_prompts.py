"""Reads prompts: the shared file of a language, the protocol's file, and the user's folder, which
overrides both.

The rule: the texts of a protocol, and its fingerprint, come from the shared file and from its own
folder, never from the folder of another protocol. A key that no protocol knows is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from annotator.judging.protocols.prompts import (
    LANGUAGES,
    SHARED_PROMPTS,
    WRONG_WORDS,
    WRONG_WORDS_PROMPTS,
    Placeholders,
    Prompts,
    wording_language,
)
from annotator.judging.protocols.protocol import JudgingProtocol
from annotator.judging.protocols.table import PROTOCOLS
from schemas.errors import ConfigError, nearest
from schemas.files.yaml_files import read_yaml
from schemas.validation import describe_errors

Texts = Mapping[str, Placeholders]


def load_prompts(
    language: str,
    folder: Path | None = None,
    *,
    protocol: JudgingProtocol | None = None,
    ask_spans: bool = False,
) -> Prompts:
    """The prompts for texts of `language`: Chinese ones for 'zh', else English ones.

    They hold the texts of the shared file and those of `protocol`; with `ask_spans` also the one
    that asks for the wrong words, if the protocol can ask for them. `folder` may hold files of the
    same names; a key given there replaces the built-in one, including keys of `faults`, and may
    belong to another protocol. Raises ConfigError for a folder without such a file, bad YAML, an
    unknown or empty key, a key given twice.
    """
    name = f"{wording_language(language)}.yaml"
    path, texts = SHARED_PROMPTS / name, _texts_of(SHARED_PROMPTS)
    values = dict(_read(path))
    if protocol is not None and protocol.folder != SHARED_PROMPTS:
        path, texts = protocol.folder / name, {**texts, **protocol.texts}
        values |= _read(path)
    if ask_spans and protocol is not None and protocol.can_ask_spans:
        texts = {**texts, WRONG_WORDS: Placeholders()}
        values |= _read(WRONG_WORDS_PROMPTS / name)
    if folder is not None:
        path, changed = folder / name, _read_own(folder, name, known=texts)
        if isinstance(changed.get("faults"), dict):
            changed["faults"] = values["faults"] | changed["faults"]
        values |= changed
    return _check(values, texts, path)


def _texts_of(folder: Path) -> dict[str, Placeholders]:
    """The texts of the protocols whose prompts are in `folder`."""
    found = [item.texts for item in PROTOCOLS.values() if item.folder == folder]
    return {name: placeholders for texts in found for name, placeholders in texts.items()}


def _read_own(folder: Path, name: str, *, known: Texts) -> dict[str, Any]:
    """The keys of the user's file `name`, without those that are not used here."""
    if not folder.is_dir():
        raise ConfigError(f"prompts {str(folder)!r} is not a folder; give one that holds en.yaml")
    if not any((folder / f"{language}.yaml").exists() for language in LANGUAGES):
        raise ConfigError(f"prompts {str(folder)!r} holds neither en.yaml nor zh.yaml")
    path = folder / name
    others = {key for item in PROTOCOLS.values() for key in item.texts} | {WRONG_WORDS}
    given = _read(path) if path.exists() else {}
    return {key: value for key, value in given.items() if key not in others - set(known)}


def _check(values: Mapping[str, Any], texts: Texts, path: Path) -> Prompts:
    """`values` as prompts; ConfigError that names `path` and the key for any fault."""
    try:
        prompts = Prompts.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe_errors(error, Prompts)[0]}") from None
    known = [*Prompts.model_fields, *texts]
    for name in values:
        if name not in known:
            raise ConfigError(f"{path}: unknown key {str(name)!r}; {nearest(str(name), known)}")
    for name, placeholders in texts.items():
        if name not in values:
            raise ConfigError(f"{path}: required key {name!r} is missing")
        fault = placeholders.fault(name, prompts.text(name))
        if fault:
            raise ConfigError(f"{path}: {fault}")
    return prompts


@lru_cache(maxsize=16)
def _read_cached(path: Path, _changed: int) -> Mapping[str, Any]:
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold prompts by name, found {type(values).__name__}")
    return values


def _read(path: Path) -> Mapping[str, Any]:
    return _read_cached(path, path.stat().st_mtime_ns)
