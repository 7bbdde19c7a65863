"""Whether the servers of a run config can be reached, and serve the configured models.

The rule: one short GET of the list of models per server, and no call that costs money. The key is
sent only to the configured server (no redirects) and never printed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from maskdpo.doctor.checks import Check
from schemas.secret_values import hide_likely_keys

if TYPE_CHECKING:
    from annotator.models.config import ModelConfig

TIMEOUT_S = 5.0
MAX_BODY_BYTES = 5_000_000
MAX_NAMED = 10
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class _NoRedirects(HTTPRedirectHandler):
    """A redirect is reported, not followed: the key is sent only to the configured server."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """The status of a list of models, and its names; status 0: why there was no answer."""

    status: int
    served: tuple[str, ...] = ()
    why: str = ""


def check_served_model(where: str, settings: ModelConfig) -> Iterator[Check]:
    """Checks of one model: its servers, its name there, the key and the prices."""
    key = os.environ.get(settings.api_key_env, "").strip()
    answers = {url: _list_models(url, key) for url in settings.urls}
    for url, answer in answers.items():
        yield _check_server(where, settings, url, answer)
    yield _check_key(where, settings, key, [item.status for item in answers.values()])
    yield _check_prices(where, settings)


def _check_server(where: str, settings: ModelConfig, url: str, answer: _Answer) -> Check:
    what = f"{where} at {url}"
    model = settings.model
    if answer.status == 0:
        return Check(
            status="error",
            what=what,
            found=f"no answer ({answer.why})",
            command=f"vllm serve {model}   (or set {where}.base_url)",
        )
    if answer.status in (401, 403):
        found = f"HTTP {answer.status}: the key is refused or missing"
        command = f"export {settings.api_key_env}=..."
        return Check(status="error", what=what, found=found, command=command)
    if answer.status == 404 and (fixed := _with_v1(url)):
        return Check(
            status="error",
            what=what,
            found="HTTP 404: no list of models here, but there is one under /v1",
            command=f"--set {where}.base_url={fixed}",
        )
    if answer.status != 200:
        found = f"HTTP {answer.status} for the list of models; {model!r} was not looked up"
        command = f"check {where}.base_url; it usually ends in /v1"
        return Check(status="warning", what=what, found=found, command=command)
    if model in answer.served:
        return Check(status="ok", what=what, found=f"serves {model}")
    named = ", ".join(answer.served[:MAX_NAMED]) or "nothing"
    if len(answer.served) > MAX_NAMED:
        named += f" and {len(answer.served) - MAX_NAMED} more"
    return Check(
        status="error",
        what=what,
        found=f"does not serve {model!r}; it serves: {hide_likely_keys(named)}",
        command=f"--set {where}.model={(answer.served or ('NAME',))[0]}",
    )


def _check_key(where: str, settings: ModelConfig, key: str, statuses: list[int]) -> Check:
    what, name = f"{where}.api_key_env", settings.api_key_env
    if key:
        return Check(status="ok", what=what, found=f"{name} is set")
    if 200 in statuses:
        return Check(
            status="ok", what=what, found=f"{name} is not set; the server asked for no key"
        )
    command = f"export {name}=..."
    return Check(status="warning", what=what, found=f"{name} is not set", command=command)


def _check_prices(where: str, settings: ModelConfig) -> Check:
    what = f"{where}.prices"
    if settings.prices is not None:
        return Check(status="ok", what=what, found="given")
    if all(urlsplit(url).hostname in _LOOPBACK for url in settings.urls):
        return Check(status="ok", what=what, found="not set; the server is on this machine")
    return Check(
        status="warning",
        what=what,
        found="not set: there is no cost estimate, and --max-cost cannot work",
        command=f"--set '{where}.prices={{prompt: 0.1, completion: 0.4}}' (per million tokens)",
    )


def _with_v1(url: str) -> str:
    """The address with /v1 if that one lists models; else ''."""
    fixed = f"{url.rstrip('/')}/v1"
    has_version = url.rstrip("/").endswith("/v1")
    return "" if has_version or _list_models(fixed, "").status not in (200, 401, 403) else fixed


def _list_models(url: str, key: str) -> _Answer:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    handlers = [_NoRedirects()]
    is_loopback = urlsplit(url).hostname in _LOOPBACK
    opener = build_opener(*handlers, *([ProxyHandler({})] if is_loopback else []))
    request = Request(f"{url.rstrip('/')}/models", headers=headers)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as reply:
            return _Answer(status=200, served=_names(reply.read(MAX_BODY_BYTES)))
    except HTTPError as error:
        return _Answer(status=error.code)
    except URLError as error:
        reason = getattr(error.reason, "strerror", None) or str(error.reason)
        return _Answer(status=0, why=hide_likely_keys(reason))
    except (OSError, ValueError) as error:  # timeouts while reading, odd addresses
        return _Answer(status=0, why=hide_likely_keys(str(error) or type(error).__name__))


def _names(body: bytes) -> tuple[str, ...]:
    try:
        return tuple(" ".join(str(item["id"]).split()) for item in json.loads(body)["data"])
    except (ValueError, KeyError, TypeError):
        return ()
