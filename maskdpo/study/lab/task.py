"""A task of the study, what its code is given, and its result.

The rule: a task's key covers everything that decides its result: kind, version of the kind, all
settings (defaults included, so that a changed default is another task) and the keys of its inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from maskdpo.study.lab.kinds import find_kind, load_target
from schemas.config import Section
from schemas.errors import ConfigError
from schemas.hashing import content_key

_SHOWN_OF_KEY = 16
Settings = TypeVar("Settings", bound=Section)


class Impossible(Exception):
    """A task cannot be done with these inputs, and neither can those that need it; the message is
    one sentence for the user. It is a result, and is not tried again."""


@dataclass(frozen=True, eq=False)
class Task:
    """Work with a content key. Tasks with equal keys are equal.

    settings    JSON values; completed with the kind's defaults when the task is made
    inputs      other tasks, by the name under which the kind uses them

    Raises ConfigError for an unknown kind, a wrong setting or a wrong input.
    """

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Task] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = find_kind(self.kind)
        section = load_target(kind.settings)
        checked = section.parse(self.settings, where=f"task of kind {self.kind!r}")
        object.__setattr__(self, "settings", checked.model_dump(mode="json"))
        object.__setattr__(self, "inputs", dict(self.inputs))
        self._check_inputs(kind.inputs)

    def _check_inputs(self, needed: Mapping[str, Sequence[str]]) -> None:
        given = {name: task.kind for name, task in self.inputs.items()}
        fits = given.keys() == needed.keys() and all(
            given[name] in kinds for name, kinds in needed.items()
        )
        if not fits:
            wanted = ", ".join(f"{name} ({' or '.join(kinds)})" for name, kinds in needed.items())
            found = ", ".join(f"{name} ({kind})" for name, kind in given.items())
            raise ConfigError(
                f"task of kind {self.kind!r}: its inputs are {found or 'none'}, but must be "
                f"{wanted or 'none'}"
            )

    @cached_property
    def key(self) -> str:
        """SHA-256 (hex) over kind, version, settings and the keys of the inputs."""
        return content_key(self._identity)

    @property
    def _identity(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "version": find_kind(self.kind).version,
            "settings": dict(self.settings),
            "inputs": {name: task.key for name, task in self.inputs.items()},
        }

    @property
    def name(self) -> str:
        """The name of the task's folder: KIND-KEY, with the first 16 digits of the key."""
        return f"{self.kind}-{self.key[:_SHOWN_OF_KEY]}"

    def describe(self) -> dict[str, Any]:
        """The task for people, as in task.json: its inputs are named by their folders."""
        inputs = {name: task.name for name, task in self.inputs.items()}
        return {**self._identity, "inputs": inputs, "key": self.key}

    def walk(self) -> Iterator[Task]:
        """The task and all that it depends on; a shared one may come more than once."""
        yield self
        for task in self.inputs.values():
            yield from task.walk()

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and other.key == self.key


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of a task that ended.

    folder       where its files are
    values       what the kind reports, as in result.json; empty where `impossible`
    cpu_seconds  of the process that did it, from its start to its end
    impossible   why the task, or one that it needs, cannot be done; empty where it was done
    """

    folder: Path
    values: Mapping[str, Any]
    cpu_seconds: float = 0.0
    impossible: str = ""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A task as its kind's code gets it.

    folder      the task's own folder; files of an attempt that was killed may be in it
    inputs      the results of the inputs, by name
    """

    task: Task
    folder: Path
    inputs: Mapping[str, Result]

    def settings(self, section: type[Settings]) -> Settings:
        """The task's settings as an object of the kind's class."""
        return section.parse(self.task.settings, where=f"task {self.task.name}")
