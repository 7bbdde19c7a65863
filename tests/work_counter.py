"""Counts how much work Python code does, so that tests of its growth need no clock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_steps(work: Callable[[], Any]) -> int:
    """The lines and calls that `work` executes in this thread, those of C functions included."""
    num = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal num
        num += event == "line"
        return trace

    def profile(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal num
        num += event in ("call", "c_call")

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return num
