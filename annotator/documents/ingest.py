"""`ingest`: reads a folder of txt, md, html, docx and pdf files, writes documents.

The rule: a document's text is made here and never changed later, since every offset of a verdict
refers to it. It depends only on the file and the settings, and files are read in the order of their
names: the same folder gives the same bytes, and every value comes from a file or a setting.

The fields of a document; the first available source is used:

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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from annotator.documents.folder import FoundFile, FoundFiles, find_files, read_file, stem_of
from annotator.documents.ingest_changes import (
    Earlier,
    find_changes,
    hash_text,
    read_earlier,
)
from annotator.documents.ingest_config import IngestConfig
from annotator.documents.ingest_notes import (
    notes_on_changes,
    notes_on_files,
    notes_on_language,
    notes_on_readings,
    shown_counts,
)
from annotator.documents.ingest_outcome import IngestOutcome, Rerun, write_ingest_sidecar
from annotator.documents.readers.file_text import FileText, UnreadableError
from annotator.documents.readers.read import FORMAT_OF_SUFFIX
from annotator.documents.readers.worker import ReaderProcess
from schemas.errors import ConfigError, Fault, InputError
from schemas.events import Advanced, Ended, OnEvent, Started, ignore
from schemas.files.jsonl import write_records
from schemas.files.own_files import refuse_to_replace
from schemas.files.sidecar import sidecar_path
from schemas.records import Document, Failure
from schemas.stage import StageResult, failures_path, write_failures
from schemas.text.language import is_in_another_language, resolve_language
from schemas.text.language_codes import AUTO

STAGE = "ingest"


def run_ingest(
    config: IngestConfig, *, folder: Path, output: Path, on_event: OnEvent = ignore
) -> StageResult:
    """Read every file under `folder` and write `output`, its sidecar and its failed rows.

    Files that give no text, and files with the text of an earlier one (reason `duplicate`), are
    listed in the `.failed` file; duplicates are counted in a note and do not count as failures.
    Raises InputError when `folder` is missing, holds nothing to read, or nothing in it can be read;
    then nothing is written. Raises ConfigError when `output` is a folder or a file to be read.
    """
    started = time.perf_counter()
    if output.is_dir():
        raise ConfigError(f"output {str(output)!r} is a folder; name a file in it")
    own = [output, sidecar_path(output), failures_path(output)]
    found = find_files(folder, ignored=own if output.suffix == ".jsonl" else own[1:])
    _refuse(found, folder, output)
    refuse_to_replace(output, _is_of_ingest, what="documents", by="maskdpo ingest")
    outcome = IngestOutcome()
    earlier = read_earlier(output)
    write_records(output, _make_documents(config, folder, found, outcome, on_event))
    write_failures(output, [*outcome.failures, *outcome.duplicates])
    rerun = _compare_with(earlier, outcome)
    counts = outcome.count_all(rerun.changes if rerun else None)
    write_ingest_sidecar(
        output,
        config,
        outcome,
        folder=folder,
        num_files=len(found.files),
        counts=counts,
        rerun=rerun,
        total_s=time.perf_counter() - started,
    )
    return StageResult(
        output=output,
        num_rows=len(outcome.first_with) + len(outcome.failures),
        failures=outcome.failures,
        counts=counts,
        notes=_make_notes(config, found, outcome, output, rerun),
    )


def _compare_with(earlier: Earlier | None, outcome: IngestOutcome) -> Rerun | None:
    """What this run changed in an earlier output; None where there was none."""
    if earlier is None:
        return None
    changes = find_changes(earlier, texts=outcome.texts, files=outcome.files)
    return Rerun(earlier=earlier, changes=changes)


def _make_notes(
    config: IngestConfig,
    found: FoundFiles,
    outcome: IngestOutcome,
    output: Path,
    rerun: Rerun | None,
) -> list[str]:
    """What a user should know about the reading, in addition to its counts."""
    duplicates = [failure.id for failure in outcome.duplicates]
    sidecar = sidecar_path(output).name
    return [
        *notes_on_files(found, duplicates, failures_path(output).name),
        *notes_on_readings(outcome.readings, sidecar),
        *notes_on_language(outcome.contradicting, outcome.num_stated, config.language),
        *(notes_on_changes(rerun.earlier, rerun.changes, sidecar) if rerun else ()),
    ]


def make_document(
    config: IngestConfig, file: FoundFile, text: FileText, *, folder_name: str
) -> Document:
    """The record of one file, filled by the table above."""
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
    """Raise before anything is read where there is nothing to read, or an input would be lost."""
    if not found.files:
        others = f" (it holds {shown_counts(found)})" if found.unknown_suffixes else ""
        raise InputError.of(
            folder, f"holds no file to read{others}; ingest reads {', '.join(FORMAT_OF_SUFFIX)}"
        )
    if output.exists() and any(output.samefile(file.path) for file in found.files):
        raise ConfigError(f"{output} is a file to read and would be overwritten; name another")


def _make_documents(
    config: IngestConfig,
    folder: Path,
    found: FoundFiles,
    outcome: IngestOutcome,
    on_event: OnEvent,
) -> Iterator[Document]:
    """Documents in the order of the files; all other results go into `outcome`."""
    outcome.failures += [
        Failure(id=identifier, stage=STAGE, reason="unreadable", detail=f"folder: {reason}")
        for identifier, reason in found.unreadable_folders
    ]
    folder_name = folder.resolve().name
    with ReaderProcess(memory_mb=config.max_memory_mb, seconds=config.max_seconds) as reader:
        for file in _report_each(found.files, on_event):
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
            _count(config, file, text, document, outcome)
            yield document
    if not outcome.first_with:
        raise InputError(
            [
                Fault(path=str(folder / failure.id), line=None, message=_said(failure))
                for failure in outcome.failures
            ]
        )


def _report_each(files: Sequence[FoundFile], on_event: OnEvent) -> Iterator[FoundFile]:
    """The files, each reported when it is done."""
    on_event(Started(stage=STAGE, total=len(files), unit="file"))
    try:
        for file in files:
            yield file
            on_event(Advanced(stage=STAGE, count=1))
    finally:
        on_event(Ended(stage=STAGE))


def _read(
    config: IngestConfig, file: FoundFile, reader: ReaderProcess, outcome: IngestOutcome
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


def _count(
    config: IngestConfig,
    file: FoundFile,
    text: FileText,
    document: Document,
    outcome: IngestOutcome,
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
