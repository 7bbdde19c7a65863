"""The result of reading a folder, and the sidecar that records it.

The rule: everything that later commands need to know about a reading (the hash of each file, the
version of the readers, what was left out, what earlier runs wrote) is in the sidecar.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from annotator.documents.ingest_changes import READER_VERSION, Changes, Earlier, extend_history
from annotator.documents.ingest_config import IngestConfig
from annotator.documents.ingest_notes import Readings
from schemas.document_versions import HISTORY
from schemas.files.own_files import seal
from schemas.files.sidecar import Sidecar, describe_file, make_sidecar, write_sidecar
from schemas.records import Failure

_PACKAGES = (
    *("selectolax", "pypdfium2", "markdown-it-py", "mdit-py-plugins", "mammoth"),
    "charset-normalizer",
)


@dataclass(kw_only=True, slots=True)
class IngestOutcome:
    """The result of reading the files, filled in while documents are written.

    texts     hash of each document's text, by id, with `first_with`, the ids by that hash
    files     hash of each file's bytes, by id
    digest    of all that was read, names and bytes, in order

    num_stated counts documents whose language the settings or the file state; `contradicting` are
    the ids of those that are surely in another one.
    """

    failures: list[Failure] = field(default_factory=list)
    duplicates: list[Failure] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    readings: Readings = field(default_factory=Readings)
    first_with: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    num_bytes: int = 0
    num_stated: int = 0
    contradicting: list[str] = field(default_factory=list)

    def count_all(self, changes: Changes | None) -> dict[str, int]:
        """The counts of a run, for its sidecar and the terminal."""
        changed = {} if changes is None else {"changed": len(changes.with_other_text)}
        return {
            "documents": len(self.first_with),
            "failed": len(self.failures),
            "duplicates": len(self.duplicates),
            **{name: self.counts[name] for name in sorted(self.counts)},
            **self.readings.counts(),
            **changed,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerun:
    """An earlier output at the same place, and what this run changed in it."""

    earlier: Earlier
    changes: Changes


def write_ingest_sidecar(
    output: Path,
    config: IngestConfig,
    outcome: IngestOutcome,
    *,
    folder: Path,
    num_files: int,
    counts: Mapping[str, int],
    rerun: Rerun | None,
    total_s: float,
) -> None:
    """Write the sidecar of the documents in `output`, which were read from `folder`."""
    sidecar = make_sidecar(
        "document",
        config=config.model_dump(mode="json"),
        inputs={
            folder.resolve().name or "/": {
                "sha256": outcome.digest.hexdigest(),
                "bytes": outcome.num_bytes,
                "files": num_files,
            }
        },
        packages=(*_PACKAGES, "py3langid"),
        counts=counts,
        timings={"total_s": total_s},
    )
    extra = _describe_reading(output, outcome, rerun)
    write_sidecar(output, seal(Sidecar(**{**sidecar.model_dump(), **extra}), [output]))


def _describe_reading(output: Path, outcome: IngestOutcome, rerun: Rerun | None) -> dict[str, Any]:
    """The fields of a sidecar of documents, in addition to those of every stage."""
    history: list[Mapping[str, Any]] = []
    if rerun is not None:
        sha256 = describe_file(output)["sha256"]
        history = extend_history(rerun.earlier, rerun.changes, sha256=sha256)
    return {
        "reader_version": READER_VERSION,
        "files": outcome.files,
        "dropped": {
            name: [asdict(item) for item in items]
            for name, items in outcome.readings.dropped.items()
        },
        "not_read": outcome.readings.not_read,
        HISTORY: history,
    }
