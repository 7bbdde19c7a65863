"""Judge servers with a hidden limit on calls per second: on loopback, each in its own process.

python tests/limited_server.py '{"kind": "fixed", "rate": 40}'   prints its port
"""

import asyncio
import itertools
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter, deque
from pathlib import Path


class HiddenLimit:
    """Whether a server accepts a call at a time: `rate` calls/s, which may be changed at any time.

    kind    fixed: windows of `window_s` from 0; sliding: the last `window_s`; bucket: filled at
            `rate`, holds `rate * window_s` calls; slots: `rate` calls under way
    """

    def __init__(self, kind, rate, window_s=1.0):
        self.kind, self.rate, self.window_s = kind, rate, window_s
        self._window, self._count = -1, 0
        self._recent = deque()
        self._tokens, self._filled_at = max(1.0, rate * window_s), 0.0
        self.under_way = 0

    def accepts(self, now):
        return getattr(self, f"_{self.kind}")(now)

    def retry_after(self, now):
        """Whole seconds, as servers send them."""
        return 1 if self.kind != "fixed" else int(self.window_s - now % self.window_s) + 1

    def _fixed(self, now):
        window = int(now / self.window_s)
        if window != self._window:
            self._window, self._count = window, 0
        self._count += 1
        return self._count <= self.rate * self.window_s

    def _sliding(self, now):
        while self._recent and self._recent[0] <= now - self.window_s:
            self._recent.popleft()
        if len(self._recent) >= self.rate * self.window_s:
            return False
        self._recent.append(now)
        return True

    def _bucket(self, now):
        most = max(1.0, self.rate * self.window_s)
        self._tokens = min(most, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _slots(self, now):
        return self.under_way < self.rate


class LimitedServer:
    """Use as a context manager: a process with one server.

    rate, kind, window_s  its hidden limit, see `HiddenLimit`
    retry_after           a refusal asks to wait a whole number of seconds
    latency_s             seconds of a reply
    changes               [[seconds after the first call, rate], ...]
    """

    def __init__(
        self, rate, *, kind="fixed", window_s=1.0, retry_after=True, latency_s=0.02, changes=()
    ):
        self.rate, self.changes = rate, changes
        self._settings = {
            "rate": rate,
            "kind": kind,
            "window_s": window_s,
            "retry_after": retry_after,
            "latency_s": latency_s,
            "changes": list(changes),
        }

    def __enter__(self):
        arguments = [sys.executable, str(Path(__file__)), json.dumps(self._settings)]
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        self.base_url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/v1"
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def counts(self):
        """(accepted, refused) calls, each by second since the first call."""
        with urllib.request.urlopen(f"{self.base_url}/counts", timeout=10) as reply:
            found = json.load(reply)
        return tuple(Counter({int(k): n for k, n in part.items()}) for part in found)

    def allowed(self, start, end):
        """Calls that it allows from second `start` to second `end` since the first call."""
        steps = [(0.0, self.rate), *self.changes, (float("inf"), 0)]
        total = 0.0
        for (at, rate), (until, _) in itertools.pairwise(steps):
            total += rate * max(0.0, min(end, until) - max(start, at))
        return total


async def serve(settings):
    """Serve until the process is killed."""
    from aiohttp import web
    from sample_server import MODELS, completion

    limit = HiddenLimit(settings["kind"], settings["rate"], settings["window_s"])
    accepted, refused = Counter(), Counter()
    began = []
    changes = deque(settings["changes"])

    async def chat(request):
        body = await request.json()
        began.append(time.monotonic()) if not began else None
        now = time.monotonic() - began[0]
        while changes and now >= changes[0][0]:
            limit.rate = changes.popleft()[1]
        if not limit.accepts(now):
            refused[int(now)] += 1
            after = {"Retry-After": str(limit.retry_after(now))} if settings["retry_after"] else {}
            return web.json_response({"error": {"message": "too many"}}, status=429, headers=after)
        accepted[int(now)] += 1
        await asyncio.sleep(settings["latency_s"])
        text = body["messages"][-1]["content"]
        return web.Response(body=completion(text)[2], content_type="application/json")

    async def models(request):
        return web.Response(body=MODELS[2], content_type="application/json")

    async def counts(request):
        return web.json_response([accepted, refused])

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", models)
    app.router.add_get("/v1/counts", counts)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
