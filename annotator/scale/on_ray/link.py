"""The run's hub as an actor of Ray, and the link by which driver and workers reach it.

The rule: the hub has a name that only this run knows. Where it ended, the driver starts another one
under the same name, and a worker finds it there; until then the worker waits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from annotator.scale.on_ray.hub import Hub, HubStart
from schemas.errors import BackendError

if TYPE_CHECKING:
    from annotator.models.pacing.reports import PaceReport, PaceShare

NAMESPACE = "maskdpo"
REPLY_S = 10.0  # a hub replies within milliseconds; a machine that swaps takes longer
WAIT_S = 60.0  # for the next hub


@dataclass(frozen=True, kw_only=True)
class HubLink:
    """Calls the hub of the run `name`; can be pickled, and used from any thread."""

    name: str

    def __call__(self, method: str, *arguments: Any) -> Any:
        """The result of a method of `Hub`. Raises BackendError where no hub replies."""
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                return self.try_once(method, *arguments)
            except HubGoneError:
                if time.monotonic() > deadline:
                    raise BackendError(
                        "the actor of Ray that holds the limits of this run does not reply; "
                        "finished pieces are kept, and the same command continues"
                    ) from None
                time.sleep(0.5)

    def try_once(self, method: str, *arguments: Any) -> Any:
        """As calling it, but raises HubGoneError at once where no hub replies."""
        import ray
        from ray.exceptions import GetTimeoutError, RayError, RayTaskError

        hub = _find_hub(self.name)
        try:
            return ray.get(getattr(hub, method).remote(*arguments), timeout=REPLY_S)
        except GetTimeoutError:
            raise HubSlowError(f"no reply within {REPLY_S:g} s") from None
        except RayTaskError:  # a fault of the code
            raise
        except (RayError, ConnectionError) as error:
            _find_hub.cache_clear()
            raise HubGoneError(str(error)) from None


@lru_cache(maxsize=4)
def _find_hub(name: str) -> Any:
    """The handle of a hub; HubGoneError where there is none."""
    import ray

    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError as error:
        raise HubGoneError(str(error)) from None


class HubGoneError(Exception):
    """The hub has ended."""


class HubSlowError(HubGoneError):
    """The hub does not reply in time; perhaps it has ended."""


@dataclass(frozen=True, kw_only=True)
class PaceLink:
    """The paces of a run as a backend of one worker sees them (`SharesPace`)."""

    link: HubLink

    def report(self, worker: str, reports: Sequence[PaceReport]) -> Sequence[PaceShare]:
        """As `Coordinator.report`; raises where the hub does not reply."""
        found: list[PaceShare] = self.link.try_once("pace", worker, list(reports))
        return found


def end_hub(hub: Any) -> None:
    """End a hub; also one that has ended, or whose cluster has."""
    import ray

    with suppress(Exception):
        ray.kill(hub)


def start_hub(name: str, start: HubStart) -> Any:
    """A hub on the driver's node; it ends with `end_hub`, and with the driver."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    actor = ray.remote(num_cpus=0, max_restarts=0)(Hub).options(
        name=name,
        namespace=NAMESPACE,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=here, soft=False),
    )
    return actor.remote(start)
