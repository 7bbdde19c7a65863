"""Counts replies that could not be used, so that a run stops before paying for more.

The rule: only replies of calls made in this run count. One dialogue with a usable result resets the
count; all replies of a dialogue count, repairs included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from annotator.models.backend import Outcome, RequestFailure
from annotator.models.detail_line import detail_line

PATIENCE = 30
_SHOWN_CHARS = 300


@dataclass(kw_only=True, slots=True)
class UselessReplies:
    """Counts the useless replies of one run.

    patience     useless replies in a row after which the run stops; None never stops
    in_a_row     useless replies since the last useful one
    num_useless  useless replies in all
    num_useful   replies that led to a result
    last         the last useless reply, or why there was none, on one line
    """

    patience: int | None = PATIENCE
    in_a_row: int = 0
    num_useless: int = 0
    num_useful: int = 0
    last: str = ""

    def begin(self) -> None:
        """A run begins: the reason why an earlier one stopped may have been fixed since."""
        if self.is_hopeless:
            self.in_a_row = 0

    def count_useful(self, num_replies: int) -> None:
        """A dialogue ended with a result, after `num_replies` replies of this run."""
        if num_replies:
            self.num_useful += num_replies
            self.in_a_row = 0

    def count_useless(self, replies: Sequence[Outcome]) -> None:
        """A dialogue ended without a result; `replies` are those of this run."""
        if replies:
            self.num_useless += len(replies)
            self.in_a_row += len(replies)
            self.last = show_reply(replies[-1])

    @property
    def is_hopeless(self) -> bool:
        """Whether the next replies are expected to be useless as well."""
        return self.patience is not None and self.in_a_row >= self.patience

    @property
    def is_all(self) -> bool:
        """Whether this run got replies and not one could be used."""
        return bool(self.num_useless) and not self.num_useful

    def describe(self) -> str:
        """Why the run stops: how many replies, and one of them."""
        if self.is_hopeless:
            return f"{self.in_a_row} replies in a row could not be used; the last one: {self.last}"
        return f"none of the {self.num_useless} replies could be used; the last one: {self.last}"


def show_reply(reply: Outcome) -> str:
    """A reply, or the reason why there is none, on one line of bounded length."""
    if isinstance(reply, RequestFailure):
        return f"{reply.reason} ({detail_line(reply.detail)})"
    text = detail_line(reply.text)[:_SHOWN_CHARS]
    shown = repr(text) if text else "thinking alone" if reply.reasoning else "an empty text"
    return f"{shown} (finish_reason {reply.finish_reason})"
