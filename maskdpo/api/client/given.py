"""What a caller gives, as bodies of requests.

The rule: responses and documents are read as `maskdpo.annotate` reads them, and nothing is left out
in silence. What has no use for a judge (a private train of thought, settings of sampling) stays
here: a result is the response as it was given, with the service's sentences. A body of rows is a
file, so that a job of any size needs no memory.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from annotator.calls.running.source import Items
from annotator.judging.config import AnnotateConfig
from maskdpo.api.client.replies import AnnotationReply, SentenceEvent, read_as
from maskdpo.api.client.wire import Call
from maskdpo.api.given import check_limit, read_iterable, read_path
from maskdpo.api.inputs import (
    Documents,
    ResponseLike,
    ResponseMaker,
    read_documents,
    read_question,
    refuse_file_name,
)
from maskdpo.api.results import JudgedResponse, JudgedSentence, sentence_of
from schemas.errors import MAX_FAULTS_SHOWN, BackendError, ConfigError, Fault, InputError
from schemas.files.jsonl import read_records
from schemas.records import Document, Failure, Question, Response, Sentence

_SENT = {
    "id",
    "text",
    "prompt",
    "question_id",
    "topic",
    "language",
    "document_ids",
    "model",
    "finish_reason",
}
_IN_MEMORY = 1 << 20  # bytes of rows; more are written to a temporary file
_WANTED = "a file as pathlib.Path, or an iterable of texts, responses or mappings with 'text'"


@dataclass(frozen=True, kw_only=True)
class Given:
    """Documents and settings of one or more requests; without documents those of the run."""

    maker: ResponseMaker
    documents: Mapping[str, Document] | None
    judge: str | None
    domain: str | None

    def read(self, response: ResponseLike) -> Response:
        """One response as a record. Raises InputError where it is none."""
        if isinstance(response, str):
            refuse_file_name("response", response)
        made = self.maker.make(response, 1)
        if isinstance(made, Failure):
            raise InputError.of("response", f"{made.detail} ({made.reason})")
        return made

    def call(self, response: Response, *, stream: bool = False) -> Call:
        """The request for one response, with the documents that it is compared with."""
        body: dict[str, Any] = {"response": response.model_dump(mode="json", include=_SENT)}
        if self.documents is not None:
            body["documents"] = [_short(document) for document in self._of(response)]
        options = {"judge": self.judge, "domain": self.domain, "stream": stream or None}
        body |= {name: value for name, value in options.items() if value is not None}
        return Call(method="POST", path="/v1/annotations", body=_json(body))

    def result(self, response: Response, body: bytes | str) -> JudgedResponse:
        """The result in a reply."""
        record = read_as(AnnotationReply, body).annotation
        if record.text != response.text:
            raise BackendError("the service sent the annotation of another text; check base_url")
        kept = {name: getattr(response, name) for name in Response.model_fields}
        return JudgedResponse.of(record.model_copy(update=kept), self.documents or {})

    def sentence(self, response: Response, event: SentenceEvent) -> JudgedSentence:
        """The sentence in an event."""
        item = Sentence(start=event.start, end=event.end, verdict=event.verdict)
        return sentence_of(response.text, item, self.documents or {})

    def _of(self, response: Response) -> Iterable[Document]:
        assert self.documents is not None
        named = [self.documents[name] for name in response.document_ids if name in self.documents]
        if response.document_ids:
            return named
        documents = self.documents.values() if response.topic else ()
        return [item for item in documents if item.topic == response.topic]


def read_given(
    documents: Documents | None,
    *,
    question: str | Question | None,
    judge: str | None,
    domain: str | None,
) -> Given:
    """Raises InputError and ConfigError as `maskdpo.annotate` does."""
    records = [] if documents is None else read_documents(documents)
    return Given(
        maker=ResponseMaker(records, AnnotateConfig(), read_question(question)),
        documents=None if documents is None else {item.id: item for item in records},
        judge=judge,
        domain=domain,
    )


def read_limits(
    *, max_calls: int | None, max_tokens: int | None, max_cost: float | None
) -> dict[str, float]:
    """The limits that are set. Raises ConfigError for anything but a number from 0."""
    given = {"max_calls": max_calls, "max_tokens": max_tokens, "max_cost": max_cost}
    for name, value in given.items():
        check_limit(name, value)
    return {name: value for name, value in given.items() if value is not None}


def job_options(
    *, judge: str | None, domain: str | None, limits: Mapping[str, float]
) -> dict[str, str | float]:
    """What a job is asked for, without what is left to the service."""
    named = {"judge": judge, "domain": domain}
    return {name: value for name, value in named.items() if value is not None} | dict(limits)


def read_many(
    responses: Path | Iterable[ResponseLike] | AsyncIterable[ResponseLike],
) -> Items[ResponseLike]:
    """Responses of every accepted form. Raises ConfigError for anything else."""
    if isinstance(responses, AsyncIterable):
        return responses
    if isinstance(responses, Path):
        return read_records(read_path("responses", responses), Response)
    return read_iterable("responses", responses, wanted=_WANTED)


def write_rows(
    responses: Path | Iterable[ResponseLike],
    documents: Documents | None,
    question: str | Question | None,
) -> IO[bytes]:
    """The rows of a job: responses, then documents. The file is removed when it is closed.

    The rows of a file are taken as they are, so that the service's faults have its line numbers.
    """
    rows = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
    try:
        _write_rows(rows, responses, documents, question)
    except BaseException:
        rows.close()
        raise
    return rows


def _write_rows(
    rows: IO[bytes],
    responses: Path | Iterable[ResponseLike],
    documents: Documents | None,
    question: str | Question | None,
) -> None:
    known = [] if documents is None else read_documents(documents)
    if documents is not None and not known:
        raise ConfigError(
            "documents is empty, but a job needs some; leave it out for those of the service's run"
        )
    if isinstance(responses, Path):
        with read_path("responses", responses).open("rb") as source:
            shutil.copyfileobj(source, rows)
        rows.write(b"\n" if rows.tell() else b"")
    else:
        items = read_iterable("responses", responses, wanted=_WANTED)
        for response in _checked(items, known, question):
            rows.write(_json(response.model_dump(mode="json")) + b"\n")
    for document in known:
        rows.write(_json({"document": document.model_dump(mode="json")}) + b"\n")


def _checked(
    items: Iterable[ResponseLike], known: list[Document], question: str | Question | None
) -> Iterable[Response]:
    """Responses as records. Raises InputError at the end, with the faults of all others."""
    maker = ResponseMaker(known, AnnotateConfig(), read_question(question))
    faults: list[Fault] = []
    for made in maker.each(items):
        if not isinstance(made, Failure):
            yield made
        elif len(faults) <= MAX_FAULTS_SHOWN:
            faults.append(Fault(path="responses", line=None, message=made.detail))
    if faults:
        raise InputError(faults)


def _short(document: Document) -> dict[str, Any]:
    return document.model_dump(mode="json", exclude_defaults=True)


def _json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
