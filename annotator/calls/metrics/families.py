"""The table of metric families: one definition for the file of a run and for the service.

The rule: a label holds a name from the settings, a host with its port, or a word of a fixed list;
never an id, a text, a path or a key. Only counters, gauges and histograms are used, and help texts
hold no quotation mark and no backslash: the textfile collector of node_exporter refuses others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Merge = Literal["sum", "min", "max"]
_REASON = re.compile(r"[a-z_]{1,40}|http_[1-5][0-9]{2}")
OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One family; its name in the text is `maskdpo_` and `name` (and `_total` for a counter).

    labels   names of the labels after `role` and `name`, where `is_of_caller`
    unit     the last word of `name`, where it has a unit
    merge    how the values of two processes become one
    is_now   a value of the present moment: it ends with its process
    is_redone  work that a process which dies leaves behind, and another does again
    """

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    merge: Merge = "sum"
    is_now: bool = False
    is_redone: bool = False
    is_of_caller: bool = True

    @property
    def label_names(self) -> tuple[str, ...]:
        """All label names, in the order of the values of a key."""
        return ("role", "name", *self.labels) if self.is_of_caller else self.labels

    @property
    def sample(self) -> str:
        """The name under which a query finds it; a histogram also has `_sum` and `_count`."""
        ending = {"counter": "_total", "gauge": "", "histogram": "_bucket"}[self.kind]
        return f"maskdpo_{self.name}{ending}"


def _counter(name: str, text: str, *labels: str, is_redone: bool = False) -> Family:
    return Family(name=name, kind="counter", text=text, labels=labels, is_redone=is_redone)


def _gauge(name: str, text: str, *labels: str) -> Family:
    return Family(name=name, kind="gauge", text=text, labels=labels, is_now=True)


def _process(name: str, text: str, *labels: str, unit: str = "", merge: Merge = "max") -> Family:
    return Family(
        name=name,
        kind="gauge",
        text=text,
        labels=labels,
        unit=unit,
        merge=merge,
        is_of_caller=False,
    )


CALLS = _counter("calls", "Calls sent to the model.")
FROM_STORE = _counter("calls_from_store", "Calls whose outcome was found in the store.")
FAILED = _counter("calls_failed", "Calls that ended without a reply.", "reason")
RETRIED = _counter("calls_retried", "Calls that were sent again.", "reason")
TOKENS = _counter("tokens", "Tokens of replies; cached ones are part of prompt.", "kind")
COST = _counter("cost", "Cost of replies, where the model has prices.", "currency")
SECONDS = Family(
    name="call_seconds",
    kind="histogram",
    text="Seconds from sending a call to its reply, without waiting for a slot or a retry.",
    unit="seconds",
)
UNDER_WAY = _gauge("calls_under_way", "Calls without an outcome yet, those that wait included.")
ROWS = _counter(
    "rows", "Rows of the input that are finished, by outcome.", "outcome", is_redone=True
)
ROWS_FOUND = _counter("rows_found", "Rows of the input.", is_redone=True)
SENTENCES = _counter("sentences", "Sentences with a verdict, by label.", "label", is_redone=True)
SERVER_CALLS = _gauge("server_calls", "Calls at a server now.", "server")
SERVER_ROOM = _gauge("server_room", "Calls that a server may have at once now.", "server")
SERVER_RATE = _gauge("server_rate", "Calls per second that a server gets now at most.", "server")
SERVER_WAITING = _gauge("server_waiting", "Refused calls that wait to be sent again.", "server")
SERVER_SENT = _counter("server_sent", "Calls sent to a server, repeated ones too.", "server")
SERVER_REFUSED = _counter("server_refused", "Calls that a full server refused.", "server")
START_TIME = _process(
    "start_time_seconds", "Start of the work, in seconds since 1970.", unit="seconds", merge="min"
)
BUILD = _process("build_info", "Always 1; the version is a label.", "version")
STATE = _process("run_state", "1 for the state of the run, 0 for the others.", "state")

FAMILIES: Mapping[str, Family] = {
    item.name: item
    for item in (
        CALLS,
        FROM_STORE,
        FAILED,
        RETRIED,
        TOKENS,
        COST,
        SECONDS,
        UNDER_WAY,
        ROWS,
        ROWS_FOUND,
        SENTENCES,
        SERVER_CALLS,
        SERVER_ROOM,
        SERVER_RATE,
        SERVER_WAITING,
        SERVER_SENT,
        SERVER_REFUSED,
        START_TIME,
        BUILD,
        STATE,
    )
}
# Upper bounds of the histogram's buckets, in seconds; one more bucket has what is above.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
TOKEN_KINDS = ("prompt", "cached", "completion")
OUTCOMES = ("done", "failed")
RUN_STATES = ("running", "done", "stopped", "failed")


def reason_word(reason: str) -> str:
    """`reason` where it is a short code; else OTHER: a label holds no text."""
    return reason if _REASON.fullmatch(reason) else OTHER
