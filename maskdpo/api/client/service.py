"""What the service says about itself.

The rule: nothing here costs a call of a judge model.
"""

from __future__ import annotations

from maskdpo.api.client.edge import Edge
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
from maskdpo.api.client.wire import ConnectionFailed


async def judges(edge: Edge) -> list[JudgeInfo]:
    """All judges, the default one first."""
    return read_as(JudgeList, (await send(edge, get("/v1/judges"))).body).judges


async def domains(edge: Edge) -> list[DomainInfo]:
    """All domains by name."""
    return read_as(DomainList, (await send(edge, get("/v1/domains"))).body).domains


async def version(edge: Edge) -> str:
    """The version of the service."""
    return read_as(Version, (await send(edge, get("/v1/version"))).body).version


async def ready(edge: Edge) -> bool:
    """Whether the service runs and each of its judges can be used; asked once."""
    try:
        opened = await edge.ask(get("/readyz", has_token=False))
    except ConnectionFailed:
        return False
    return opened.reply.status == 200
