"""Who may ask: one bearer token, compared in constant time; wrong ones are rationed.

The rule: the right token always passes, however many wrong ones came before. Otherwise any program
that can reach the port could lock the owner out with a handful of requests. The ration therefore
does not stop a guess from being compared; 20 characters and more stop that. It slows down
a client with an old token, or a guesser: 429 and the time to wait, in place of 401 at full speed.
Memory is bounded: the addresses seen last, and one ration that all share, which also holds for an
address that was forgotten.
"""

from __future__ import annotations

import hmac
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from annotator.service.errors import ApiError

_SCHEME = b"bearer "
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


@dataclass(kw_only=True)
class Bucket:
    """A ration: `size` at once, then `per_s`."""

    size: float
    per_s: float
    left: float
    since: float

    def take(self, now: float) -> float:
        """Takes one, if there is one: 0, else the seconds until there is."""
        self.left = min(self.size, self.left + (now - self.since) * self.per_s)
        self.since = now
        if self.left < 1:
            return (1 - self.left) / self.per_s
        self.left -= 1
        return 0.0


class Tokens:
    """The service's token, and the rations of wrong ones by address and of all together."""

    MAX_ADDRESSES = 1024

    def __init__(self, token: str, clock: Callable[[], float]) -> None:
        self._token = token.encode("ascii")
        self._clock = clock
        self._all = self._bucket(size=100, per_s=2.0)
        self._by_address: OrderedDict[str, Bucket] = OrderedDict()

    def check(self, header: bytes | None, address: str) -> None:
        """Raises ApiError 401 without the right token, or 429 after many wrong ones."""
        if header is None:
            raise _unknown(
                "no_token", "send the service's token in a header: Authorization: Bearer TOKEN"
            )
        given = header[len(_SCHEME) :] if header[: len(_SCHEME)].lower() == _SCHEME else b""
        self.check_value(given, address)

    def check_value(self, given: bytes, address: str) -> None:
        """Raises ApiError 401 for another value than the token, or 429 after many wrong ones."""
        if hmac.compare_digest(given, self._token):
            return
        wait = self._ration(address)
        if wait:
            raise ApiError(
                status=429,
                code="too_many_wrong_tokens",
                message="too many wrong tokens came from here; wait, then send the right one",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        raise _unknown("wrong_token", "this is not the service's token")

    def _ration(self, address: str) -> float:
        bucket = self._by_address.pop(address, None) or self._bucket(size=10, per_s=0.2)
        self._by_address[address] = bucket
        if len(self._by_address) > self.MAX_ADDRESSES:
            self._by_address.popitem(last=False)
        now = self._clock()
        return bucket.take(now) or self._all.take(now)

    def _bucket(self, *, size: float, per_s: float) -> Bucket:
        return Bucket(size=size, per_s=per_s, left=size, since=self._clock())


def _unknown(code: str, message: str) -> ApiError:
    return ApiError(status=401, code=code, message=message, headers=_CHALLENGE)
