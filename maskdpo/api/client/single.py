"""One annotation: at once, or sentence by sentence.

The rule: a stream that breaks is asked for again, which costs no call twice, and no sentence is
given twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import closing

from maskdpo.api.client.edge import Edge
from maskdpo.api.client.given import Given
from maskdpo.api.client.replies import SentenceEvent, find_reason, read_as
from maskdpo.api.client.tries import (
    NotJudgedError,
    Tries,
    open_stream,
    refused_in_stream,
    send,
)
from maskdpo.api.client.wire import Call, ConnectionFailed
from maskdpo.api.results import JudgedResponse, JudgedSentence
from schemas.errors import InputError
from schemas.records import Failure, Response


async def annotate(
    edge: Edge, given: Given, response: Response, *, patience_s: float = 0.0
) -> JudgedResponse:
    """The result of one response."""
    reply = await send(edge, given.call(response), patience_s=patience_s)
    return given.result(response, reply.body)


async def annotate_one_of_many(
    edge: Edge, given: Given, response: Response | Failure
) -> JudgedResponse | Failure:
    """The same, where neither a bad response nor a full service stops the rest."""
    if isinstance(response, Failure):
        return response
    try:
        return await annotate(edge, given, response, patience_s=edge.address.timeout_s)
    except InputError as error:
        reason, detail = find_reason(error), str(error)
    except NotJudgedError as error:
        reason, detail = "not_judged", str(error)
    return Failure(id=response.id, stage="annotate", reason=reason, detail=detail)


async def stream(
    edge: Edge, given: Given, response: Response
) -> AsyncGenerator[JudgedSentence | JudgedResponse, None]:
    """Each sentence as it is judged, then the JudgedResponse."""
    tries, seen = Tries(edge.address.max_retries), set[int]()
    while True:
        try:
            opened = await open_stream(edge, given.call(response, stream=True), tries)
            with closing(opened):
                async for name, data in opened.events():
                    if name == "error":
                        await asyncio.sleep(tries.after_refusal(refused_in_stream(data)))
                        break
                    if name == "annotation":
                        yield given.result(response, data)
                        return
                    event = read_as(SentenceEvent, data) if name == "sentence" else None
                    if event is not None and event.index not in seen:
                        seen.add(event.index)
                        yield given.sentence(response, event)
                else:
                    raise ConnectionFailed("the stream of the service ended before its result")
        except ConnectionFailed as error:
            await asyncio.sleep(tries.after_break(error))


def get(path: str, *, has_token: bool = True, query: dict[str, str] | None = None) -> Call:
    """A request that only reads."""
    return Call(method="GET", path=path, query=query or {}, has_token=has_token)
