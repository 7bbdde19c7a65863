"""The run config: one YAML file, one section per package (`config_sections`), composed here.

The rule: every section in the file is checked, also those that a command does not use: a mistyped
key of `train` is reported before `sample` costs anything. An error names the file, or the --set
that gave the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from maskdpo.cli.setting_hints import blame, hint_for_override
from maskdpo.config_sections import SECTIONS, RunSection, section_model, use_present_names
from maskdpo.recipes import find_run_config
from schemas.config import Section
from schemas.errors import ConfigError, nearest
from schemas.files.yaml_files import YamlFault, parse_yaml, read_yaml
from schemas.secret_values import ADVICE, hide_keys
from schemas.validation import describe_errors, show_value

SectionT = TypeVar("SectionT", bound=Section)

# Required settings for which a command also has an option.
_OPTIONS = {
    ("sample", "model"): "--model NAME",
    ("questions", "model"): "--model NAME",
    ("train", "model"): "--model MODEL",
    ("evaluate", "models"): "--model NAME=MODEL",
    ("skills", "tasks"): "--task TASK",
}


class RunConfig:
    """The sections of one run config as raw values; `section` returns a checked one."""

    def __init__(
        self,
        values: Mapping[str, Mapping[str, Any]],
        *,
        where: str,
        overrides: Iterable[str] = (),
    ) -> None:
        self._values = values
        self._where = where
        self._overrides = tuple(overrides)
        faults = [text for name in values for text in self._faults(name)]
        if faults:
            raise ConfigError("\n".join(faults))

    def section(self, model: type[SectionT], name: str, /, **given: Any) -> SectionT:
        """The checked section `name`; options in `given` that are not None override the file."""
        chosen = {key: value for key, value in given.items() if value is not None}
        values = {**self._values.get(name, {}), **chosen}
        missing = [
            key
            for key, field in model.model_fields.items()
            if field.is_required() and key not in values
        ]
        if missing:  # other faults were raised when the config was loaded
            raise ConfigError("\n".join(_ask_for(self._where, name, key) for key in missing))
        return model.parse(values, where=f"{self._where}: {name}")

    @property
    def names(self) -> tuple[str, ...]:
        """The sections that the file or an override sets."""
        return tuple(self._values)

    def given(self, name: str, key: str) -> Any:
        """One setting from the file or an override, unchecked; None when neither sets it."""
        return self._values.get(name, {}).get(key)

    def with_file(self, path: Path) -> RunConfig:
        """The run config of another file, with the overrides of this one."""
        return load_run_config(path, self._overrides)

    @property
    def run(self) -> RunSection:
        """Where this run reads and writes."""
        return self.section(RunSection, "run")

    def _faults(self, name: str) -> list[str]:
        """Faults of one section, except missing keys: an option may still give those."""
        model = section_model(name)
        try:
            model.model_validate(self._values[name])
        except ValidationError as error:
            texts = describe_errors(error, model)
            details = error.errors(include_url=False)
            return [
                f"{self._blamed(name, detail['loc'])}: {text}"
                for text, detail in zip(texts, details, strict=True)
                if detail["type"] != "missing"
            ]
        return []

    def _blamed(self, name: str, place: tuple[int | str, ...]) -> str:
        """Where a wrong value comes from: an override, or the file and its section."""
        override = blame((name, *map(str, place)), self._overrides)
        if override:
            key, _, value = override.partition("=")
            return f"--set {key}={show_value(value)[1:-1]}"
        is_touched = any(item.startswith(f"{name}.") for item in self._overrides)
        also = " with --set" if is_touched and not place and self._where != "settings" else ""
        return f"{self._where}{also}: {name}"


def _ask_for(where: str, section: str, key: str) -> str:
    """The message for a required setting that is not given."""
    option = _OPTIONS.get((section, key))
    first = f"{option}, " if option else ""
    start, file = ("", "a --config FILE") if where == "settings" else (f"{where}: ", "this file")
    return (
        f"{start}{section}.{key} is missing; give it with {first}--set {section}.{key}=VALUE, or "
        f"in the section {section!r} of {file}"
    )


def load_run_config(path: Path | None, overrides: Iterable[str] = ()) -> RunConfig:
    """The run config of a YAML file (or of defaults) with `section.key=value` overrides.

    `path` may be the name of a packaged run config; see `maskdpo.recipes.find_run_config`.
    A setting under its former name is accepted, and a note gives the present name. Raises
    ConfigError for an unreadable file, bad YAML, an unknown section or key, a bad value.
    """
    path = find_run_config(path) if path else None
    values = _read_yaml(path) if path else {}
    where = str(path) if path else "settings"
    for name, section in values.items():
        if name not in SECTIONS:
            raise ConfigError(f"{where}: unknown section {name!r}; {nearest(name, [*SECTIONS])}")
        if not isinstance(section, dict):
            raise ConfigError(
                f"{where}: section {name!r} must contain keys, found {show_value(section)}"
            )
    values, overrides, notes = use_present_names(values, tuple(overrides), where=where)
    for override in overrides:
        _apply(values, override)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    return RunConfig(values, where=where, overrides=overrides)


def _read_yaml(path: Path) -> dict[str, dict[str, Any]]:
    loaded = read_yaml(path)
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        found = show_value(loaded)
        raise ConfigError(f"{path}: must contain sections ({', '.join(SECTIONS)}), found {found}")
    return {str(name): {} if section is None else section for name, section in loaded.items()}


def _apply(values: dict[str, dict[str, Any]], override: str) -> None:
    """Put `section.key[.key]=value` into `values`; the value is read as YAML."""
    target, equals, raw = override.partition("=")
    if hide_keys(target) != target:
        raise ConfigError(f"--set: holds what looks like a key; {ADVICE}")
    section, *keys = target.strip().split(".")
    if not equals or not keys:
        hint = hint_for_override(target.strip(), raw or "VALUE") if target.strip() else ""
        raise ConfigError(f"--set {show_value(override)}: must look like section.key=value{hint}")
    if section not in SECTIONS:
        hint = hint_for_override(target.strip(), raw) or f"; {nearest(section, [*SECTIONS])}"
        raise ConfigError(f"--set {show_value(override)}: unknown section {section!r}{hint}")
    place = values.setdefault(section, {})
    if keys[:-1] and _is_true_for_defaults(section, keys[0], place):
        place[keys[0]] = {}
    for key in keys[:-1]:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise ConfigError(f"--set {show_value(override)}: {key!r} is a value and has no keys")
    try:
        place[keys[-1]] = parse_yaml(raw)
    except YamlFault:
        shown = show_value(raw)
        raise ConfigError(f"--set {show_value(override)}: {shown} is not valid YAML") from None


def _is_true_for_defaults(section: str, key: str, values: Mapping[str, Any]) -> bool:
    """Whether a setting with a section is `true` so far: then it also has keys."""
    return values.get(key) is True and key in section_model(section).TRUE_FOR_DEFAULTS
