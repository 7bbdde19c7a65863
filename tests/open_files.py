"""A limit on open files that leaves room for some more, whatever earlier tests left open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def few_open_files(number: int) -> Iterator[int]:
    """Let this process open `number` more files; gives the limit that was set."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _limit_with_free(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _limit_with_free(number: int) -> int:
    """The lowest limit under which `number` descriptors are free: the system counts the highest."""
    limit = 0
    while number:
        number -= not _is_open(limit)
        limit += 1
    return limit


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
