"""A job of 5,000 responses, two real service processes, fifty kills."""

from __future__ import annotations

import random
from pathlib import Path

from jobs_kills import RealService, kill_services
from jobs_support import CALLS_A_RESPONSE

NUM_KILLS = 50
NUM_RESPONSES = 5_000
CONCURRENCY = 32


def test_a_job_of_5000_responses_and_fifty_kills(tmp_path: Path) -> None:
    done = kill_services(
        tmp_path,
        num_responses=NUM_RESPONSES,
        num_kills=NUM_KILLS,
        concurrency=CONCURRENCY,
        longest_s=1.0,
        source=random.Random("fifty kills of services"),
        wait_s=3600.0,
        start=RealService,
    )
    num_calls = NUM_RESPONSES * CALLS_A_RESPONSE
    num_lost = done.server.requests.total() - num_calls
    print(
        f"\nkills {done.num_kills}, attempts {done.job.attempts}, calls {num_calls:,}, asked again "
        f"(under way at a kill) {num_lost}, asked though committed {len(done.server.asked_again)}, "
        f"{done.seconds:.0f} s"
    )
    assert done.num_kills >= NUM_KILLS
    assert done.job.state == "succeeded"
    assert done.results == done.expected
    assert done.rows == done.expected
    assert done.server.asked_again == []
    assert len(done.server.requests) == num_calls
    assert num_lost <= CONCURRENCY * done.num_kills
