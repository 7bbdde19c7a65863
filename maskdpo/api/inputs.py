"""What a caller of the Python API gives, as records: documents, a question, responses.

The rule: nothing that is given is left out in silence. A wrong document, question or setting raises
one error before anything is judged; a wrong response among many is a `Failure` in the results.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from maskdpo.api.given import fault_of_record, fault_of_text, read_iterable, read_path
from maskdpo.api.results import JudgedResponse
from schemas.errors import ConfigError, Fault, InputError
from schemas.files.jsonl import read_records
from schemas.hashing import content_key
from schemas.records import Document, Failure, Message, Question, Response
from schemas.validation import describe_errors, show_value

if TYPE_CHECKING:
    from annotator.calls.running.source import Items
    from annotator.judging.config import AnnotateConfig
    from annotator.judging.tasks import DocumentFinder

DocumentLike = str | Document | Mapping[str, Any]
Documents = DocumentLike | Iterable[DocumentLike] | Path
ResponseLike = str | Response | JudgedResponse | Failure | Mapping[str, Any]

MAX_COMPARED = 20
"""A response that names no documents is compared with all of up to this many; a search chooses
among more."""

GIVE_IDS = 'give each response an id of its own: annotate([{"id": ..., "text": ...}, ...], ...)'
_MAX_FILE_NAME = 255
_MAX_ID = 512
_MAX_STEM = 480  # of an id that gets a number


def read_documents(given: Documents) -> list[Document]:
    """Documents of every accepted form; those without an id are `d1`, `d2`, ... by their place.

    Raises InputError with every fault, and ConfigError for what holds no documents at all.
    """
    if isinstance(given, Path):
        return read_records(read_path("documents", given), Document)
    documents: list[Document] = []
    faults: list[Fault] = []
    for place, values in _each_document(given):
        made = _read_document(place, values, number=len(documents) + len(faults) + 1)
        if isinstance(made, Document):
            documents.append(made)
        else:
            faults.extend(made)
    if faults:
        raise InputError(faults)
    refuse_equal_ids(documents, name="documents", advice="ids must be unique")
    return documents


def _each_document(given: Documents) -> Iterator[tuple[str, Any]]:
    """Each document with the name that errors give it."""
    if isinstance(given, str):
        refuse_file_name("documents", given)
        yield "documents", given
    elif isinstance(given, Document) or (isinstance(given, Mapping) and "text" in given):
        yield "documents", given
    elif isinstance(given, Mapping):
        for name, values in given.items():
            whole = {"text": values} if isinstance(values, str) else values
            is_named = isinstance(whole, Mapping) and isinstance(name, str)
            yield f"documents[{name!r}]", {"id": name, **whole} if is_named else whole
    else:
        wanted = "a text, a maskdpo.Document, a list of these, or a mapping of ids to texts"
        items = read_iterable("documents", given, wanted=wanted)
        yield from ((f"documents[{at}]", values) for at, values in enumerate(items))


def _read_document(place: str, values: Any, *, number: int) -> Document | list[Fault]:
    if isinstance(values, Document):
        return _refuse_half_characters(place, values)
    if isinstance(values, str):
        values = {"text": values}
    if not isinstance(values, Mapping):
        message = f"is {show_value(values)}, but it must be a text or have 'id' and 'text'"
        return [Fault(path=place, line=None, message=message)]
    try:
        document = Document.model_validate({"id": f"d{number}", **values})
    except ValidationError as error:
        return [
            Fault(path=place, line=None, message=text) for text in describe_errors(error, Document)
        ]
    return _refuse_half_characters(place, document)


def _refuse_half_characters(place: str, document: Document) -> Document | list[Fault]:
    fault = fault_of_record(document)
    return [Fault(path=place, line=None, message=fault)] if fault else document


def refuse_equal_ids(records: Sequence[Document | Response], *, name: str, advice: str) -> None:
    """Raise InputError where two records have one id; `name` is that of the argument."""
    first: dict[str, int] = {}
    for at, record in enumerate(records):
        refuse_equal_id(at, record.id, first, name=name, advice=advice)


def refuse_equal_id(
    at: int, identifier: str, first: dict[str, int], *, name: str, advice: str
) -> None:
    """Raise InputError for an id in `first`, which holds the place of each; else add it."""
    if identifier in first:
        raise InputError.of(
            f"{name}[{at}]",
            f"has the id {identifier!r}, and so has {name}[{first[identifier]}]; {advice}",
        )
    first[identifier] = at


def refuse_file_name(name: str, text: str) -> None:
    """Raise ConfigError where a text is the name of a file: nobody means to judge that."""
    if len(text) > _MAX_FILE_NAME or "\n" in text or not Path(text).suffix:
        return
    if Path(text).is_file():
        raise ConfigError(
            f"{name} is the text {text!r}, which is the name of a file; a text is taken as it is. "
            f"Give pathlib.Path({text!r}) for a JSON Lines file, else the text of the file"
        )


def read_question(given: str | Question | None) -> Question | None:
    """The question as a record; the id of a plain text follows from its words."""
    if given is None or isinstance(given, Question):
        return given
    if not isinstance(given, str) or not given.strip():
        raise ConfigError(
            f"question is {show_value(given)}, but it must be a text that is not empty, or a "
            "maskdpo.Question"
        )
    if fault := fault_of_text(given):
        raise ConfigError(f"question {fault}")
    return Question.model_validate({"id": f"q-{content_key(given)[:12]}", "question": given})


class ResponseMaker:
    """From what a caller gives as responses to records.

    A text without an id gets its number, from 1, after the id of the question if there is one. A
    response that names no documents, and no topic that a document has, is compared with all of
    them, or with those that a search finds where there are more than `MAX_COMPARED`.
    """

    def __init__(
        self, documents: Sequence[Document], config: AnnotateConfig, question: Question | None
    ) -> None:
        self._documents = documents
        self._ids = [document.id for document in documents]
        self._topics = {document.topic for document in documents if document.topic}
        self._config = config
        self._question = question
        self._finder: DocumentFinder | None = None

    def each(self, given: Iterable[ResponseLike]) -> Iterator[Response | Failure]:
        """Records, one at a time, as they are asked for."""
        for number, item in enumerate(given, start=1):
            yield self.make(item, number)

    async def each_async(
        self, given: Items[ResponseLike]
    ) -> AsyncGenerator[Response | Failure, None]:
        """`each` for an iterable of either kind; an asynchronous generator is closed with it."""
        from contextlib import aclosing

        from annotator.calls.running.source import iterate

        number = 0
        async with aclosing(iterate(given)) as items:
            async for item in items:
                number += 1
                yield self.make(item, number)

    def make(self, given: object, number: int) -> Response | Failure:
        """The record of one response, or why it is none."""
        if isinstance(given, Failure):
            return given
        if isinstance(given, JudgedResponse):
            given = given.record
        if isinstance(given, Response):
            return self._checked(given, number)
        values: object = {"text": given} if isinstance(given, str) else given
        identifier = self._id_of(values, number)
        if not isinstance(values, Mapping):
            fault = (
                f"is {show_value(given)}, but it must be a text, a maskdpo.Response, or a mapping "
                "with 'text'"
            )
            return _bad_response(identifier, f"response {number} {fault}")
        try:
            response = Response.model_validate(self._complete(values, identifier))
        except ValidationError as error:
            faults = "; ".join(describe_errors(error, Response))
            return _bad_response(identifier, f"response {number}: {faults}")
        except ValueError as error:
            return _bad_response(identifier, f"response {number}: {error}")
        return self._checked(response, number)

    def _checked(self, response: Response, number: int) -> Response | Failure:
        """The response with its documents, or a failure where no file could hold it."""
        if fault := fault_of_record(response):
            return _bad_response(response.id, f"response {number}: {fault}")
        return self._with_documents(response)

    def _id_of(self, values: object, number: int) -> str:
        given = values.get("id") if isinstance(values, Mapping) else None
        if isinstance(given, str) and 0 < len(given) <= _MAX_ID:
            return given
        return f"{self._question.id[:_MAX_STEM]}-{number}" if self._question else str(number)

    def _complete(self, values: Mapping[str, Any], identifier: str) -> dict[str, Any]:
        """A response with what a plain text leaves out. Raises ValueError for a bad question."""
        given = dict(values)
        asked = self._question
        if "question" in given:
            if "prompt" in given:
                raise ValueError("give either 'question' or 'prompt', not both")
            try:
                asked = read_question(given.pop("question"))
            except ConfigError as error:
                raise ValueError(str(error)) from None
        if asked is None:
            prompt = [Message(role="user", content="")]
            return {"id": identifier, "question_id": identifier, "prompt": prompt, **given}
        return {
            "id": identifier,
            "question_id": asked.id,
            "topic": asked.topic,
            "language": asked.language,
            "document_ids": asked.document_ids,
            "prompt": asked.messages,
            **given,
        }

    def _with_documents(self, response: Response) -> Response:
        if response.document_ids or not self._documents or response.topic in self._topics:
            return response
        if self._config.find_documents != "auto":
            return response  # the caller's own rule
        return response.model_copy(update={"document_ids": self._choose(response)})

    def _choose(self, response: Response) -> list[str]:
        if len(self._ids) <= MAX_COMPARED:
            return self._ids
        if len(response.text) > self._config.max_response_chars:
            return []  # it will be refused
        from annotator.judging.tasks import DocumentFinder, split_response

        if self._finder is None:
            searching = self._config.model_copy(update={"find_documents": "corpus"})
            self._finder = DocumentFinder(self._documents, searching)
        sentences = split_response(response, self._config)
        return [document.id for document in self._finder.find(response, sentences)]


def _bad_response(identifier: str, detail: str) -> Failure:
    """The failure of a row that is not a response; its id is made one that a file can hold."""
    identifier = identifier[:_MAX_ID].encode(errors="replace").decode()
    return Failure(id=identifier, stage="annotate", reason="bad_response", detail=detail)
