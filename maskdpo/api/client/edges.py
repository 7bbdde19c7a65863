"""What both kinds of edges share: how a flow is stepped through, and the parts of a request.

The rule: the token goes to the given address only: no redirect is followed, and no setting of the
environment changes the address or the credentials. A proxy of the environment is used, except for
this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, Any, Generic

from maskdpo.api.client.address import Address
from maskdpo.api.client.effects import Call, ConnectionFailed, Effect, Flow, ResultT

CONNECT_S = 10.0
MAX_CONNECTIONS = 1024
_PIECE = 1 << 16


class Steps(Generic[ResultT]):
    """A flow, one effect after the other; `effect` is None when it has ended with `result`."""

    result: ResultT

    def __init__(self, flow: Flow[ResultT]) -> None:
        self._flow = flow
        self.effect: Effect | None = None
        self.go_on(None)

    def go_on(self, value: Any) -> None:
        """Give the flow what its effect led to."""
        try:
            if isinstance(value, ConnectionFailed):
                self.effect = self._flow.throw(value)
            else:
                self.effect = self._flow.send(value)
        except StopIteration as end:
            self.effect, self.result = None, end.value

    def close(self) -> None:
        """Leave the flow where it is."""
        self._flow.close()


def headers_of(call: Call, address: Address) -> dict[str, str]:
    """The headers of a call, with the token."""
    headers = {"Accept-Encoding": "identity", **call.headers}
    if call.has_token:
        headers["Authorization"] = f"Bearer {address.token}"
    if call.body is not None:
        headers["Content-Type"] = call.content_type
    if call.body is not None and not isinstance(call.body, bytes):
        headers["Content-Length"] = str(call.body.seek(0, os.SEEK_END))
    return headers


def pieces_of(file: IO[bytes]) -> Iterator[bytes]:
    """The whole file, from its beginning."""
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece


def broken(address: Address, why: str) -> ConnectionFailed:
    """A connection that broke, or could not be made for a reason that may pass."""
    return ConnectionFailed(f"the service at {address.base_url} is not reached: {why}")


def silent(address: Address) -> ConnectionFailed:
    """A service that sent nothing for too long."""
    why = f"sent nothing for {address.timeout_s:g} s"
    return ConnectionFailed(f"the service at {address.base_url} {why}", was_silent=True)


def not_there(address: Address, why: str) -> ConnectionFailed:
    """A service that this client has never reached, and cannot connect to."""
    return ConnectionFailed(
        f"the service at {address.base_url} is not reached: {why}; start it with: maskdpo serve",
        is_new=True,
    )
