"""Ends what a killed driver leaves of its local cluster: a small process next to it.

The rule: it acts only when the driver is gone, which it sees at the end of its standard input. It
kills only processes that the driver named, and only if they are still those (a number may be used
again), and removes only the folder that it was given.

Linux kills the children of a killed driver, and Ray's workers end with them; but two helpers of Ray
would wait for minutes for the cluster to come back. Runs as a script, without other modules.
"""

import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_GRACE_S = 1.0
_END = "end"


def processes_below(pid: int) -> dict[int, str]:
    """The start time of each process that `pid` has started, directly or not (Linux)."""
    children: dict[int, list[int]] = {}
    began: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _fields_of(int(folder.name))
        if fields:
            children.setdefault(int(fields[1]), []).append(int(folder.name))
            began[int(folder.name)] = fields[19]
    found, queue = {}, [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            found[child] = began[child]
            queue.append(child)
    return found


def _fields_of(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third one; none where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def kill_those(began: dict[int, str]) -> None:
    """Kill the processes that are still the same."""
    for pid, start in began.items():
        fields = _fields_of(pid)
        if fields and fields[19] == start:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Wait for the end of the driver; the first argument is the folder of its cluster."""
    began: dict[int, str] = {}
    for line in sys.stdin:
        if line.strip() == _END:
            return
        began = {int(pid): start for pid, start in json.loads(line).items()}
    time.sleep(_GRACE_S)
    kill_those(began)
    time.sleep(_GRACE_S)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
