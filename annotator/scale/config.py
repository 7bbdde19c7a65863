"""Settings of the engine that runs past one process: where Ray is, and what a worker gets of it.

The rule: none of them decides a row. A run may continue with others.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from schemas.config import Section

LOCAL = "local"
MOST_PIECES = 400  # their outputs are open at the same time when they are joined
_ADDRESS = re.compile(r"\[?[\w.:-]+\]?:\d{1,5}")


class RayConfig(Section):
    """Settings of `--engine ray`."""

    address: str | None = None
    """The cluster, as HOST:PORT of its head node; `auto`: the one that runs on this machine;
    `local`: a cluster of this machine that lives as long as the command. [RAY_ADDRESS if it is set,
    else local]"""

    actors: int | None = Field(default=None, ge=1, le=4096)
    """Workers at the same time. [as many as the cluster has room for]"""

    cpus_per_actor: float = Field(default=1.0, ge=0, le=1024)
    """CPU cores that Ray reserves for a worker; a fraction for one that waits for servers."""

    gpus_per_actor: float = Field(default=0.0, ge=0, le=64)
    """GPUs that Ray reserves for a worker; 1 for a local model."""

    pieces: int | None = Field(default=None, ge=1, le=MOST_PIECES)
    """Pieces that the input is cut into. [by its number of rows, and at least 4 per worker]"""

    output: Literal["joined", "jsonl", "parquet"] = "joined"
    """`joined`: one file in the order of the input. `jsonl`, `parquet`: a folder of shards with the
    name of the output without its suffix; build reads it with --annotations 'FOLDER/*.parquet' or
    'FOLDER/*[0-9].jsonl'. Not for questions, which are compared with each other."""

    max_deaths: int = Field(default=16, ge=1)
    """How many workers may end while they do the same piece, before the run stops."""

    connect_s: float = Field(default=10.0, gt=0)
    """How long to wait for an answer of the cluster's address, in seconds."""

    object_store_mib: int = Field(default=128, ge=80)
    """Shared memory of a local cluster, in MiB."""

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        return None if address is None else check_address(address)


def check_address(address: str) -> str:
    """`address` if a run can connect to it. Raises ValueError."""
    if address in (LOCAL, "auto") or _ADDRESS.fullmatch(address):
        return address
    if address.startswith(("ray://", "http://", "https://")):
        raise ValueError(
            f"{address!r} is not the address of a head node; run the command on a node of the "
            "cluster (or with `ray job submit`) and give HOST:PORT, such as 10.0.0.1:6379"
        )
    raise ValueError(
        f"{address!r} is not an address; give HOST:PORT of the head node, 'auto' or 'local'"
    )
