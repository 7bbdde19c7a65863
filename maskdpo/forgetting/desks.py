"""What review desks keep next to annotations: removed, or written again without what is forgotten.

The rule: an index holds copies of reviews and texts and can always be made again, so all of it is
removed; the desk makes a new one. Who was shown labels cannot be made again: other rows stay.
"""

from __future__ import annotations

import json
from pathlib import Path

from maskdpo.forgetting.targets import Targets
from schemas.files.writing import atomic_writer

FOLDER = ".review"


def forget_in_desks(folder: Path, targets: Targets) -> None:
    """Remove `targets` from what desks keep anywhere in the run `folder`."""
    for place in sorted(folder.rglob(FOLDER)):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if any(suffix.startswith(".sqlite") for suffix in path.suffixes):
                path.unlink(missing_ok=True)
            elif path.name.endswith(".shown.jsonl"):
                _rewrite(path, targets)


def _rewrite(path: Path, targets: Targets) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not _is_forgotten(line, targets)]
    if kept != lines:
        with atomic_writer(path) as handle:
            handle.writelines(f"{line}\n" for line in kept)


def _is_forgotten(line: str, targets: Targets) -> bool:
    try:
        who, response = json.loads(line)
    except ValueError:
        return True  # cut off: it names nobody any more
    return targets.is_person(who) or response in targets.responses
