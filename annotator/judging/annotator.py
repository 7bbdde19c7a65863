"""The core: from responses to annotations, for every caller: a command, a service, a notebook.

The rule: nothing here reads or writes a file of rows, prints progress, or owns an event loop.
Responses are pulled when they can be judged and returned when they are finished, so their number
does not matter. A judge model's reply is in the store before its verdict is returned; a caller that
stops, or is killed, passes the responses without annotations again and gets the same verdicts.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Sequence
from contextlib import aclosing
from functools import cached_property
from typing import Any

from annotator.calls.running.blocking import block_on
from annotator.calls.running.handover import Handover
from annotator.calls.running.source import Items, iterate
from annotator.calls.store import Store
from annotator.calls.usage import NO_LIMITS, Budget, Limits, Meter
from annotator.judging.cascade_judge import CascadeJudge
from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from annotator.judging.judge import Judge, Judged, JudgeFailure, JudgeTask
from annotator.judging.make_judge import asks_a_model, judge_meter, make_judge
from annotator.judging.stream_judge import JudgeProcesses, stream_judge
from annotator.judging.tasks import TaskMaker
from annotator.judging.verdict_checks import find_verdict_fault
from schemas.events import Advanced, Ended, OnEvent, Started, ignore
from schemas.labels import Label
from schemas.records import Annotation, Document, Failure, Response, Sentence, Verdict

STAGE = "annotate"


class Annotator:
    """Judges the sentences of responses with the judge of `config`.

    documents   what responses are compared with, selected for each by `config`
    store       stores the calls of a judge model; needed only for one, and never closed here
    limits      limits on calls, which raise LimitReachedError; a `Budget` is shared with others
    processes   worker processes for a judge that computes; shared with others, never closed here
    on_event    is called with progress, cost and failures (schemas/events.py)
    judge       a judge made elsewhere, in place of the one of `config`
    meter       counts the judge's calls together with others, in place of `limits`

    It may be pickled (worker processes, Ray): a copy has its own judge (a pickled `judge`, where
    one was given), its own connection to the same store and its own limits, and reports no events.
    Raises ConfigError where the domain or prices are missing; faults of the judge are raised when
    it is first used.
    """

    def __init__(
        self,
        config: AnnotateConfig,
        *,
        documents: Iterable[Document] = (),
        store: Store | None = None,
        limits: Limits | Budget = NO_LIMITS,
        processes: JudgeProcesses | None = None,
        on_event: OnEvent = ignore,
        judge: Judge | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.config = with_domain(config)
        self.documents: Sequence[Document] = list(documents)
        self.store = store
        self.processes = processes
        self.on_event = on_event
        self.meter = meter or judge_meter(self.config, limits)
        if on_event is not ignore:
            self.meter.on_event = on_event
        self._given_judge = judge
        self._making = threading.Lock()

    @property
    def judge(self) -> Judge:
        """The judge, made when it is first needed; all threads share it."""
        with self._making:
            return self._judge

    @cached_property
    def _judge(self) -> Judge:
        judge = self._given_judge or make_judge(self.config, store=self.store, meter=self.meter)
        if isinstance(judge, CascadeJudge):
            judge.processes = self.processes
        return judge

    @cached_property
    def tasks(self) -> TaskMaker:
        """Finds the sentences and documents of a response."""
        return TaskMaker(self.documents, self.config)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "config": self.config,
            "documents": self.documents,
            "store": self.store,
            "limits": self.meter.budget.limits,
            "judge": self._given_judge,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    async def annotate(
        self, responses: Items[Response | Failure]
    ) -> AsyncGenerator[Annotation | Failure, None]:
        """Annotations in order of completion, each response exactly once.

        `responses` is an iterable or asynchronous iterable of any length. A response that cannot be
        judged is a `Failure` with its id; a `Failure` among the responses is passed through.
        Offsets of sentences are code points of the response's text. Raises LimitReachedError at a
        limit and BackendError when servers fail: replies received by then are in the store.
        Several calls may run at once. Closing it cancels the calls under way.
        """
        rows: Handover[Annotation | Failure] = Handover()
        self.on_event(Started(stage=STAGE, total=None, unit="response"))
        try:
            async with aclosing(rows.run(self._annotate(responses, rows))) as found:
                async for row in found:
                    yield row
        finally:
            self.on_event(Ended(stage=STAGE))

    async def _annotate(
        self, responses: Items[Response | Failure], rows: Handover[Annotation | Failure]
    ) -> None:
        async with aclosing(self.judge_stream(self._prepare(responses, rows))) as batches:
            async for batch in batches:
                name = self.judge.name
                await rows.put(finish_task(task, outcome, judge=name) for task, outcome in batch)

    def annotate_now(
        self, responses: Iterable[Response | Failure]
    ) -> Generator[Annotation | Failure, None, None]:
        """`annotate` for callers without an event loop; the work is done while the caller waits for
        the next one.

        Inside a running event loop, as in a notebook, it works in a thread.
        """
        return block_on(self.annotate(responses))

    async def judge_stream(self, tasks: Items[JudgeTask]) -> AsyncGenerator[Judged, None]:
        """Finished tasks with their verdicts, as they are judged."""
        async with aclosing(stream_judge(self.judge, tasks, self.processes)) as batches:
            async for batch in batches:
                self._report(len(batch))
                yield batch

    def judge_now(self, tasks: Sequence[JudgeTask]) -> Iterator[Judged]:
        """`judge_stream` for callers without an event loop."""
        for batch in self.judge.judge(tasks):
            self._report(len(batch))
            yield batch

    def _report(self, count: int) -> None:
        if self.on_event is not ignore:
            usage = self.meter.snapshot() if asks_a_model(self.config) else None
            self.on_event(Advanced(stage=STAGE, count=count, usage=usage))

    async def _prepare(
        self, responses: Items[Response | Failure], rows: Handover[Annotation | Failure]
    ) -> AsyncGenerator[JudgeTask, None]:
        async with aclosing(iterate(responses)) as source:
            async for response in source:
                made = self._make_task(response)
                if isinstance(made, JudgeTask):
                    yield made
                else:
                    self._report(1)
                    await rows.put([made])

    def _make_task(self, response: Response | Failure) -> JudgeTask | Failure:
        if isinstance(response, Failure):
            return response
        made = self.tasks.make(response)
        return made if isinstance(made, JudgeTask) else made.of(response)


def finish_task(
    task: JudgeTask, outcome: Sequence[Verdict] | JudgeFailure, *, judge: str
) -> Annotation | Failure:
    """What a judge returned for `task`, as a row."""
    fault = find_verdict_fault(task, outcome)
    if fault is not None or isinstance(outcome, JudgeFailure):
        assert fault is not None
        return Failure(id=task.response.id, stage=STAGE, reason=fault.reason, detail=fault.detail)
    return make_annotation(task, outcome, judge=judge)


def make_annotation(task: JudgeTask, verdicts: Sequence[Verdict], *, judge: str) -> Annotation:
    """The response with its sentences; a fragment at its end is undetermined."""
    offsets, found = list(task.sentences), list(verdicts)
    if task.fragment is not None:
        offsets.append(task.fragment)
        found.append(_cut_off(judge))
    sentences = [
        Sentence(start=start, end=end, verdict=verdict)
        for (start, end), verdict in zip(offsets, found, strict=True)
    ]
    return Annotation.model_validate({**dict(task.response), "sentences": sentences})


def _cut_off(judge: str) -> Verdict:
    """The verdict on a fragment, which is not judged."""
    return Verdict(
        label=Label.UNDETERMINED,
        reason="cut_off",
        rationale="the length limit of the response cut this sentence off",
        judge=judge,
    )
