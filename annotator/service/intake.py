"""From a request to a task: the same sentences and documents that `annotate` would choose.

The rule: a request brings its own documents, and is compared with all of them or with those that
its `document_ids` name, or it names documents of the run's corpus; never both, so that an id means
one text.
"""

from __future__ import annotations

from collections.abc import Sequence

from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import JudgeTask
from annotator.judging.tasks import TaskMaker
from annotator.service.api.bodies import AnnotationRequest, GivenResponse
from annotator.service.config import ServeConfig
from schemas.errors import InputError
from schemas.hashing import content_key
from schemas.records import Document, Message, Response
from schemas.secret_values import hide_keys

_LONG_CHARS = 10_000  # splitting this much takes 10 to 20 ms


def takes_long(request: AnnotationRequest, config: AnnotateConfig) -> bool:
    """Whether `make_task` would delay other requests: a long text, or a search in the corpus."""
    given = request.response
    text = given if isinstance(given, str) else given.text
    searches = request.documents is None and config.find_documents == "corpus"
    return searches or len(text) > _LONG_CHARS


def make_task(
    request: AnnotationRequest,
    *,
    config: AnnotateConfig,
    corpus: TaskMaker,
    serve: ServeConfig,
) -> JudgeTask:
    """The task of a request. Raises InputError where it cannot be judged."""
    given = request.response
    response = _response(GivenResponse(text=given) if isinstance(given, str) else given)
    maker = corpus
    if request.documents is not None:
        documents = _documents(request, serve)
        own = config.model_copy(update={"find_documents": "ids"})
        maker = TaskMaker(documents, own)
        if not response.document_ids:
            ids = [document.id for document in documents]
            response = response.model_copy(update={"document_ids": ids})
    task = maker.make(response)
    if not isinstance(task, JudgeTask):
        raise InputError.of("response", f"{task.message} ({task.reason})")
    if len(task.sentences) > serve.max_sentences:
        raise InputError.of(
            "response",
            f"has {len(task.sentences)} sentences; at most {serve.max_sentences} are allowed "
            "(serve.max_sentences); send it as a job",
        )
    return task


def _response(given: GivenResponse) -> Response:
    """A record, with what a short form leaves out."""
    values = given.model_dump(exclude_unset=True, exclude={"question", "prompt"})
    prompt = given.prompt or [Message(role="user", content=given.question or "")]
    identifier = given.id or "response"
    question = given.question_id
    if question is None:
        question = f"q-{content_key(given.question)[:12]}" if given.question else identifier
    return Response.model_validate(
        {**values, "id": identifier, "question_id": question, "prompt": prompt}
    )


def _documents(request: AnnotationRequest, serve: ServeConfig) -> Sequence[Document]:
    given = request.documents or []
    if len(given) > serve.max_documents:
        raise InputError.of(
            "documents",
            f"has {len(given)} documents; at most {serve.max_documents} are allowed "
            "(serve.max_documents)",
        )
    documents: list[Document] = []
    first: dict[str, int] = {}
    for at, item in enumerate(given):
        values = {"text": item} if isinstance(item, str) else item.model_dump(exclude_none=True)
        document = Document.model_validate({"id": f"d{at + 1}", **values})
        if document.id in first:
            raise InputError.of(
                f"documents[{at}]",
                f"has the id {hide_keys(document.id)!r}, and so has documents[{first[document.id]}]"
                "; ids must differ",
            )
        first[document.id] = at
        documents.append(document)
    total = sum(len(document.text) for document in documents)
    if total > serve.max_document_chars:
        raise InputError.of(
            "documents",
            f"have {total} characters in total; at most {serve.max_document_chars} are allowed "
            "(serve.max_document_chars)",
        )
    return documents
