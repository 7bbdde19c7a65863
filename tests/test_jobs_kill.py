"""Service processes killed while they do a job: nothing is lost, doubled or paid for twice."""

from __future__ import annotations

import random
from pathlib import Path

from jobs_kills import kill_services
from jobs_support import CALLS_A_RESPONSE

from annotator.calls.usage import Limits

NUM_RESPONSES = 60
CONCURRENCY = 4


def test_a_job_ends_by_itself_after_five_kills(tmp_path: Path) -> None:
    done = kill_services(
        tmp_path,
        num_responses=NUM_RESPONSES,
        num_kills=5,
        concurrency=CONCURRENCY,
        longest_s=0.3,
        source=random.Random("five kills of services"),
    )
    assert done.num_kills >= 5
    assert done.job.state == "succeeded"
    assert done.results == done.expected
    assert done.rows == done.expected  # each row once, in order, across all crashes
    assert done.server.asked_again == []
    num_calls = NUM_RESPONSES * CALLS_A_RESPONSE
    assert len(done.server.requests) == num_calls
    assert done.server.requests.total() - num_calls <= CONCURRENCY * done.num_kills


def test_kills_never_let_a_job_exceed_its_limit(tmp_path: Path) -> None:
    most = 120
    done = kill_services(
        tmp_path,
        num_responses=NUM_RESPONSES,
        num_kills=3,
        concurrency=CONCURRENCY,
        longest_s=0.2,
        source=random.Random("kills and a limit"),
        limits=Limits(max_calls=most),
    )
    assert done.num_kills >= 3
    assert done.job.state == "limit_reached"
    assert done.server.requests.total() <= most == done.job.spent.calls
