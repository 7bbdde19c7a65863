"""A hundred random kills of workers on one store: what was committed is never asked again.

Two threads, two event loops, two stores of a process in a pid namespace of its own, and a host
whose locks nobody sees, so that only its heartbeats show that it lives. make test-faults runs it.
"""

from store_kills import kill_in_worlds

NUM_KILLS = 100


def test_a_hundred_random_kills_ask_nothing_twice(tmp_path):
    totals = kill_in_worlds(tmp_path, num_kills=NUM_KILLS, num_keys=1500, lease_s=1.0)
    assert totals["kills"] == NUM_KILLS
