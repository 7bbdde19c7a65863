"""Checks of a request's headers, in the order of `Guard`: Host, Origin, content.

The rule: pure functions over bytes; a header that a check reads may be given once only, so that no
other program on the way can have read a different one.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from annotator.service.errors import ApiError

_READ = frozenset(
    name.encode("ascii")
    for name in (
        "host origin sec-fetch-site authorization content-type content-length content-encoding "
        "transfer-encoding"
    ).split()
)
_OWN_PAGES = (b"same-origin", b"none")


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers that checks read. Raises 400 for one that is given twice."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            if name in found:
                raise _refusal(400, "bad_request", f"the header {name.decode()} is given twice")
            found[name] = value
    return found


def check_host(
    value: bytes | None, allowed: Container[bytes], *, setting: str = "serve.hosts"
) -> bytes:
    """The Host header in lower case, if its name is allowed; any port is.

    A page that a browser loaded from elsewhere may have its name resolve to this address ("DNS
    rebinding"): its requests then come from a browser that thinks this is the page's own host.
    Their Host header still has the page's name.
    """
    if value is None:
        raise _refusal(400, "wrong_host", "the header Host is missing")
    host = value.lower()
    end = host.find(b"]") + 1 if host.startswith(b"[") else host.find(b":")
    name, rest = (host, b"") if end == -1 else (host[:end], host[end:])
    if name not in allowed or (rest and not (rest[:1] == b":" and rest[1:].isdigit())):
        raise _refusal(
            403,
            "wrong_host",
            "the service is not known by the host name of this request; if it should be, add the "
            f"name to {setting}",
        )
    return host


def check_origin(found: dict[bytes, bytes], host: bytes) -> None:
    """Refuses what a browser sends for another site's page; programs send neither header."""
    origin = found.get(b"origin")
    if origin is not None:
        scheme, separator, place = origin.lower().partition(b"://")
        if not separator or scheme not in (b"http", b"https") or place != host:
            raise _cross_site()
    if found.get(b"sec-fetch-site", b"none").lower() not in _OWN_PAGES:
        raise _cross_site()


def _cross_site() -> ApiError:
    return _refusal(403, "cross_site", "pages of other sites may not use this service")


def has_body(found: dict[bytes, bytes]) -> bool:
    """Whether a body follows the headers."""
    return b"transfer-encoding" in found or found.get(b"content-length", b"0").strip(b"0") != b""


def body_limit(found: dict[bytes, bytes], limits: Mapping[bytes, int]) -> int:
    """How many bytes the body may have, of the content types and `limits` of its path.

    Raises 400, 413 or 415 if its headers rule it out.
    """
    if found.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise _refusal(400, "bad_request", "the only transfer encoding is chunked")
    if found.get(b"content-encoding", b"identity").lower() != b"identity":
        raise _refusal(415, "content_encoding", "send the body without compression")
    kind, _, parameters = found.get(b"content-type", b"").lower().partition(b";")
    kind = kind.strip()
    charset = parameters.replace(b" ", b"").replace(b'"', b"")
    if kind not in limits or charset not in (b"", b"charset=utf-8"):
        allowed = b" or ".join(limits).decode()
        raise _refusal(415, "content_type", f"send the body as {allowed}, in UTF-8")
    limit = limits[kind]
    if int(found.get(b"content-length", b"0")) > limit:
        raise too_large(limit)
    return limit


def too_large(limit: int) -> ApiError:
    """413 for a body of more than `limit` bytes."""
    return _refusal(413, "too_large", f"the body has more than {limit} bytes, the limit here")


def _refusal(status: int, code: str, message: str) -> ApiError:
    return ApiError(status=status, code=code, message=message)
