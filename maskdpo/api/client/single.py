"""The flows of one annotation: at once, or sentence by sentence.

The rule: a stream that breaks is asked for again, which costs no call twice, and no sentence is
given twice.
"""

from __future__ import annotations

from maskdpo.api.client.effects import Call, ConnectionFailed, Emit, Events, Flow, Read
from maskdpo.api.client.given import Given
from maskdpo.api.client.replies import SentenceEvent, find_reason, read_as
from maskdpo.api.client.tries import (
    NotJudgedError,
    Tries,
    open_stream,
    refused_in_stream,
    send,
)
from maskdpo.api.results import JudgedResponse
from schemas.errors import InputError
from schemas.records import Failure, Response


def annotate(
    given: Given, response: Response, max_retries: int, *, patience_s: float = 0.0
) -> Flow[JudgedResponse]:
    """The result of one response."""
    reply = yield from send(given.call(response), max_retries, patience_s=patience_s)
    return given.result(response, reply.body)


def annotate_one_of_many(
    given: Given, response: Response | Failure, max_retries: int, patience_s: float
) -> Flow[JudgedResponse | Failure]:
    """The same, where neither a bad response nor a full service stops the rest."""
    if isinstance(response, Failure):
        return response
    try:
        return (yield from annotate(given, response, max_retries, patience_s=patience_s))
    except InputError as error:
        reason, detail = find_reason(error), str(error)
    except NotJudgedError as error:
        reason, detail = "not_judged", str(error)
    return Failure(id=response.id, stage="annotate", reason=reason, detail=detail)


def stream(given: Given, response: Response, max_retries: int) -> Flow[None]:
    """Each sentence as it is judged, then the JudgedResponse."""
    call, tries, seen = given.call(response, stream=True), Tries(max_retries), set[int]()
    while True:
        try:
            yield from open_stream(call, tries)
            if (yield from _read_sentences(given, response, seen, tries)):
                return
        except ConnectionFailed as error:
            yield tries.after_break(error)


def _read_sentences(given: Given, response: Response, seen: set[int], tries: Tries) -> Flow[bool]:
    """Give what the open stream holds; False after a wait, where it is to be opened again."""
    events = Events()
    while chunk := (yield Read()):
        for name, data in events.feed(chunk):
            if name == "error":
                yield tries.after_refusal(refused_in_stream(data))
                return False
            if name == "annotation":
                yield Emit(given.result(response, data))
                return True
            if name == "sentence":
                event = read_as(SentenceEvent, data)
                if event.index not in seen:
                    seen.add(event.index)
                    yield Emit(given.sentence(response, event))
    raise ConnectionFailed("the stream of the service ended before its result")


def get(path: str, *, has_token: bool = True, query: dict[str, str] | None = None) -> Call:
    """A request that only reads."""
    return Call(method="GET", path=path, query=query or {}, has_token=has_token)
