"""`annotate` and `aannotate`: responses in, judged responses out, in one call.

The rule: what can be wrong before a response is seen (documents, judge, limits) is raised by the
call itself. Everything opened here is closed here, also where the caller stops half-way.
"""

from __future__ import annotations

import tempfile
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sized,
)
from contextlib import ExitStack, aclosing, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from annotator.calls.store import Store
from annotator.calls.usage import Limits
from annotator.judging.annotator import Annotator
from annotator.judging.config import AnnotateConfig
from annotator.judging.llm_config import LlmConfig
from annotator.judging.make_judge import asks_a_model, judge_prices
from maskdpo.api.given import check_limit, read_iterable, read_path
from maskdpo.api.inputs import (
    Documents,
    ResponseLike,
    ResponseMaker,
    read_documents,
    read_question,
    refuse_file_name,
)
from maskdpo.api.judge import resolve_judge
from maskdpo.api.results import JudgedResponse
from schemas.errors import BackendError, ConfigError, InputError
from schemas.events import Event, OnEvent, Started, ignore
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Document, Failure, Question, Response
from schemas.validation import show_value

if TYPE_CHECKING:
    from annotator.judging.judge import Judge as AnyJudge

OneResponse = str | Response | JudgedResponse | Mapping[str, Any]
Results = Generator[JudgedResponse | Failure, None, None]
AsyncResults = AsyncGenerator[JudgedResponse | Failure, None]
_ONE = (str, Response, JudgedResponse, Mapping)
# Reasons for which a response was refused before anybody judged it.
_INPUT_REASONS = frozenset(
    {"bad_response", "empty_response", "response_too_long", "missing_document"}
)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One call of `annotate`, checked and ready to start."""

    config: AnnotateConfig
    judge: AnyJudge | None
    documents: Mapping[str, Document]
    maker: ResponseMaker
    store: str | Path | Store | None
    limits: Limits
    on_event: OnEvent

    @contextmanager
    def opened(self) -> Iterator[Annotator]:
        """The annotator of this call, with the store that it needs."""
        with ExitStack() as stack:
            yield Annotator(
                self.config,
                documents=self.documents.values(),
                store=self._open_store(stack),
                limits=self.limits,
                on_event=self.on_event,
                judge=self.judge,
            )

    def _open_store(self, stack: ExitStack) -> Store | None:
        if isinstance(self.store, Store):
            return self.store
        if self.store is not None:
            return stack.enter_context(Store(self.store))
        if not asks_a_model(self.config):
            return None
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="maskdpo-"))
        return stack.enter_context(Store(Path(folder) / "store.sqlite"))

    def now(self, responses: Iterable[ResponseLike]) -> Results:
        """Results for callers without an event loop, and inside a running one."""
        with (
            self.opened() as annotator,
            closing(annotator.annotate_now(self.maker.each(responses))) as rows,
        ):
            for row in rows:
                yield self._show(row)

    async def soon(
        self, responses: Iterable[ResponseLike] | AsyncIterable[ResponseLike]
    ) -> AsyncResults:
        """Results in the caller's event loop."""
        with self.opened() as annotator:
            async with aclosing(annotator.annotate(self.maker.each_async(responses))) as rows:
                async for row in rows:
                    yield self._show(row)

    def _show(self, row: Annotation | Failure) -> JudgedResponse | Failure:
        return row if isinstance(row, Failure) else JudgedResponse.of(row, self.documents)

    def one_now(self, response: OneResponse) -> JudgedResponse:
        """The result of one response; a failure is raised."""
        (row,) = self.now([response])
        return _raise_failure(row)

    async def one_soon(self, response: OneResponse) -> JudgedResponse:
        """`one_now` in the caller's event loop."""
        (row,) = [row async for row in self.soon([response])]
        return _raise_failure(row)


@overload
def annotate(  # type: ignore[overload-overlap]  # a text is an iterable of texts, too
    responses: OneResponse,
    documents: Documents = (),
    *,
    question: str | Question | None = None,
    judge: str | LlmConfig | AnnotateConfig | AnyJudge = "lexical",
    store: str | Path | Store | None = None,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    domain: str | None = None,
    language: str = "auto",
    progress: bool = False,
    on_event: OnEvent = ignore,
) -> JudgedResponse: ...
@overload
def annotate(
    responses: Iterable[ResponseLike] | Path,
    documents: Documents = (),
    *,
    question: str | Question | None = None,
    judge: str | LlmConfig | AnnotateConfig | AnyJudge = "lexical",
    store: str | Path | Store | None = None,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    domain: str | None = None,
    language: str = "auto",
    progress: bool = False,
    on_event: OnEvent = ignore,
) -> Results: ...
def annotate(
    responses: OneResponse | Iterable[ResponseLike] | Path,
    documents: Documents = (),
    *,
    question: str | Question | None = None,
    judge: str | LlmConfig | AnnotateConfig | AnyJudge = "lexical",
    store: str | Path | Store | None = None,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    domain: str | None = None,
    language: str = "auto",
    progress: bool = False,
    on_event: OnEvent = ignore,
) -> JudgedResponse | Results:
    """Judge each sentence of one response (a text), or of many (an iterable), against documents.

    responses   a text, a mapping with `text`, or a Response: its result is returned at once. Any
                iterable of these, also a generator: an iterator of results, in order of completion,
                which pulls a response when there is room for it
    documents   a text, a Document, an iterable of these, or a mapping of ids to texts. A response
                that names no documents is compared with all of them; of more than 20, with those
                that a search finds
    question    what the responses answer; responses to one question can become pairs
    judge       "lexical" (a baseline, no model), a maskdpo.Judge, or a maskdpo.AnnotateConfig
    store       a file that keeps each call of a judge model, so that none is paid for twice; None
                keeps the calls for this one call of `annotate` only
    max_calls, max_tokens, max_cost   limits on calls, on their prompt and completion tokens
                together, and on their cost in the currency of the judge's prices, which `max_cost`
                needs
    domain      name or file of a domain, whose guidance a judge model reads
    language    code of the language of the responses; "auto" detects it
    progress    draw progress on standard error
    on_event    is called with progress, cost and failures (maskdpo.events)

    Among many, a response that cannot be judged is a `Failure` with its id and reason; a single one
    raises InputError or BackendError. Raises ConfigError for wrong settings, LimitReachedError at a
    limit, BackendError when servers fail: replies received by then are in the store.
    """
    run = _prepare(
        documents,
        question=question,
        judge=judge,
        store=store,
        limits=Limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost),
        domain=domain,
        language=language,
        on_event=_listen(on_event, progress=progress, responses=responses),
    )
    if isinstance(responses, _ONE):
        return run.one_now(_checked(responses))
    return run.now(_many(responses))


@overload
def aannotate(  # type: ignore[overload-overlap]
    responses: OneResponse,
    documents: Documents = (),
    *,
    question: str | Question | None = None,
    judge: str | LlmConfig | AnnotateConfig | AnyJudge = "lexical",
    store: str | Path | Store | None = None,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    domain: str | None = None,
    language: str = "auto",
    progress: bool = False,
    on_event: OnEvent = ignore,
) -> Coroutine[Any, Any, JudgedResponse]: ...
@overload
def aannotate(
    responses: Iterable[ResponseLike] | AsyncIterable[ResponseLike] | Path,
    documents: Documents = (),
    *,
    question: str | Question | None = None,
    judge: str | LlmConfig | AnnotateConfig | AnyJudge = "lexical",
    store: str | Path | Store | None = None,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    domain: str | None = None,
    language: str = "auto",
    progress: bool = False,
    on_event: OnEvent = ignore,
) -> AsyncResults: ...
def aannotate(
    responses: OneResponse | Iterable[ResponseLike] | AsyncIterable[ResponseLike] | Path,
    documents: Documents = (),
    *,
    question: str | Question | None = None,
    judge: str | LlmConfig | AnnotateConfig | AnyJudge = "lexical",
    store: str | Path | Store | None = None,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    domain: str | None = None,
    language: str = "auto",
    progress: bool = False,
    on_event: OnEvent = ignore,
) -> Coroutine[Any, Any, JudgedResponse] | AsyncResults:
    """`annotate` in the caller's event loop: `await` it for one response, `async for` for many.

    The same arguments and errors; `responses` may also be an asynchronous iterable.
    """
    run = _prepare(
        documents,
        question=question,
        judge=judge,
        store=store,
        limits=Limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost),
        domain=domain,
        language=language,
        on_event=_listen(on_event, progress=progress, responses=responses),
    )
    if isinstance(responses, _ONE):
        return run.one_soon(_checked(responses))
    return run.soon(responses if isinstance(responses, AsyncIterable) else _many(responses))


def _prepare(
    documents: Documents,
    *,
    question: str | Question | None,
    judge: str | LlmConfig | AnnotateConfig | AnyJudge,
    store: str | Path | Store | None,
    limits: Limits,
    domain: str | None,
    language: str,
    on_event: OnEvent,
) -> _Run:
    if not callable(on_event):
        raise ConfigError(f"on_event is {show_value(on_event)}, but it must be a function")
    if store is not None and not isinstance(store, Store):
        store = read_path("store", store)
    config, own = resolve_judge(judge, domain=domain, language=language)
    _check_limits(limits, config)
    records = read_documents(documents)
    # Once without a store: a wrong domain is raised here, not by the first response.
    checked = Annotator(config, limits=limits).config
    return _Run(
        config=checked,
        judge=own,
        documents={document.id: document for document in records},
        maker=ResponseMaker(records, checked, read_question(question)),
        store=store,
        limits=limits,
        on_event=on_event,
    )


def _check_limits(limits: Limits, config: AnnotateConfig) -> None:
    for name in ("max_calls", "max_tokens", "max_cost"):
        check_limit(name, getattr(limits, name))
    if limits.max_cost is not None and None in judge_prices(config):
        raise ConfigError(
            f"max_cost is {limits.max_cost:g}, but the cost is not known: the judge has no prices. "
            "Give them per million tokens, such as "
            'maskdpo.Judge(..., prices={"prompt": 0.15, "completion": 0.60}), or prices=0 where '
            "nothing is paid"
        )


def _checked(response: OneResponse) -> OneResponse:
    if isinstance(response, str):
        refuse_file_name("responses", response)
    return response


def _many(responses: object) -> Iterable[ResponseLike]:
    if isinstance(responses, Path):
        return read_records(read_path("responses", responses), Response)
    return read_iterable(
        "responses",
        responses,
        wanted="a text, a maskdpo.Response, a mapping with 'text', or an iterable of these",
    )


def _raise_failure(row: JudgedResponse | Failure) -> JudgedResponse:
    if isinstance(row, JudgedResponse):
        return row
    if row.reason in _INPUT_REASONS:
        raise InputError.of("responses", f"{row.detail} ({row.reason})")
    raise BackendError(f"the response was not judged: {row.reason}: {row.detail}")


def _listen(on_event: OnEvent, *, progress: bool, responses: object) -> OnEvent:
    if not progress:
        return on_event
    from maskdpo.cli.progress import Progress

    draw = Progress()
    many = isinstance(responses, Sized) and not isinstance(responses, _ONE)
    total = len(responses) if many and isinstance(responses, Sized) else None

    def listen(event: Event) -> None:
        draw(replace(event, total=total) if isinstance(event, Started) else event)
        on_event(event)

    return listen
