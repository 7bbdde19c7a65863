"""What can be reviewed under a path: annotations with their documents and reviews, and pairs.

The rule: nothing is guessed that another command does not take too: reviews are in the file that
`build` uses for these annotations, documents are found as `maskdpo show` finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from formats.reviews import REVIEWS_NAME
from maskdpo.show.documents import NAME as DOCUMENTS
from maskdpo.show.documents import locate_documents
from maskdpo.show.sources import Kind, find_source
from schemas.errors import InputError
from schemas.files.parquet_lines import is_parquet
from schemas.files.sidecar import check_sidecar
from schemas.records import Annotation

ANNOTATIONS = "annotations.jsonl"
MANIFEST = "manifest.json"
JOBS = "jobs"
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True)
class SourceFiles:
    """A file of annotations, or pairs, with the files that go with it.

    key      its part of an address, unique among the sources of a desk
    name     for people
    reviews  the file of decisions, which need not exist
    run      the folder of the run
    notes    sentences for the user
    """

    key: str
    name: str
    kind: Literal["annotations", "pairs"]
    path: Path
    documents: Path | None
    reviews: Path
    run: Path
    notes: Sequence[str] = ()


def find_sources(given: Path, *, documents: Path | None = None) -> list[SourceFiles]:
    """The sources of a file, of a data set folder, of a run, or of a folder of runs.

    documents   for all of them; None: those next to each, or of its run

    Raises InputError where there is nothing to review.
    """
    found = list(_find(given))
    if not found:
        raise InputError.of(
            given,
            f"holds nothing to review; it can be a file of annotations ({ANNOTATIONS}), the folder "
            "of a run, a data set folder, or a folder of runs. Annotations are made with: "
            "maskdpo annotate",
        )
    if documents is not None:
        found = [replace(one, documents=documents, notes=()) for one in found]
    return _with_keys(found)


def _find(given: Path) -> Iterator[SourceFiles]:
    if given.is_dir() and not (given / MANIFEST).is_file():
        yield from _of_run(given)
        if not (given / ANNOTATIONS).is_file():
            for folder in sorted(path for path in given.iterdir() if path.is_dir()):
                yield from _of_run(folder)
        return
    if not given.exists():
        raise InputError.of(
            given,
            "not found; name a run folder or a file of annotations, made with: maskdpo annotate",
        )
    source = find_source(str(given))
    if source.kind is Kind.RESPONSES:
        raise InputError.of(given, "holds responses without labels; label them: maskdpo annotate")
    if source.kind is Kind.ANNOTATIONS and (given.is_dir() or is_parquet(given)):
        raise InputError.of(
            given,
            "holds annotations in Parquet or in parts; the review desk reads one file of JSON "
            "Lines, so write them as one (docs/formats.md, Parquet)",
        )
    kind: Literal["annotations", "pairs"] = (
        "annotations" if source.kind is Kind.ANNOTATIONS else "pairs"
    )
    yield _files(given, given.name, kind, run=given.parent)


def _of_run(run: Path) -> Iterator[SourceFiles]:
    """The annotations of a run, of its jobs, and its data sets."""
    if (run / ANNOTATIONS).is_file():
        yield _files(run / ANNOTATIONS, run.resolve().name, "annotations", run=run)
    for path in sorted(run.glob(f"jobs/[!.]*/{ANNOTATIONS}")):
        name = f"{run.resolve().name}: job {path.parent.name}"
        yield _files(path, name, "annotations", run=run)
    for path in sorted(run.glob(f"*/{MANIFEST}")):
        yield _files(path.parent, f"{run.resolve().name}: {path.parent.name}", "pairs", run=run)


def _files(
    path: Path, name: str, kind: Literal["annotations", "pairs"], *, run: Path
) -> SourceFiles:
    if kind == "annotations":
        check_sidecar(path, Annotation.__name__)
    documents, notes = locate_documents(path, run / DOCUMENTS)
    return SourceFiles(
        key="",
        name=name,
        kind=kind,
        path=path,
        documents=documents,
        reviews=_reviews_of(path),
        run=run,
        notes=notes,
    )


def _reviews_of(path: Path) -> Path:
    """The file of decisions about a file: next to it. For a job's, that of the run, which `build`
    uses too: the service removes the folder of a job when it expires."""
    folder = path.resolve().parent
    if path.name == ANNOTATIONS and folder.parent.name == JOBS:
        return path.parent.parent.parent / REVIEWS_NAME
    return path.parent / REVIEWS_NAME


def _with_keys(found: Sequence[SourceFiles]) -> list[SourceFiles]:
    """The sources with keys made of their names; equal ones get a number."""
    keys: dict[str, None] = {}
    for one in found:
        plain = _PLAIN.sub("-", one.name).strip("-.") or "source"
        key, number = plain, 1
        while key in keys:
            number += 1
            key = f"{plain}-{number}"
        keys[key] = None
    return [replace(one, key=key) for one, key in zip(found, keys, strict=True)]
