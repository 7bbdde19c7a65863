"""`ingest`: a folder of txt, md, html, docx and pdf files in, documents out.

The rule: a document's text is made here once and never again, since every offset of a verdict
refers to it. What decides it is the file and the settings, in the order of the files' names:
the same folder gives the same bytes, and nothing is invented that neither file nor settings say.

What a document is made of, the first that there is:

    id         the path in the folder
    title      front matter, the only first heading, the page's or PDF's title; else the file's name
    topic      front matter; else the file's path, its folder or its title (setting `topic`)
    language   front matter; the setting `language`; else detected in the text
    source     front matter, a page's canonical address; else the path in the folder
    license    front matter, page or PDF; the setting `license`; 'see' the nearest LICENSE file; ''
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from annotator.documents.folder import FoundFile, FoundFiles, find_files, read_file, stem_of
from annotator.documents.ingest_changes import (
    READER_VERSION,
    extend_history,
    find_changes,
    hash_text,
    read_earlier,
)
from annotator.documents.ingest_config import IngestConfig
from annotator.documents.ingest_notes import (
    Readings,
    notes_on_changes,
    notes_on_files,
    notes_on_language,
    notes_on_readings,
    shown_counts,
)
from annotator.documents.readers.file_text import FileText, UnreadableError
from annotator.documents.readers.read import FORMAT_OF_SUFFIX
from annotator.documents.readers.worker import ReaderProcess
from schemas.document_versions import HISTORY
from schemas.errors import ConfigError, Fault, InputError
from schemas.files.jsonl import write_records
from schemas.files.own_files import refuse_to_replace, seal
from schemas.files.sidecar import Sidecar, describe_file, make_sidecar, sidecar_path, write_sidecar
from schemas.records import Document, Failure
from schemas.stage import StageResult, failures_path, write_failures
from schemas.text.language import is_in_another_language, resolve_language
from schemas.text.language_codes import AUTO

STAGE = "ingest"
_PACKAGES = (
    *("selectolax", "pypdfium2", "markdown-it-py", "mdit-py-plugins", "mammoth"),
    "charset-normalizer",
)


@dataclass(kw_only=True, slots=True)
class _Outcome:
    """What reading the files came to, filled in while documents are written.

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


def run_ingest(
    config: IngestConfig, *, folder: Path, output: Path, show_progress: bool = True
) -> StageResult:
    """Read every file under `folder` and write `output`, its sidecar and its failed rows.

    Files that give no text, and second files with a text seen before (reason `duplicate`), stand
    in the `.failed` file; duplicates are counted in a note and are no failures. Raises InputError
    when `folder` is missing, holds nothing to read, or nothing in it can be read; then nothing is
    written. Raises ConfigError when `output` is a folder or a file to be read.
    """
    started = time.perf_counter()
    if output.is_dir():
        raise ConfigError(f"output {str(output)!r} is a folder; name a file in it")
    own = [output, sidecar_path(output), failures_path(output)]
    found = find_files(folder, ignored=own if output.suffix == ".jsonl" else own[1:])
    _refuse(found, folder, output)
    refuse_to_replace(output, _is_of_ingest, what="documents", by="maskdpo ingest")
    outcome = _Outcome()
    earlier = read_earlier(output)
    write_records(output, _make_documents(config, folder, found, outcome, show=show_progress))
    write_failures(output, [*outcome.failures, *outcome.duplicates])
    num_failed = len(outcome.failures)
    counts = {
        "documents": len(outcome.first_with),
        "failed": num_failed,
        "duplicates": len(outcome.duplicates),
        **{name: outcome.counts[name] for name in sorted(outcome.counts)},
        **outcome.readings.counts(),
    }
    changes = None
    if earlier is not None:
        changes = find_changes(earlier, texts=outcome.texts, files=outcome.files)
        counts["changed"] = len(changes.with_other_text)
    sidecar = make_sidecar(
        "document",
        config=config.model_dump(mode="json"),
        inputs=[],
        packages=(*_PACKAGES, "py3langid"),
        counts=counts,
        timings={"total_s": time.perf_counter() - started},
    )
    name = folder.resolve().name or "/"
    inputs = {
        name: {
            "sha256": outcome.digest.hexdigest(),
            "bytes": outcome.num_bytes,
            "files": len(found.files),
        }
    }
    extra: dict[str, Any] = {
        "reader_version": READER_VERSION,
        "files": outcome.files,
        "dropped": {
            name: [asdict(item) for item in items]
            for name, items in outcome.readings.dropped.items()
        },
        "not_read": outcome.readings.not_read,
        HISTORY: [],
    }
    if earlier is not None and changes is not None:
        sha256 = describe_file(output)["sha256"]
        extra[HISTORY] = extend_history(earlier, changes, sha256=sha256)
    made = Sidecar(**{**sidecar.model_dump(), "inputs": inputs, **extra})
    write_sidecar(output, seal(made, [output]))
    return StageResult(
        output=output,
        num_rows=len(outcome.first_with) + num_failed,
        failures=outcome.failures,
        counts=counts,
        notes=[
            *notes_on_files(
                found, [failure.id for failure in outcome.duplicates], failures_path(output).name
            ),
            *notes_on_readings(outcome.readings, sidecar_path(output).name),
            *notes_on_language(outcome.contradicting, outcome.num_stated, config.language),
            *(
                notes_on_changes(earlier, changes, sidecar_path(output).name)
                if earlier is not None and changes is not None
                else ()
            ),
        ],
    )


def make_document(
    config: IngestConfig, file: FoundFile, text: FileText, *, folder_name: str
) -> Document:
    """The record of one file, filled as the table above says."""
    path = PurePosixPath(file.id)
    title = text.title or PurePosixPath(stem_of(file.id)).name
    parent = str(path.parent) if path.parent != PurePosixPath() else folder_name
    topic = {"file": stem_of(file.id), "folder": parent, "title": title}[config.topic]
    see = f"see {file.license_file}" if file.license_file else ""
    return Document(
        id=file.id,
        text=text.text,
        title=title,
        topic=text.topic or topic,
        language=text.language or resolve_language(config.language, text.text),
        source=text.source or file.id,
        license=text.license or config.license or see,
    )


def _is_of_ingest(values: Mapping[str, Any]) -> bool:
    """Whether a sidecar is that of ingested documents; an import's config names a format."""
    config = values.get("config")
    is_of_import = isinstance(config, dict) and "format" in config
    return values.get("format") == "maskdpo.document" and not is_of_import


def _refuse(found: FoundFiles, folder: Path, output: Path) -> None:
    """Raise before anything is read where nothing can come of it, or an input would be lost."""
    if not found.files:
        others = f" (it holds {shown_counts(found)})" if found.unknown_suffixes else ""
        raise InputError.of(
            folder, f"holds no file to read{others}; ingest reads {', '.join(FORMAT_OF_SUFFIX)}"
        )
    if output.exists() and any(output.samefile(file.path) for file in found.files):
        raise ConfigError(f"{output} is a file to read and would be written over; name another")


def _make_documents(
    config: IngestConfig, folder: Path, found: FoundFiles, outcome: _Outcome, *, show: bool
) -> Iterator[Document]:
    """Documents in the order of the files; what else comes of them goes into `outcome`."""
    from tqdm import tqdm

    outcome.failures += [
        Failure(id=identifier, stage=STAGE, reason="unreadable", detail=f"folder: {reason}")
        for identifier, reason in found.unreadable_folders
    ]
    folder_name = folder.resolve().name
    with ReaderProcess(memory_mb=config.max_memory_mb, seconds=config.max_seconds) as reader:
        for file in tqdm(
            found.files,
            desc=STAGE,
            unit="file",
            disable=None if show else True,  # None: only where stderr is a terminal
        ):
            try:
                text = _read(config, file, reader, outcome)
            except UnreadableError as error:
                outcome.failures.append(_failure(file, error.reason, error.detail))
                continue
            key = hash_text(text.text)
            first = outcome.first_with.setdefault(key, file.id)
            if first != file.id:
                outcome.duplicates.append(_failure(file, "duplicate", f"same text as {first}"))
                continue
            document = make_document(config, file, text, folder_name=folder_name)
            outcome.texts[file.id] = key
            outcome.readings.add(file.id, text)
            _tally(config, file, text, document, outcome)
            yield document
    if not outcome.first_with:
        raise InputError(
            [
                Fault(path=str(folder / failure.id), line=None, message=_said(failure))
                for failure in outcome.failures
            ]
        )


def _read(
    config: IngestConfig, file: FoundFile, reader: ReaderProcess, outcome: _Outcome
) -> FileText:
    data = read_file(file.path, max_bytes=int(config.max_file_mb * 1_000_000))
    outcome.files[file.id] = hashlib.sha256(data).hexdigest()
    outcome.digest.update(f"{file.id}\0{outcome.files[file.id]}\n".encode())
    outcome.num_bytes += len(data)
    return reader.read(
        data,
        format_name=file.format_name,
        max_chars=config.max_document_chars,
        encoding=config.encoding,
        language=config.language,
    )


def _tally(
    config: IngestConfig, file: FoundFile, text: FileText, document: Document, outcome: _Outcome
) -> None:
    outcome.counts[f"format_{file.format_name}"] += 1
    outcome.counts[f"language_{document.language or 'unknown'}"] += 1
    outcome.counts["characters"] += len(text.text)
    if text.language or config.language != AUTO:
        outcome.num_stated += 1
        if is_in_another_language(text.text, document.language):
            outcome.contradicting.append(file.id)


def _failure(file: FoundFile, reason: str, detail: str) -> Failure:
    return Failure(id=file.id, stage=STAGE, reason=reason, detail=detail)


def _said(failure: Failure) -> str:
    return f"{failure.detail} ({failure.reason})"
