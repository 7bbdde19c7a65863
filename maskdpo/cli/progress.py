"""Prints the events of a run: a progress bar on a terminal, a line at intervals in a log.

The rule: a sentence that must be read before money is spent is printed at once and stays; the bar
is redrawn in place. A log gets whole lines instead of a bar.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Never

from annotator.models.prices import show_money
from schemas.events import (
    Advanced,
    BatchStep,
    Ended,
    Event,
    Noted,
    Started,
    Usage,
)
from schemas.text.terminal import printable

if TYPE_CHECKING:
    from tqdm import tqdm

LOG_EVERY_S = 30.0
_REDRAW_EVERY_S = 0.2


class Progress:
    """A listener for `on_event`: call it with each event."""

    def __init__(self, *, log_every_s: float = LOG_EVERY_S) -> None:
        self._log_every_s = log_every_s
        self._stages: dict[str, _Bar | _Log] = {}

    def __call__(self, event: Event) -> None:
        """Print one event; events of single calls are not printed."""
        match event:
            case Noted():
                self._print_note(f"note: {event.text}")
            case Started():
                self._close(event.stage)
                self._stages[event.stage] = (
                    _Bar(event) if sys.stderr.isatty() else _Log(event, self._log_every_s)
                )
            case Advanced() if event.stage in self._stages:
                self._stages[event.stage].advance(event.count, describe(event.usage))
            case BatchStep() if event.stage in self._stages:
                text = f"{describe(event.usage)} | batch at token {event.step:,}"
                self._stages[event.stage].tick(text)
            case Ended():
                self._close(event.stage)

    def _close(self, stage: str) -> None:
        drawn = self._stages.pop(stage, None)
        if drawn is not None:
            drawn.close()

    def _print_note(self, text: str) -> None:
        from tqdm import tqdm

        tqdm.write(printable(text), file=sys.stderr)


class _Bar:
    """A bar that is redrawn in place."""

    def __init__(self, event: Started) -> None:
        from tqdm import tqdm

        self._bar: tqdm[Never] = tqdm(
            total=event.total,
            file=sys.stderr,
            desc=event.stage,
            unit=event.unit,
            dynamic_ncols=True,
            mininterval=_REDRAW_EVERY_S,
        )
        self._ticked = 0.0

    def advance(self, count: int, text: str) -> None:
        if text:
            self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(count)

    def tick(self, text: str) -> None:
        """Nothing new is finished, but work continues: a local model finishes a batch at once."""
        now = time.monotonic()
        if now - self._ticked >= _REDRAW_EVERY_S:
            self._ticked = now
            self._bar.set_postfix_str(text)

    def close(self) -> None:
        self._bar.close()


class _Log:
    """Prints a line every `log_every_s` seconds, finished rows or not, and one at the end."""

    def __init__(self, event: Started, log_every_s: float) -> None:
        self._event = event
        self._done = 0
        self._text = ""
        self._begun = time.monotonic()
        self._closed = threading.Event()
        self._log_every_s = log_every_s
        # A thread, because running calls may take minutes without an event.
        self._thread = threading.Thread(target=self._keep_printing, daemon=True)
        self._thread.start()

    def advance(self, count: int, text: str) -> None:
        self._done += count
        self.tick(text)

    def tick(self, text: str) -> None:
        self._text = text

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._print(time.monotonic() - self._begun)

    def _keep_printing(self) -> None:
        while not self._closed.wait(self._log_every_s):
            seconds, done, total = time.monotonic() - self._begun, self._done, self._event.total
            left = ""
            if total and 0 < done < total:
                left = f", about {_show_time(seconds * (total - done) / done)} left"
            self._print(seconds, left)

    def _print(self, seconds: float, left: str = "") -> None:
        event = self._event
        of = f" of {event.total:,}" if event.total is not None else ""
        units = "replies" if event.unit == "reply" else f"{event.unit}s"
        line = f"{event.stage}: {self._done:,}{of} {units} in {_show_time(seconds)}{left}"
        line = f"{line} | {self._text}" if self._text else line
        sys.stderr.write(f"{line}\n")  # in a single write: the run may print at the same time
        sys.stderr.flush()


def describe(usage: Usage | None) -> str:
    """Calls, tokens, cost, labels and failures in one line; empty for work without calls."""
    if usage is None:
        return ""
    parts = [f"calls {usage.asked:,}"]
    if usage.served:
        parts.append(f"stored {usage.served:,}")
    about = "~" if usage.is_estimated else ""
    total = usage.prompt + usage.completion
    if total:
        parts.append(f"tokens {about}{_short(total)}")
    if usage.cached and usage.prompt:
        parts.append(f"cached {usage.cached / usage.prompt:.0%}")
    if usage.cost is not None:
        parts.append(about + show_money(usage.cost, usage.currency))
    if usage.total_cost:
        parts.append(f"in all {usage.total_cost}")
    for name, counted, count in (("", usage.labels, 4), ("failed: ", usage.failures, 3)):
        most = sorted(counted.items(), key=lambda item: -item[1])[:count]
        if most:
            parts.append(name + ", ".join(f"{key} {number:,}" for key, number in most))
    return " | ".join(parts)


def _short(count: int) -> str:
    return f"{count / 1e6:.2f}M" if count >= 1e6 else f"{count / 1e3:.1f}k"


def _show_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
