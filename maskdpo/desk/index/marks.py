"""The state of the files that an index was made from.

The rule: while size and time of change are the same, the content counts as the same; the index
also names its own version and where the files are. A changed file gives another mark, and a new
index.
"""

from __future__ import annotations

import json
from pathlib import Path

from maskdpo.desk.index.build import VERSION


def mark_of(annotations: Path, documents: Path | None) -> str:
    """What an index of these files in their present state is marked with."""
    return json.dumps([VERSION, _state(annotations), documents and _state(documents)])


def _state(path: Path) -> list[object]:
    found = path.stat()
    return [str(path.resolve()), found.st_size, found.st_mtime_ns]
