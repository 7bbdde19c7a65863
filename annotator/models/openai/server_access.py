"""Access to servers: the key and headers of a call, and errors that never repeat the key.

The rule: the key is read from the environment, sent only to the servers of the config, and never
written; it is removed from errors of a server or of the transport that repeat it.
"""

from __future__ import annotations

import os

from annotator.models.config import ModelConfig
from annotator.models.detail_line import detail_line
from annotator.models.openai.connections import StatusError
from annotator.models.openai.endpoints import Endpoint
from schemas.errors import ConfigError

NO_KEY = "none"  # sent without a key, since some servers need the header
# OpenAI's variables for an account with several organizations or projects.
_ACCOUNT_HEADERS = {
    "OpenAI-Organization": "OPENAI_ORG_ID",
    "OpenAI-Project": "OPENAI_PROJECT_ID",
}


class ServerAccess:
    """The key of one model's servers, and the errors for refusals."""

    def __init__(self, config: ModelConfig) -> None:
        """Read the key from the environment; ConfigError when no header can carry it."""
        self._config = config
        self._key = os.environ.get(config.api_key_env, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise ConfigError(
                f"the key in the environment variable {config.api_key_env} holds characters that "
                "are not allowed in an HTTP header; set it again"
            )

    def headers(self) -> dict[str, str]:
        """The headers of every call."""
        account = {name: os.environ.get(key, "").strip() for name, key in _ACCOUNT_HEADERS.items()}
        return {
            "Authorization": f"Bearer {self._key or NO_KEY}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "maskdpo",
            **{name: value for name, value in account.items() if value},
        }

    def refuse_if_hopeless(self, error: StatusError, endpoint: Endpoint) -> None:
        """Raise ConfigError for an answer that every other request would get, too."""
        config = self._config
        if error.status in (401, 403):
            advice = (
                f"check the key in the environment variable {config.api_key_env}"
                if self._key
                else f"set the environment variable {config.api_key_env} to a key"
            )
            raise ConfigError(
                f"the server at {endpoint.url} answered HTTP {error.status}; {advice}"
            )
        if error.status == 404:
            served = f"; it serves: {', '.join(endpoint.served[:10])}" if endpoint.served else ""
            raise ConfigError(
                f"the server at {endpoint.url} answered HTTP 404 for model {config.model!r} "
                f"({self.safe_line(error)}){served}; check model and base_url"
                f"{_advise_v1(endpoint.url)}"
            )

    def safe_line(self, error: BaseException) -> str:
        """An error as one line; messages of servers and clients may repeat the key."""
        return detail_line(self.without_key(str(error) or type(error).__name__))

    def without_key(self, text: str) -> str:
        """`text` of a server without the key, which it may repeat."""
        return text.replace(self._key, "***") if self._key else text


def _advise_v1(url: str) -> str:
    """A hint for an address without the path that such servers usually have; '' for others."""
    bare = url.rstrip("/")
    return "" if bare.endswith("/v1") else f", which usually ends in /v1: base_url={bare}/v1"
