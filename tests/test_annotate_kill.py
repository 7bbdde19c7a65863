"""`annotate` killed at any moment and continued; two at once on one store: each call is paid once.

Runs are processes forked from a server that has imported everything, so that twenty kills cost
seconds.
"""

import json
import multiprocessing
import os
import random
import re
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from hashlib import sha256

import pytest
from judge_server import ScriptedJudge
from judge_support import make_world
from sample_server import ChatServer, completion

from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate

CONCURRENCY = 4
NUM_RESPONSES = 6
# Calls of an uninterrupted run; a window of two sentences gives `response` some to be killed at.
NUM_CALLS = {"response": 12, "sentence": 24, "anah": 6 * (1 + 2 + 3 + 3)}
NUM_KILLS = {"response": 6, "sentence": 7, "anah": 7}
WAIT_S = 60
# What a run imports at the latest; a name that is not there is left out, and only costs time.
IMPORTED = (
    "pytest.__main__",
    "tqdm",
    "sentencex",
    "aiohttp",
    "annotator.models.openai.openai_backend",
    "annotator.judging.llm_judge",
    "annotator.judging.runs.annotate",
)


@pytest.fixture(scope="module")
def processes():
    """Makes processes that start with all imports done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    return context


def annotate(
    folder, base_url, protocol, output="annotations.jsonl", barrier=None, *, concurrency=CONCURRENCY
):
    """One run, in a process of its own; its server key is the name of its output."""
    os.environ["OPENAI_API_KEY"] = output
    config = AnnotateConfig.parse(
        {
            "judge": "llm",
            "llm": {
                "model": "judge",
                "base_url": base_url,
                "protocol": protocol,
                "window": 2,
                "concurrency": concurrency,
            },
        },
        where="annotate",
    )
    if barrier is not None:
        barrier.wait(WAIT_S)
    run_annotate(
        config,
        responses=folder / "responses.jsonl",
        documents=folder / "documents.jsonl",
        output=folder / output,
        store=folder / "store.sqlite",
    )


def annotate_killed_at(processes, folder, judge, protocol, moment):
    """Run until request `moment` arrives, then SIGKILL (None: to the end): exit code, bodies."""
    started = threading.Event()

    def strike(count):
        if count == moment:
            started.wait(WAIT_S)
            process.kill()

    with ChatServer(judge, on_request=strike) as server:
        process = processes.Process(target=annotate, args=(folder, server.base_url, protocol))
        process.start()
        started.set()
        process.join(WAIT_S)
    return process.exitcode, bodies(server)


def bodies(server):
    """Each request that arrived, as a text."""
    return [json.dumps(call.body, sort_keys=True) for call in server.asked]


def late(judge, seed):
    """The judge, each answer a little late, so that what is in flight at a kill differs."""
    source = random.Random(seed)
    delays = [source.uniform(0.0, 0.01) for _ in range(100)]

    def answer(body):
        time.sleep(delays[len(json.dumps(body)) % len(delays)])
        return judge(body)

    return answer


@pytest.mark.parametrize("protocol", NUM_CALLS)
def test_a_kill_at_any_moment_costs_what_was_in_flight_and_changes_no_byte(
    processes, tmp_path, protocol
):
    whole = tmp_path / "whole"
    whole.mkdir()
    judge = ScriptedJudge(make_world(whole, num_responses=NUM_RESPONSES))
    code, uninterrupted = annotate_killed_at(processes, whole, judge, protocol, None)
    assert code == 0
    assert len(set(uninterrupted)) == len(uninterrupted) == NUM_CALLS[protocol]
    expected = (whole / "annotations.jsonl").read_bytes()
    source = random.Random(f"kills of {protocol}")
    moments = source.sample(range(1, NUM_CALLS[protocol] + 1), NUM_KILLS[protocol])
    for moment in moments:
        folder = tmp_path / f"killed-at-{moment}"
        folder.mkdir()
        make_world(folder, num_responses=NUM_RESPONSES)
        slow = late(judge, moment)
        code, before = annotate_killed_at(processes, folder, slow, protocol, moment)
        assert code == -signal.SIGKILL
        assert not (folder / "annotations.jsonl").exists()
        code, after = annotate_killed_at(processes, folder, slow, protocol, None)
        assert code == 0
        assert (folder / "annotations.jsonl").read_bytes() == expected
        asked = Counter(before + after)
        assert asked.keys() == set(uninterrupted)
        assert max(asked.values()) <= 2
        assert asked.total() - NUM_CALLS[protocol] <= CONCURRENCY


@pytest.mark.parametrize("protocol", NUM_CALLS)
def test_two_processes_on_one_store_ask_nothing_twice(processes, tmp_path, protocol):
    judge = ScriptedJudge(make_world(tmp_path, num_responses=NUM_RESPONSES))

    def slow(body):
        time.sleep(0.05)  # long enough for both to have calls under way
        return judge(body)

    barrier = processes.Barrier(2)
    outputs = ("first.jsonl", "second.jsonl")
    with ChatServer(slow) as server:
        running = [
            processes.Process(
                target=annotate, args=(tmp_path, server.base_url, protocol, output, barrier)
            )
            for output in outputs
        ]
        for process in running:
            process.start()
        for process in running:
            process.join(WAIT_S)
    assert [process.exitcode for process in running] == [0, 0]
    assert {call.authorization for call in server.asked} == {f"Bearer {name}" for name in outputs}
    asked = bodies(server)
    assert len(set(asked)) == len(asked) == NUM_CALLS[protocol]
    first, second = ((tmp_path / name).read_bytes() for name in outputs)
    assert first == second
    assert first.count(b"\n") == NUM_RESPONSES


class WatchfulServer(ChatServer):
    """Looks into the store at every request: is its reply committed there already?

    Each reply carries the hash of its request as the judge's reason, so that it is known again.
    """

    def __init__(self, judge, store, source):
        super().__init__(self._answer)
        self._judge, self._store, self._source = judge, store, source
        self.requests = Counter()
        self.asked_again = []

    def _answer(self, body):
        name = sha256(json.dumps(body["messages"]).encode()).hexdigest()
        if self.requests[name] and name in self.committed():  # only a call made before is stored
            self.asked_again.append(name)
        self.requests[name] += 1
        time.sleep(self._source.uniform(0.02, 0.08))
        return completion(self._judge.reply(body).replace("as it is", name))

    def committed(self):
        """The requests whose replies are in the store."""
        if not self._store.exists():
            return set()
        with closing(sqlite3.connect(f"file:{self._store}?mode=ro", uri=True)) as connection:
            try:
                values = connection.execute("SELECT value FROM calls").fetchall()
            except sqlite3.OperationalError:  # its tables are not made yet
                return set()
        return {name for (value,) in values for name in re.findall("[0-9a-f]{64}", value)}


def kill_two_processes(processes, folder, source, *, num_kills):
    """Annotate with two processes on one store, each killed at random times and started again.

    Returns the server, and how many kills hit a process that was at work.
    """
    judge = ScriptedJudge(make_world(folder, num_responses=NUM_RESPONSES * 4))
    killed = 0
    with WatchfulServer(judge, folder / "store.sqlite", source) as server:

        def start(name):
            process = processes.Process(
                target=annotate,
                args=(folder, server.base_url, "sentence", name),
                kwargs={"concurrency": 2},
            )
            process.start()
            return process

        running = {name: start(name) for name in ("first.jsonl", "second.jsonl")}
        while killed < num_kills and any(item.is_alive() for item in running.values()):
            before = server.requests.total()
            deadline = time.monotonic() + WAIT_S
            while server.requests.total() == before and time.monotonic() < deadline:
                if not any(item.is_alive() for item in running.values()):
                    break
                time.sleep(0.005)
            time.sleep(source.uniform(0.0, 0.3))
            for name in source.sample(sorted(running), source.choice((1, 1, 2))):
                running[name].kill()
                running[name].join(WAIT_S)
                if running[name].exitcode == -signal.SIGKILL:
                    killed += 1
                    running[name] = start(name)
        for process in running.values():
            process.join(WAIT_S)
        assert [process.exitcode for process in running.values()] == [0, 0]
    return server, killed


def test_twenty_random_kills_of_two_processes_on_one_store(processes, tmp_path):
    source = random.Random("twenty kills of two processes")
    totals = Counter()
    while totals["kills"] < 20:
        folder = tmp_path / f"world-{totals['worlds']}"
        folder.mkdir()
        left = 20 - totals["kills"]
        server, killed = kill_two_processes(processes, folder, source, num_kills=left)
        assert killed
        assert server.asked_again == []
        assert len(server.requests) == NUM_RESPONSES * 4 * 4
        # Asked twice is only what was under way at a kill: at most two calls of each process.
        num_lost = server.requests.total() - len(server.requests)
        assert num_lost <= 2 * killed
        first, second = ((folder / f"{name}.jsonl").read_bytes() for name in ("first", "second"))
        assert first == second
        assert first.count(b"\n") == NUM_RESPONSES * 4
        totals += Counter(
            worlds=1,
            kills=killed,
            calls=len(server.requests),
            requests=server.requests.total(),
            asked_again_at_a_kill=num_lost,
        )
    print(f"{dict(totals)}, asked although the reply was committed: 0")
