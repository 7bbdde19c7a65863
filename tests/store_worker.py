"""A process that asks a counting server through one store, in one of several ways, until killed.

    python tests/store_worker.py HOW STORE LOG NAME NUM_KEYS LEASE_S

The server is a log that all workers append to. The rule: a line is on the disk before what it says
has an effect. `asked` comes before the reply, `acked` after the store reported its commit, and
`again` is a call whose reply was committed when it was asked: it must never be there.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from annotator.calls.owner_lock import lock_path
from annotator.calls.store import Store

HOWS = ("threads", "loops", "stores", "host")
_IN_FLIGHT = 4  # per thread or loop
_PAUSE_S = 0.02


class Server:
    """Replies after some milliseconds, differently each time it is asked."""

    def __init__(self, store: Path, log: Path, name: str) -> None:
        self._store = store
        self._name = name
        self._log = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def note(self, event: str, key: str, text: str = "-") -> None:
        os.write(self._log, f"{event} {key} {self._name} {text}\n".encode())
        os.fsync(self._log)

    def ask(self, key: str) -> dict[str, str]:
        """Begin a call; the reply comes to whoever waits `delay_s`."""
        with closing(sqlite3.connect(f"file:{self._store}?mode=ro", uri=True)) as look:
            if look.execute("SELECT 1 FROM calls WHERE key = ?", (key,)).fetchone():
                self.note("again", key)
        self.note("asked", key)
        return {"text": f"{key}-{os.urandom(4).hex()}"}

    @staticmethod
    def delay_s() -> float:
        return random.uniform(0.002, 0.02)


def run_sync(store: Store, server: Server, keys: list[str]) -> None:
    """One call after the other, with the calls that know nothing of groups."""
    todo = keys[:]
    while todo:
        key = todo.pop(0)
        if store.present([key]):
            continue
        if not store.claim([key]):
            todo.append(key)
            time.sleep(_PAUSE_S)
        elif store.present([key]):  # stored just before it was claimed
            store.release([key])
        else:
            reply = server.ask(key)
            time.sleep(server.delay_s())
            store.put_many("judge", {key: reply})
            server.note("acked", key, store.get_many([key])[key]["text"])


async def run_async(store: Store, server: Server, keys: list[str]) -> None:
    """Several calls at once, stored in groups."""
    todo = iter(keys)

    async def ask_all(source: Iterator[str]) -> None:
        for key in source:
            while not await _settle(store, server, key):
                await asyncio.sleep(_PAUSE_S)

    await asyncio.gather(*(ask_all(todo) for _ in range(_IN_FLIGHT)))


async def _settle(store: Store, server: Server, key: str) -> bool:
    found = store.claim_missing([key])
    if key in found.stored:
        return True
    if key not in found.mine:
        return False
    reply = server.ask(key)
    await asyncio.sleep(server.delay_s())
    stored = await asyncio.wrap_future(store.submit("judge", {key: reply}))
    server.note("acked", key, stored[key]["text"])
    return True


def hide_lock(store: Store, path: Path) -> None:
    """Be a host whose file locks others do not see: only its heartbeat shows that it lives."""
    store.claim(["of the hidden host"])
    with closing(sqlite3.connect(path)) as look:
        query = "SELECT owner FROM leases WHERE key = 'of the hidden host'"
        (owner,) = look.execute(query).fetchone() or ("",)
    store.release(["of the hidden host"])
    lock_path(path, owner).unlink(missing_ok=True)


def main() -> None:
    how, path, log, name, num_keys, lease_s = sys.argv[1:]
    file = Path(path)
    server = Server(file, Path(log), name)
    first = Store(file, lease_s=float(lease_s))
    second = Store(file, lease_s=float(lease_s)) if how == "stores" else first
    if how == "host":
        hide_lock(first, file)

    def work(store: Store) -> None:
        keys = [f"k{n}" for n in range(int(num_keys))]
        random.shuffle(keys)
        if how == "threads":
            run_sync(store, server, keys)
        else:
            asyncio.run(run_async(store, server, keys))

    threads = [threading.Thread(target=work, args=(store,)) for store in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first.close()
    second.close()


if __name__ == "__main__":
    main()
