"""Settings of the service: its address, its judges by name, and where it refuses work.

The rule: every queue, body and wait has a limit here, so that no client can fill the memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from annotator.judging.config import AnnotateConfig
from schemas.config import Section

DEFAULT_JUDGE = "default"
CLAIM_WAIT_S = 1.0  # how long the event loop waits for another program that holds the store
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\]")


class ServeConfig(Section):
    """Settings of `serve`."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """The address that the service listens on. Any other than a loopback address can be reached
    from other machines: put a proxy with TLS in front, and name it in `hosts`."""

    port: int = Field(default=8765, ge=0, le=65535)
    """The port that the service listens on; 0 chooses a free one."""

    hosts: tuple[str, ...] = ()
    """Names in addition to 127.0.0.1, localhost and [::1] by which clients may reach the service,
    without a port. A request with another `Host` is refused."""

    judges: dict[str, AnnotateConfig] = Field(default={})
    """More judges by name, each with the settings of the section `annotate`. The section `annotate`
    itself is the judge `default`."""

    processes: int | None = Field(default=None, ge=1, le=256)
    """Worker processes of judges that compute (the lexical one). [one per CPU core]"""

    max_waiting: int = Field(default=1024, ge=1)
    """Requests for annotations under way per judge; further ones are refused (429)."""

    max_wait_s: float = Field(default=0.3, gt=0)
    """A request for a judge that computes is refused (429) if it would wait longer than this, in
    seconds, by the measured speed; or if it has waited twice as long and has not begun."""

    timeout_s: float = Field(default=300.0, gt=0)
    """The longest time for the annotation of one response, in seconds; then 504. Replies of a judge
    model that arrive later are kept."""

    max_body_bytes: int = Field(default=10_000_000, ge=1)
    """The longest body of a request, except uploads of jobs."""

    max_documents: int = Field(default=100, ge=1)
    """Documents in one request."""

    max_document_chars: int = Field(default=2_000_000, ge=1)
    """Characters of all documents in one request together."""

    max_sentences: int = Field(default=1000, ge=1)
    """Sentences of one response."""

    running_jobs: int = Field(default=2, ge=1, le=64)
    """Jobs that one service process runs at the same time."""

    max_jobs: int = Field(default=1000, ge=1)
    """Jobs that may wait; further ones are refused (429)."""

    max_upload_bytes: int = Field(default=1 << 30, ge=1)
    """The longest upload of a job."""

    max_job_rows: int = Field(default=1_000_000, ge=1)
    """Responses of one job."""

    keep_results_s: float = Field(default=7 * 86400.0, gt=0)
    """How long the files of a job are kept after its end, in seconds. [7 days]"""

    access_log: bool = False
    """Whether a line per request is written to standard error: method, route, status, time; never a
    path, a body or a token."""

    stop_s: float = Field(default=30.0, ge=0)
    """How long a stopping service waits for requests under way, in seconds."""

    @field_validator("judges")
    @classmethod
    def _have_names(cls, judges: dict[str, AnnotateConfig]) -> dict[str, AnnotateConfig]:
        for name in judges:
            if name == DEFAULT_JUDGE:
                raise ValueError(
                    f"{name!r} is the judge of the section 'annotate'; give this one another name"
                )
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} is not a name; use at most 64 lower-case letters, digits, '_' and "
                    "'-', with a letter or digit first"
                )
        return judges

    @field_validator("hosts")
    @classmethod
    def _are_host_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return check_host_names(hosts)

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        check_reachable(self.host, self.hosts, "serve.hosts")
        return self


LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def check_host_names(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """`hosts` if each is a name or an address alone. Raises ValueError."""
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(
                f"{host!r} is not the name of a host; give it without scheme and port, such as "
                "judge.example.org"
            )
    return hosts


def check_reachable(host: str, hosts: tuple[str, ...], setting: str) -> None:
    """Raises ValueError for an address that other machines can reach, without the names for it."""
    if host not in LOOPBACK and not hosts:
        raise ValueError(
            f"host is {host!r}, which other machines can reach, so 'hosts' must list the "
            f"names by which they do, such as --set {setting}=[judge.example.org]"
        )


def judge_configs(annotate: AnnotateConfig, serve: ServeConfig) -> Mapping[str, AnnotateConfig]:
    """The settings of each judge by name; `default` first."""
    return {DEFAULT_JUDGE: annotate, **serve.judges}


def run_file(folder: Path, name: Any) -> Path | None:
    """The file `name` directly inside the run's folder; None where it is none, or a link out."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w][\w.-]{0,200}", name):
        return None
    path = folder / name
    if not path.is_file() or path.resolve().parent != folder.resolve():
        return None
    return path
