"""A judge server in a process of its own, for many calls: `python scale_server.py LOG`.

It answers by rules (see `verdict`), so that it needs no table, and appends a line per reply to LOG:
the hash of the request, and the times at which it came and was answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judge_server import ScriptedJudge
from sample_server import completion

LATENCY_S = 0.02
_NUMBER = re.compile(r"\d+")


class RuleJudge(ScriptedJudge):
    """Judges the sentences that `write_world` makes, without a table."""

    def __init__(self) -> None:
        super().__init__({})

    def verdict(self, text: str) -> dict[str, Any]:
        """By the words and the number of the person."""
        n = int(found[0]) if (found := _NUMBER.search(text)) else 0
        label, quote = "no_fact", ""
        if "came from" in text:
            label, quote = "supported", f"Person {n} was born in the town of Karsted-{n}"
        elif "cats" in text:
            label, quote = "contradicted", f"kept {n + 2} grey cats"
        elif "loved" in text:
            label = "not_mentioned"
        return {"quotes": [quote] if quote else [], "reason": "as it is", "label": label}


def write_world(folder: Path, num_responses: int) -> None:
    """documents.jsonl and responses.jsonl: two responses to each question, each with a document."""
    with (folder / "documents.jsonl").open("w") as documents:
        for n in range(num_responses // 2 + 1):
            text = (
                f"Person {n} was born in the town of Karsted-{n} in {1900 + n % 100}. "
                f"Person {n} kept {n + 2} grey cats."
            )
            documents.write(json.dumps({"id": f"d{n}", "text": text}) + "\n")
    with (folder / "responses.jsonl").open("w") as responses:
        for number in range(num_responses):
            n = number // 2
            said = [
                f"Person {n} came from Karsted-{n}.",
                f"Person {n} kept {n + 7} cats.",
                f"Person {n} loved mountain {number}.",
                f"Thank you for question {n}!",
            ]
            row = {
                "id": f"r{number}",
                "question_id": f"q{n}",
                "document_ids": [f"d{n}"],
                "language": "en",
                "prompt": [{"role": "user", "content": f"Who is person {n}?"}],
                "text": " ".join(said[number % 2 :]),
            }
            responses.write(json.dumps(row) + "\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One request that was answered; times are those of `time.time()`."""

    key: str
    came: float
    answered: float


@dataclass(frozen=True, kw_only=True)
class ScaleServer:
    """A running server."""

    base_url: str
    log: Path

    def count(self) -> int:
        """The number of requests so far."""
        return self.log.read_bytes().count(b"\n")

    def replies(self) -> list[Reply]:
        """The requests so far."""
        rows = (line.split() for line in self.log.read_text().splitlines())
        return [Reply(key=key, came=float(a), answered=float(b)) for key, a, b in rows]


@contextmanager
def serve_scale(log: Path) -> Iterator[ScaleServer]:
    """A server process, until the end of the block."""
    log.write_text("")
    process = subprocess.Popen(
        [sys.executable, __file__, str(log)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield ScaleServer(base_url=f"http://127.0.0.1:{port}/v1", log=log)
    finally:
        process.kill()
        process.wait()


def asked_twice(replies: Sequence[Reply]) -> list[tuple[Reply, Reply]]:
    """(an earlier reply, the next request for the same) of all requests that came again."""
    last: dict[str, Reply] = {}
    found = []
    for reply in sorted(replies, key=lambda item: item.came):
        if reply.key in last:
            found.append((last[reply.key], reply))
        last[reply.key] = reply
    return found


async def _serve(log: Path) -> None:
    from aiohttp import web

    judge = RuleJudge()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def complete(request: web.Request) -> web.Response:
        came = time.time()
        data = await request.read()
        _, _, body = completion(judge.reply(json.loads(data)))
        await asyncio.sleep(LATENCY_S)
        key = hashlib.sha256(data).hexdigest()[:16]
        os.write(descriptor, f"{key} {came:.4f} {time.time():.4f}\n".encode())
        return web.Response(body=body, content_type="application/json")

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "judge", "root": "weights"}]})

    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
