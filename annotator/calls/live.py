"""The live line of long work: how far, how fast, at what cost, with what outcome.

On a terminal it is redrawn in place; elsewhere (a log) a line is printed every half minute.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from annotator.calls.usage import Meter

_SECONDS_A_LOG_LINE = 30.0


class LiveLine:
    """A progress bar in `unit`s with the meter's line behind it. Use it as a context manager."""

    def __init__(self, name: str, *, total: int, unit: str, show: bool, done: int = 0) -> None:
        from tqdm import tqdm

        self._ticked = 0.0
        self._bar = tqdm(
            total=total,
            initial=done,
            disable=not show,
            file=sys.stderr,
            desc=name,
            unit=unit,
            dynamic_ncols=True,
            mininterval=0.2 if sys.stderr.isatty() else _SECONDS_A_LOG_LINE,
        )

    def update(self, count: int, meter: Meter | None = None) -> None:
        """`count` more units are done."""
        if meter is not None and not self._bar.disable:
            self._bar.set_postfix_str(meter.line(), refresh=False)
        self._bar.update(count)

    def tick(self, text: str) -> None:
        """Nothing is finished, but work goes on: show `text`, at most as often as the bar is drawn.

        A local model finishes a whole batch at once, which may take minutes.
        """
        now = time.monotonic()
        if self._bar.disable or now - self._ticked < self._bar.mininterval:
            return
        self._ticked = now
        self._bar.set_postfix_str(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()


def say(text: str, *, show: bool = True) -> None:
    """A sentence for the user that must be read before money is spent."""
    if show:
        from tqdm import tqdm

        tqdm.write(f"note: {text}", file=sys.stderr)
