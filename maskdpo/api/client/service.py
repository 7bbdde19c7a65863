"""The flows that ask the service about itself.

The rule: nothing here costs a call of a judge model.
"""

from __future__ import annotations

from maskdpo.api.client.effects import ConnectionFailed, Flow, Reply, Send
from maskdpo.api.client.replies import (
    DomainInfo,
    DomainList,
    JudgeInfo,
    JudgeList,
    Version,
    read_as,
)
from maskdpo.api.client.single import get
from maskdpo.api.client.tries import send


def judges(max_retries: int) -> Flow[list[JudgeInfo]]:
    """All judges, the default one first."""
    reply = yield from send(get("/v1/judges"), max_retries)
    return read_as(JudgeList, reply.body).judges


def domains(max_retries: int) -> Flow[list[DomainInfo]]:
    """All domains by name."""
    reply = yield from send(get("/v1/domains"), max_retries)
    return read_as(DomainList, reply.body).domains


def version(max_retries: int) -> Flow[str]:
    """The version of the service."""
    reply = yield from send(get("/v1/version"), max_retries)
    return read_as(Version, reply.body).version


def ready() -> Flow[bool]:
    """Whether the service runs and each of its judges can be used; asked once."""
    try:
        reply: Reply = yield Send(get("/readyz", has_token=False))
    except ConnectionFailed:
        return False
    return reply.status == 200
