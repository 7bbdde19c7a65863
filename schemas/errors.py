"""Every error that a user can see, and the exit code with which it ends a command.

    MaskDpoError                 the base: one clear sentence, no traceback
    |- InputError          2     a file or a row is wrong; nothing was spent
    |- ConfigError         2     a setting is wrong; nothing was spent
    |- MissingPackageError 2     a command needs an extra that is not installed
    |- TooManyFailuresError 1    the run is complete, with more failed rows than allowed
    |- BackendError        3     a server or a device failed; rerun to continue
    `- LimitReachedError   3     a limit on calls, tokens or money; raise it and rerun to continue

A sentence names the thing, the bad value, what is allowed and, where there is one, the next
command to run. A single bad row inside otherwise good work does not raise an exception: it is a
`Failure` record (see `schemas.records`), counted and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from schemas.secret_values import hide_keys

MAX_FAULTS_SHOWN = 20
MAX_NAMES_SHOWN = 16


class MaskDpoError(Exception):
    """Base of all errors with a message for the user; `exit_code` ends the command.

    A message never contains an API key, whatever its source.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(hide_keys(message))


class ConfigError(MaskDpoError):
    """A setting is unknown, of the wrong type or out of range."""

    exit_code = 2


class MissingPackageError(MaskDpoError):
    """A package that only some commands need is not installed; `schemas.packages` raises it."""

    exit_code = 2


class TooManyFailuresError(MaskDpoError):
    """The run is complete, yet more rows failed than `max_failed` allows."""

    exit_code = 1


class BackendError(MaskDpoError):
    """A server or device failed. Finished work is kept; the same command continues."""

    exit_code = 3


class LimitReachedError(MaskDpoError):
    """A limit on calls, tokens or money was reached. What was paid for is kept."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing wrong with one input file; `line` counts from 1, None means the whole file."""

    path: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.message}"


class InputError(MaskDpoError):
    """One or more faults in input files: all of them, not only the first."""

    exit_code = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = list(faults)
        shown = [str(fault) for fault in self.faults[:MAX_FAULTS_SHOWN]]
        if len(self.faults) > MAX_FAULTS_SHOWN:
            shown.append(f"... and {len(self.faults) - MAX_FAULTS_SHOWN} more faults")
        super().__init__("\n".join(shown))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.faults,)  # also when it comes from another process

    @classmethod
    def of(cls, path: object, message: str, *, line: int | None = None) -> InputError:
        """An error of a single fault."""
        return cls([Fault(path=str(path), line=line, message=message)])


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint for a mistyped name: "did you mean 'X'?", else the known names, or the nearest
    three."""
    match = get_close_matches(name, known, n=1, cutoff=0.6)
    if match:
        return f"did you mean {match[0]!r}?"
    if len(known) <= MAX_NAMES_SHOWN:
        return f"known: {', '.join(sorted(known))}"
    closest = get_close_matches(name, known, n=3, cutoff=0.0)
    return f"the nearest of {len(known)} known: {', '.join(closest)}"
