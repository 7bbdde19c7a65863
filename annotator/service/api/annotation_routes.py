"""`POST /v1/annotations`: one response, judged at once, or sentence by sentence as it is judged.

The rule: a request is counted inside its judge from before any work until its end, whatever the
end is, so that the queue is bounded and never leaks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from annotator.judging.annotator import finish_task
from annotator.service.admission import BusyError
from annotator.service.api.bodies import (
    AnnotationReply,
    AnnotationRequest,
    SentenceEvent,
)
from annotator.service.api.documented import error_responses
from annotator.service.api.events import encode_event
from annotator.service.api.reading import json_body, read_body
from annotator.service.engine import OnVerdicts
from annotator.service.errors import BUSY, ApiError, api_error_of, busy, invalid, unavailable
from annotator.service.intake import make_task, takes_long
from annotator.service.judges import UnknownNameError
from annotator.service.service import Service
from schemas.errors import MaskDpoError
from schemas.records import Annotation, Verdict
from schemas.scores import score_labels

_STREAM = "text/event-stream"
_EVENTS = {
    _STREAM: {
        "example": 'event: sentence\ndata: {"index": 0, "start": 0, "end": 9, "verdict": {}}\n\n',
    }
}

_streaming: set[asyncio.Task[None]] = set()  # kept until they end


async def while_connected(request: Request, work: Coroutine[Any, Any, bytes]) -> bytes:
    """The result of `work`, which is cancelled when its client leaves: calls that were not sent yet
    are not paid for.

    Nobody reads what is returned then.
    """
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())  # after the body: that the client left
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        return await doing if doing.done() else b""
    finally:
        leaving.cancel()
        doing.cancel()


def annotation_router(service: Service) -> APIRouter:
    """The route of single annotations."""
    router = APIRouter(tags=["annotations"])

    @router.post(
        "/v1/annotations",
        summary="Judge each sentence of one response",
        openapi_extra=json_body(AnnotationRequest),
        responses={
            200: {"model": AnnotationReply, "content": _EVENTS},
            **error_responses(400, 408, 413, 415, 422, 429, 502, 503, 504),
        },
    )
    async def annotate(request: Request) -> Response:
        body = await read_body(request, AnnotationRequest)
        with ExitStack() as inside:
            call = _Call(service, body, inside)
            await call.prepare(service, body)
            if body.stream:
                return StreamingResponse(call.stream(inside.pop_all()), media_type=_STREAM)
            data = await while_connected(request, call.reply())
            return Response(data, media_type="application/json")

    return router


class _Call:
    """One request that was let in: its task, and the engine that judges it.

    It is inside its judge until `inside` is closed. Raises ApiError where it cannot be let in, or
    cannot be judged.
    """

    def __init__(self, service: Service, body: AnnotationRequest, inside: ExitStack) -> None:
        if service.stopping.is_set():
            raise unavailable("stopping", "the service is stopping; try again in a moment")
        try:
            self._admission = service.judges.find(body.judge).admission
        except UnknownNameError as error:
            raise invalid(str(error), code="unknown_name") from None
        self._judge_name = body.judge
        self._metrics = service.metrics
        self._timeout_s = service.config.timeout_s
        with self._failure_counted():
            if service.watches[body.judge].is_replaced:
                raise unavailable("other_model", service.watches[body.judge].found)
            self._enter(inside)

    def _enter(self, inside: ExitStack) -> None:
        try:
            self._admission.enter()
        except BusyError as error:
            raise busy(str(error), retry_after_s=error.retry_after_s) from None
        inside.callback(self._admission.leave)

    async def prepare(self, service: Service, body: AnnotationRequest) -> None:
        """Find the engine, and the sentences and documents of the response. Raises ApiError."""
        with self._failure_counted():
            try:
                self._engine = service.judges.engine(body.judge, body.domain)
                config = self._engine.annotator.config
                work = partial(
                    make_task,
                    body,
                    config=config,
                    corpus=self._engine.annotator.tasks,
                    serve=service.config,
                )
                is_long = takes_long(body, config)
                self._task = await asyncio.to_thread(work) if is_long else work()
            except UnknownNameError as error:
                raise invalid(str(error), code="unknown_name") from None
            except MaskDpoError as error:
                raise api_error_of(error) from None

    @contextmanager
    def _failure_counted(self) -> Iterator[None]:
        """Count a request that gets no annotation by the code of its error."""
        try:
            yield
        except ApiError as error:
            if error.status == BUSY:
                self._metrics.refused(self._judge_name)
            else:
                self._metrics.not_annotated(self._judge_name, error.code)
            raise
        except asyncio.CancelledError:
            self._metrics.not_annotated(self._judge_name, "cancelled")
            raise

    async def reply(self) -> bytes:
        """The body of the reply. Raises ApiError."""
        return self._encode(await self._judge())

    def stream(self, inside: ExitStack) -> AsyncIterator[bytes]:
        """Server-sent events: sentences as they are judged, then the annotation, or an error.

        The work begins at once and closes `inside`, whether or not anyone reads the events.
        """
        events: asyncio.Queue[bytes | None] = asyncio.Queue()
        work = asyncio.create_task(self._judge_into(events, inside))
        _streaming.add(work)
        work.add_done_callback(_streaming.discard)
        return _read(events, work)

    async def _judge_into(self, events: asyncio.Queue[bytes | None], inside: ExitStack) -> None:
        told = set[int]()

        def tell(first: int, verdicts: Sequence[Verdict]) -> None:
            for index, verdict in enumerate(verdicts, start=first):
                told.add(index)
                events.put_nowait(_sentence(index, *self._task.sentences[index], verdict))

        with inside:
            try:
                row = await self._judge(tell)
                for index, item in enumerate(row.sentences):  # such as one that was cut off
                    if index not in told:
                        events.put_nowait(_sentence(index, item.start, item.end, item.verdict))
                events.put_nowait(encode_event("annotation", self._encode(row)))
            except ApiError as error:
                events.put_nowait(encode_event("error", error.body()))
            finally:
                events.put_nowait(None)

    async def _judge(self, on_verdicts: OnVerdicts | None = None) -> Annotation:
        with self._failure_counted():
            row = await self._judge_in_time(on_verdicts)
        self._admission.finish()
        self._metrics.annotated(self._judge_name, row)
        return row

    async def _judge_in_time(self, on_verdicts: OnVerdicts | None) -> Annotation:
        timeout_s = self._timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                outcome = await self._engine.judge(self._task, on_verdicts=on_verdicts)
        except TimeoutError:
            message = f"not judged within {timeout_s:g} s (serve.timeout_s); replies are kept"
            raise ApiError(status=504, code="timeout", message=message) from None
        except BusyError as error:
            raise busy(str(error), retry_after_s=error.retry_after_s) from None
        except MaskDpoError as error:
            raise api_error_of(error) from None
        row = finish_task(self._task, outcome, judge=self._engine.annotator.judge.name)
        if not isinstance(row, Annotation):
            message = f"the response was not judged: {row.reason}: {row.detail}"
            raise ApiError(status=502, code="not_judged", message=message)
        return row

    def _encode(self, row: Annotation) -> bytes:
        """The reply as JSON; the annotation as `annotate` writes it."""
        score = score_labels(item.verdict.label for item in row.sentences).score
        rest = json.dumps({"score": score, "judge": self._judge_name})
        return b'{"annotation": ' + row.model_dump_json().encode() + b", " + rest[1:].encode()


async def _read(
    events: asyncio.Queue[bytes | None], work: asyncio.Task[None]
) -> AsyncIterator[bytes]:
    try:
        while (event := await events.get()) is not None:
            yield event
    finally:
        work.cancel()


def _sentence(index: int, start: int, end: int, verdict: Verdict) -> bytes:
    event = SentenceEvent(index=index, start=start, end=end, verdict=verdict)
    return encode_event("sentence", event.model_dump_json().encode())
