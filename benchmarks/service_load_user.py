"""What locust runs in `service_load.py`: clients that always send new responses and documents.

The rule: each client begins a request at a fixed interval, whatever became of the one before it,
as long as that took less than the interval. Settings come from the environment, figures go to a
file when locust stops.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task
from service_rows import make_request


class Seen:
    """Statuses of all requests, and seconds of the accepted ones."""

    def __init__(self) -> None:
        self.began = 0.0
        self.statuses: Counter[str] = Counter()
        self.accepted_s: list[float] = []


SEEN = Seen()


class Client(FastHttpUser):
    """One connection."""

    wait_time = constant_throughput(float(os.environ.get("LOAD_RATE_PER_CLIENT", "1")))
    _headers = json.loads(os.environ.get("LOAD_HEADERS", "{}"))
    _rng = random.Random()

    @task
    def annotate(self) -> None:
        """Send one response, and note what became of it."""
        data = json.dumps(make_request(self._rng))
        began = time.perf_counter()
        with self.client.post(
            "/v1/annotations", data=data, headers=self._headers, catch_response=True
        ) as reply:
            status = reply.status_code
            if status in (200, 429):
                reply.success()
        SEEN.statuses[str(status)] += 1
        if status == 200:
            SEEN.accepted_s.append(time.perf_counter() - began)


@events.spawning_complete.add_listener
def begin(**_: Any) -> None:
    """All clients are there: what was before does not count."""
    SEEN.began = time.perf_counter()
    SEEN.statuses.clear()
    SEEN.accepted_s.clear()


@events.test_stopping.add_listener
def write(**_: Any) -> None:
    """Write the figures."""
    figures = {
        "seconds": time.perf_counter() - SEEN.began,
        "statuses": dict(SEEN.statuses),
        "accepted_s": SEEN.accepted_s,
    }
    Path(os.environ["LOAD_RESULT"]).write_text(json.dumps(figures), encoding="utf-8")
