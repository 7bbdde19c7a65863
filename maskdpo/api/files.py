"""Annotations in files, as the command line reads and writes them.

The rule: no row is lost silently. One error lists every faulty row of a file; responses that
could not be judged are in a file of their own (`NAME.failed.jsonl`); and a file that holds other
work, or what a person decided, is not overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from maskdpo.api.given import read_path
from maskdpo.api.inputs import GIVE_IDS, Documents, read_documents, refuse_equal_id
from maskdpo.api.pairs import read_annotations
from maskdpo.api.results import JudgedResponse
from schemas.errors import ConfigError
from schemas.files.jsonl import read_records, write_records
from schemas.files.own_files import has_keys, refuse_labels_of_people
from schemas.files.sidecar import make_sidecar, write_sidecar
from schemas.records import Annotation, Failure
from schemas.stage import failures_path, write_failures


def load_annotations(path: str | Path, documents: Documents = ()) -> list[JudgedResponse]:
    """The judged responses of an annotations.jsonl, in the order of the file.

    documents   as in `maskdpo.annotate`; evidence of other documents has its place and no text

    Raises InputError with every fault of the file.
    """
    path = read_path("path", path)
    known = {document.id: document for document in read_documents(documents)}
    return [JudgedResponse.of(record, known) for record in read_records(path, Annotation)]


def load_failures(path: str | Path) -> list[Failure]:
    """The responses that `maskdpo annotate` could not judge while it wrote `path`; often none.

    Raises InputError with every fault of their file.
    """
    failed = failures_path(read_path("path", path))
    return read_records(failed, Failure) if failed.exists() else []


def save_annotations(
    path: str | Path, annotations: Iterable[JudgedResponse | Annotation | Failure]
) -> int:
    """Write judged responses to `path`, as `maskdpo build` reads them; returns their number.

    Results are written as they come, so `annotations` may be what `annotate` returns. A `Failure`
    goes to `NAME.failed.jsonl`. The file has its name when it is whole. Raises ConfigError where
    `path` holds something else than annotations, or what a person decided; InputError where a row
    is none, or two have one id.
    """
    path = read_path("path", path)
    rows = read_annotations(annotations)
    refuse_other_work(path, by="maskdpo.save_annotations")
    failures: list[Failure] = []
    count = write_records(path, _records(rows, failures))
    write_failures(path, failures)
    counts = {"responses": count + len(failures), "failed": len(failures)}
    write_sidecar(path, make_sidecar("annotation", config={}, inputs={}, counts=counts))
    return count


def _records(rows: Iterable[Annotation | Failure], failures: list[Failure]) -> Iterator[Annotation]:
    first: dict[str, int] = {}
    for at, row in enumerate(rows):
        if isinstance(row, Failure):
            failures.append(row)
            continue
        refuse_equal_id(at, row.id, first, name="annotations", advice=GIVE_IDS)
        yield row


def refuse_other_work(path: Path, *, by: str) -> None:
    """Raise ConfigError where `path` holds something else than annotations of a judge."""
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return
    kept = f"{path} {{}}, so it is not overwritten; move it away or give another name"
    if not has_keys("id", "sentences")(path):
        raise ConfigError(kept.format("holds no annotations"))
    try:
        refuse_labels_of_people(path, lambda _: False, by=by)
    except ConfigError:
        raise ConfigError(kept.format("holds what people decided")) from None
