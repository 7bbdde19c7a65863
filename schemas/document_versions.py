"""Whether evidence was located in the texts that the documents have now.

The rule: an offset into a text that has changed since is never shown as a quotation. `ingest` keeps
in its sidecar, under `history`, one entry for each time it replaced its output with other
documents: the hash of what it replaced, and the ids of the documents whose text changed or that
were removed. The sidecar of annotations has the hash of the documents that the judge read. Together
they give the ids whose offsets no longer fit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.files.sidecar import base_name, describe_file, read_sidecar_values

HISTORY = "history"
EARLIER = "earlier_sha256"
CHANGED = ("by_reader", "by_file", "unknown", "gone")  # lists of ids in an entry
_NAMES_SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class StaleDocuments:
    """Documents that changed since annotations were made.

    ids           of documents whose text was different then
    unmatched     documents files that the annotations were not made with, and whose
                  history does not name the right ones either: nothing is known about their texts
    """

    ids: frozenset[str]
    unmatched: Sequence[Path]


def find_stale_documents(annotations: Iterable[Path], documents: Iterable[Path]) -> StaleDocuments:
    """Compare the documents that annotations name in their sidecars with the present files.

    Annotations without a sidecar (imported, or made by hand) name no documents and are not checked.
    """
    read_by_judge: dict[str, str] = {}  # hash -> base name
    for path in annotations:
        for name, entry in _mapping(read_sidecar_values(path).get("inputs")).items():
            read_by_judge[str(_mapping(entry).get("sha256"))] = base_name(name)
    ids: set[str] = set()
    unmatched = []
    for path in filter(Path.is_file, documents):
        if describe_file(path)["sha256"] in read_by_judge:
            continue
        since = _ids_since(read_history(path), read_by_judge)
        if since is not None:
            ids |= since
        elif path.name in read_by_judge.values():
            unmatched.append(path)
    return StaleDocuments(ids=frozenset(ids), unmatched=unmatched)


def _ids_since(
    history: Sequence[Mapping[str, Any]], hashes: Collection[str]
) -> frozenset[str] | None:
    """Ids that changed since the documents had one of `hashes`.

    None when they never had one of them.
    """
    ids: set[str] = set()
    for entry in reversed(history):
        ids |= {str(item) for key in CHANGED for item in entry.get(key) or ()}
        if entry.get(EARLIER) in hashes:
            return frozenset(ids)
    return None


def notes_on_stale(stale: StaleDocuments, consequence: str) -> list[str]:
    """Warnings for the user; `consequence` says what happens to evidence: 'is not quoted'."""
    notes = []
    if stale.ids:
        names = sorted(stale.ids)
        shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
        notes.append(
            f"warning: the texts of {len(names)} documents changed since they were annotated, so "
            f"evidence in them {consequence}: {shown}; annotate again to locate it"
        )
    for path in stale.unmatched:
        notes.append(
            f"warning: {path.name} is not the file that the annotations were made with, and its "
            "history does not name that file; evidence may not fit its texts: annotate again"
        )
    return notes


def read_history(documents: Path) -> list[dict[str, Any]]:
    """The entries of the sidecar of `documents`, oldest first; [] where it has none."""
    entries = read_sidecar_values(documents).get(HISTORY)
    return [item for item in entries if isinstance(item, dict)] if isinstance(entries, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
