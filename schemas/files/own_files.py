"""Which file a command may replace: one that the same command wrote and nobody changed.

The rule: what a person made, labelled or changed is never overwritten. A command recognises its own
file by the sidecar, and by the hash of the file where the sidecar has it (`seal`); a file without a
sidecar, by its content. Every other file is refused, with its name and what to do. An empty file
may be replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError
from schemas.files.jsonl import read_lines
from schemas.files.sidecar import Sidecar, describe_file, read_sidecar_values, sidecar_path
from schemas.files.writing import write_json

WRITTEN = "written"  # the key of a sidecar under which the hashes of the files are
# The second marker is in pages of earlier versions, which name no generator.
_MARKS_OF_PAGES = (
    b'<meta name="generator" content="maskdpo">',
    b"default-src 'none'; style-src 'unsafe-inline'",
)
IsOwn = Callable[[Mapping[str, Any]], bool]


def seal(sidecar: Sidecar, paths: Iterable[Path]) -> Sidecar:
    """The sidecar with the hash of each file that it describes, by the file's name."""
    written = {path.name: describe_file(path) for path in paths}
    return Sidecar(**{**sidecar.model_dump(), WRITTEN: written})


def is_sealed(path: Path) -> bool:
    """Whether the file at `path` is unchanged, by the hash in its sidecar."""
    written = read_sidecar_values(path).get(WRITTEN)
    entry = written.get(path.name) if isinstance(written, dict) else None
    return isinstance(entry, dict) and entry.get("sha256") == describe_file(path)["sha256"]


def renew_seal(path: Path) -> None:
    """Write the hash of the file as it is now into its sidecar, which must exist."""
    values = read_sidecar_values(path)
    values[WRITTEN] = {**values[WRITTEN], path.name: describe_file(path)}
    write_json(sidecar_path(path), values)


def refuse_to_replace(
    path: Path,
    is_own: IsOwn,
    *,
    what: str,
    by: str,
    option: str = "--output",
    sidecar_of: Path | None = None,
) -> None:
    """Raise ConfigError where `path` holds `what` that the command `by` did not write.

    is_own      whether a sidecar is that of the command
    option      names another file
    sidecar_of  the file whose sidecar describes `path`, where it is not `path` itself
    """
    if _holds_nothing(path):
        return
    values = read_sidecar_values(sidecar_of or path)
    written = values.get(WRITTEN)
    entry = written.get(path.name) if isinstance(written, dict) else {}
    if not values or not is_own(values) or not isinstance(entry, dict):
        raise ConfigError(_refusal(path, f"holds {what} that {by} did not write", option))
    if entry and entry.get("sha256") != describe_file(path)["sha256"]:
        message = f"holds {what} that were changed after {by} wrote them"
        raise ConfigError(_refusal(path, message, option))


def refuse_to_replace_unless(
    path: Path,
    is_own: Callable[[Path], bool],
    *,
    by: str,
    option: str = "--output",
    kind: str = "file",
) -> None:
    """Raise ConfigError where the content of `path` is not what the command `by` writes.

    option, kind   the option of the output, and whether it names a "file" or a "folder"
    """
    if not _holds_nothing(path) and not is_own(path):
        raise ConfigError(_refusal(path, f"is not a file that {by} wrote", option, kind))


def refuse_labels_of_people(path: Path, is_own: IsOwn, *, by: str) -> None:
    """Raise ConfigError where annotations at `path` hold a person's verdict.

    is_own    whether a sidecar is that of a run that imports people's verdicts
    """
    if _holds_nothing(path) or is_own(read_sidecar_values(path)):
        return
    for line, text in read_lines(path):
        if b'"person"' in text and _holds_label_of_person(text):
            message = f"holds labels of people (line {line}), which {by} would lose"
            raise ConfigError(_refusal(path, message, "--output"))


def has_keys(*names: str) -> Callable[[Path], bool]:
    """Whether a file is one JSON object, or begins with a row, that has all of these keys."""

    def is_own(path: Path) -> bool:
        try:
            text = path.read_text(encoding="utf-8")
            for part in (text, text.lstrip().split("\n", 1)[0]):
                try:
                    values = json.loads(part)
                except (ValueError, RecursionError):
                    continue
                return isinstance(values, dict) and set(names) <= set(values)
        except (OSError, ValueError):
            return False
        return False

    return is_own


def is_page(path: Path) -> bool:
    """Whether a file is an HTML page of this program, of this version or an earlier one."""
    try:
        with path.open("rb") as handle:
            head = handle.read(4_096)
            return any(mark in head for mark in _MARKS_OF_PAGES)
    except OSError:
        return False


def _holds_label_of_person(text: bytes) -> bool:
    try:
        sentences = json.loads(text)["sentences"]
        return any(item["verdict"]["source"] == "person" for item in sentences)
    except (ValueError, TypeError, KeyError, RecursionError):
        return True  # a row that cannot be read, and names a person, is not overwritten either


def _holds_nothing(path: Path) -> bool:
    """Whether nothing is lost when a file is replaced; a folder is refused elsewhere."""
    return not path.is_file() or path.stat().st_size == 0


def _refusal(path: Path, message: str, option: str, kind: str = "file") -> str:
    return (
        f"{path}: {message}, and it is not overwritten; move it away, or name another {kind} with: "
        f"{option} {kind.upper()}"
    )
