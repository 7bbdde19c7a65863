"""Judges: from a response and its documents to a verdict per sentence.

The interface every judge has, from word overlap to an LLM with a protocol. A judge does not read or
write files or stores: `annotate` gives it tasks and writes the results.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from schemas.records import Document, Response, Verdict
from schemas.spans import Offsets

if TYPE_CHECKING:
    from annotator.calls.running.source import Items


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeTask:
    """A response, its sentences as code-point offsets, and the documents it is compared with.

    `fragment` is a last sentence that the length limit cut off: it is not judged.
    """

    response: Response
    sentences: Sequence[Offsets]
    documents: Sequence[Document]
    fragment: Offsets | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeFailure:
    """A response that could not be judged at all; `reason` is a short code."""

    reason: str
    detail: str


Judged = list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]
"""Finished tasks with one verdict per sentence, or the reason for none."""


class Judge(Protocol):
    """Makes verdicts from a response and its documents."""

    name: str
    reads_prompt: bool
    """Whether a verdict also depends on the question and on the row's language."""
    reads_id: bool
    """Whether a verdict also depends on the response's id."""

    def fingerprint(self) -> dict[str, Any]:
        """The settings of this judge that decide a verdict, recorded with each run."""

    def notes(self) -> list[str]:
        """Notes that a user must read before trusting the verdicts; printed first."""

    def closing_notes(self) -> list[str]:
        """Notes about the judging, for the end of a run."""

    def judge(self, tasks: Sequence[JudgeTask]) -> Iterator[Judged]:
        """Yield finished batches; every task appears exactly once."""


@runtime_checkable
class StreamingJudge(Protocol):
    """A judge that waits for servers and can do so in the caller's event loop."""

    def judge_stream(self, tasks: Items[JudgeTask]) -> AsyncGenerator[Judged, None]:
        """`judge` for any number of tasks, pulled when they can be judged.

        In order of completion.
        """
