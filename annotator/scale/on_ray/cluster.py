"""The connection to a cluster of Ray: a local one that is started, or one that is there.

The rule: what was started or connected here ends here, whatever happens; a connection of the
calling program stays. An address that does not answer is one sentence after `connect_s` seconds.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from annotator.scale.config import LOCAL, RayConfig, check_address
from annotator.scale.on_ray.local_cluster import (
    QUIET,
    environment,
    local_environment,
    local_folder,
    reaped,
)
from schemas.errors import BackendError, ConfigError
from schemas.packages import require

ADDRESS_VARIABLE = "RAY_ADDRESS"


@contextmanager
def ray_cluster(config: RayConfig) -> Iterator[bool]:
    """Ray is connected inside the block; gives whether the connection ends with it.

    Raises MissingPackageError without the extra `ray`, ConfigError for an address that cannot be
    one or an unsuitable version, BackendError where nothing answers at the address.
    """
    require("ray", needed_for="--engine ray")
    if _is_connected():
        yield False
        return
    address = find_address(config)
    with ExitStack() as stack:
        options: dict[str, Any] = {"address": address}
        has_started: Callable[[], None] = lambda: None  # noqa: E731
        if address == LOCAL:
            folder = stack.enter_context(local_folder())
            stack.enter_context(local_environment(folder))
            has_started = stack.enter_context(reaped(folder))
            options |= {
                "num_cpus": _count_cores(config),
                "include_dashboard": False,
                "object_store_memory": config.object_store_mib << 20,
                "_temp_dir": str(folder),
            }
        else:
            stack.enter_context(environment(QUIET))
            _check_answers(address, config.connect_s)
        stack.enter_context(_signals_kept())
        stack.callback(_disconnect)
        _connect(options, address)
        has_started()
        _quiet_loggers()
        yield True


def _is_connected() -> bool:
    """Whether the calling program uses Ray already."""
    module = sys.modules.get("ray")
    return module is not None and bool(module.is_initialized())


def _disconnect() -> None:
    import ray

    ray.shutdown()


def _count_cores(config: RayConfig) -> int:
    """The cores of a local cluster: enough for the workers that are asked for."""
    return max(os.cpu_count() or 1, math.ceil((config.actors or 0) * config.cpus_per_actor))


def find_address(config: RayConfig) -> str:
    """The address of `config`, or that of the environment, or `local`.

    Raises ConfigError where that of the environment cannot be one.
    """
    if config.address is not None:
        return config.address
    given = os.environ.get(ADDRESS_VARIABLE, "").strip()
    if not given:
        return LOCAL
    try:
        return check_address(given)
    except ValueError as error:
        raise ConfigError(f"{ADDRESS_VARIABLE}: {error}") from None


def _check_answers(address: str, wait_s: float) -> None:
    """Raise BackendError where nothing accepts connections at HOST:PORT."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=wait_s).close()
    except OSError as error:
        raise _no_answer(address, error.strerror or str(error)) from None


def _no_answer(address: str, reason: str) -> BackendError:
    return BackendError(
        f"no cluster of Ray answers at {address} ({reason}); start one there with: ray start "
        f"--head, or unset {ADDRESS_VARIABLE} and ray.address to use this machine alone"
    )


def _connect(options: dict[str, Any], address: str) -> None:
    import ray

    try:
        with _stderr_to(options.get("_temp_dir")):
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except ConnectionError as error:
        raise _no_answer(address, _first_line(error)) from None
    except RuntimeError as error:
        if "ersion mismatch" in str(error):
            lines = " ".join(str(error).split())
            raise ConfigError(f"the cluster at {address} has other versions: {lines}") from None
        raise BackendError(
            f"Ray could not be {'started' if address == LOCAL else 'connected'}: "
            f"{_first_line(error)}"
        ) from None


@contextmanager
def _stderr_to(folder: str | None) -> Iterator[None]:
    """Messages of Ray's C++ code, which no setting keeps off the terminal, go to a file."""
    if folder is None:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with (Path(folder) / "driver.err").open("wb") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray replaces the handler of SIGTERM; afterwards it is the former one again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _quiet_loggers() -> None:
    """Notes of Ray and Ray Data go to its log files only."""
    import ray.data  # noqa: F401  (sets up the loggers)

    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)


def count_actors(config: RayConfig, num_pieces: int) -> int:
    """How many workers work at the same time: those that fit into the cluster, at least one.

    Raises ConfigError where not even one fits and the cluster does not grow.
    """
    import ray

    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    wanted = {"CPU": config.cpus_per_actor, "GPU": config.gpus_per_actor}
    rooms = [int(found.get(name, 0.0) / amount + 1e-9) for name, amount in wanted.items() if amount]
    room = min(rooms, default=os.cpu_count() or 1)
    if room < 1:
        raise ConfigError(
            f"a worker needs {config.cpus_per_actor:g} CPUs and {config.gpus_per_actor:g} GPUs, "
            f"but the cluster has {found.get('CPU', 0):g} CPUs and {found.get('GPU', 0):g} GPUs; "
            "lower ray.cpus_per_actor and ray.gpus_per_actor, or start more nodes"
        )
    return max(1, min(config.actors or room, num_pieces))
