"""The errors of the API: one exception, and the one form in which clients see any error.

The rule: a body names what is wrong with the request, and nothing of this machine: no path, no
trace, no text of another request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from annotator.calls.store_faults import StoreError
from schemas.errors import BackendError, ConfigError, InputError, LimitReachedError, MaskDpoError

MAX_DETAILS = 20
RETRY_AFTER_S = 5
BUSY = 429
_LIMIT = (
    "the service has reached its limit of calls, tokens or money; stored replies are still "
    "served; start the service with a higher limit to continue"
)


@dataclass(kw_only=True, eq=False)
class ApiError(Exception):
    """A refused or failed request.

    status    the HTTP status; `code` is a short name for programs, `message` one sentence
    details   more sentences, where there are several faults; the first 20 are sent
    headers   such as Retry-After
    """

    status: int
    code: str
    message: str
    details: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    def body(self) -> bytes:
        """The JSON body."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = list(self.details[:MAX_DETAILS])
        return json.dumps({"error": error}, ensure_ascii=False).encode("utf-8", "replace")


def busy(message: str, *, retry_after_s: int) -> ApiError:
    """429: no room now."""
    headers = {"Retry-After": str(retry_after_s)}
    return ApiError(status=BUSY, code="busy", message=message, headers=headers)


def unavailable(code: str, message: str, *, retry_after_s: int = RETRY_AFTER_S) -> ApiError:
    """503: not now, and not because of the request."""
    headers = {"Retry-After": str(retry_after_s)}
    return ApiError(status=503, code=code, message=message, headers=headers)


def invalid(
    message: str, *, code: str = "invalid_request", details: Sequence[str] = ()
) -> ApiError:
    """422: the body is JSON, and something in it is wrong."""
    return ApiError(status=422, code=code, message=message, details=details)


def api_error_of(error: MaskDpoError) -> ApiError:
    """An error of the core as one of the API."""
    if isinstance(error, InputError):
        sentences = [str(fault) for fault in error.faults]
        return invalid(sentences[0], details=sentences if len(sentences) > 1 else ())
    if isinstance(error, LimitReachedError):
        return unavailable("limit_reached", _LIMIT, retry_after_s=60)  # its text names the store
    if isinstance(error, StoreError):
        return unavailable("store_busy", "the store cannot be used now; try again")
    if isinstance(error, BackendError):
        return ApiError(status=502, code="judge_failed", message=str(error))
    if isinstance(error, ConfigError):
        return unavailable("misconfigured", str(error), retry_after_s=60)
    return ApiError(status=500, code="failed", message="the request failed")
