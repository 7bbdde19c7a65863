"""A process that runs `Annotator.annotate` on one store, killed twenty times, then finished.

Every request looks into the store whether its reply is committed there already: it never is. What
is asked twice was under way at a kill. Rows that a killed process had seen are those of the end.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import signal
import time
from pathlib import Path

from core_support import judge_config, judge_world
from judge_server import ScriptedJudge
from test_annotate_kill import IMPORTED, WAIT_S, WatchfulServer

from annotator.calls.store import Store
from annotator.judging.annotator import Annotator

NUM_KILLS = 20
NUM_RESPONSES = 80
CALLS_A_RESPONSE = 4
CONCURRENCY = 4


async def annotate(folder: Path, base_url: str, seen: Path) -> None:
    _, documents, responses = judge_world(folder / "world", num_responses=NUM_RESPONSES)
    config = judge_config(base_url, concurrency=CONCURRENCY)
    with Store(folder / "store.sqlite") as store, seen.open("a", buffering=1) as lines:
        annotator = Annotator(config, documents=documents, store=store)
        async for row in annotator.annotate(responses):
            lines.write(row.model_dump_json() + "\n")


def work(folder: Path, base_url: str, seen: Path) -> None:
    asyncio.run(annotate(folder, base_url, seen))


def read_rows(seen: Path) -> dict[str, str]:
    """Whole lines by the id of their row; one id has one line."""
    text = seen.read_text() if seen.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()
    rows = {json.loads(line)["id"]: line for line in lines}
    assert len(rows) == len(lines)
    return rows


def test_twenty_kills_of_the_core_on_one_store(tmp_path: Path) -> None:
    source = random.Random("twenty kills of the core")
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([*IMPORTED, "annotator.judging.annotator"])
    judge = ScriptedJudge(judge_world(tmp_path / "world", num_responses=NUM_RESPONSES)[0])
    killed: list[Path] = []
    with WatchfulServer(judge, tmp_path / "store.sqlite", source) as server:

        def run(seen: Path) -> int | None:
            """One process, killed a while after its first request unless it is the last one."""
            before = server.requests.total()
            process = processes.Process(target=work, args=(tmp_path, server.base_url, seen))
            process.start()
            if len(killed) < NUM_KILLS:
                deadline = time.monotonic() + WAIT_S
                while server.requests.total() == before and time.monotonic() < deadline:
                    time.sleep(0.005)
                time.sleep(source.uniform(0.0, 0.25))
                process.kill()
            process.join(WAIT_S)
            return process.exitcode

        while len(killed) < NUM_KILLS:
            seen = tmp_path / f"seen-{len(killed)}.jsonl"
            assert run(seen) == -signal.SIGKILL, "it ended before it could be killed"
            killed.append(seen)
        assert run(tmp_path / "seen-last.jsonl") == 0
        num_asked, num_calls = server.requests.total(), len(server.requests)
        print(
            f"\nkills {NUM_KILLS}, calls {num_calls}, asked {num_asked}, "
            f"asked though committed {len(server.asked_again)}"
        )
        assert server.asked_again == []
        assert num_calls == NUM_RESPONSES * CALLS_A_RESPONSE
        assert num_asked - num_calls <= CONCURRENCY * NUM_KILLS
    rows = read_rows(tmp_path / "seen-last.jsonl")
    assert len(rows) == NUM_RESPONSES
    for seen in killed:
        assert read_rows(seen).items() <= rows.items()
