"""Reading what the command line wrote.

The rule: no row is lost in silence. One error lists every faulty row of a file; responses that
could not be judged are in a file of their own, which `load_failures` reads.
"""

from __future__ import annotations

from pathlib import Path

from maskdpo.api.inputs import Documents, read_documents
from maskdpo.api.results import JudgedResponse
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Failure
from schemas.stage import failures_path


def load_annotations(path: str | Path, documents: Documents = ()) -> list[JudgedResponse]:
    """The judged responses of an annotations.jsonl, in the order of the file.

    documents   as in `maskdpo.annotate`; evidence of other documents has its place and no text

    Raises InputError with every fault of the file.
    """
    known = {document.id: document for document in read_documents(documents)}
    return [
        JudgedResponse.with_documents(record, known) for record in read_records(path, Annotation)
    ]


def load_failures(path: str | Path) -> list[Failure]:
    """The responses that `maskdpo annotate` could not judge while it wrote `path`; often none."""
    failed = failures_path(path)
    return read_records(failed, Failure) if failed.exists() else []
