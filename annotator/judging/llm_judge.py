"""The LLM judge: a protocol over a backend, every call through the store.

The rule: a verdict depends only on stored calls, so a rerun gives the same verdicts without calls,
and a killed process loses only what was in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import InitVar, dataclass, field
from typing import Any

from annotator.calls.dialogue import Dialogue
from annotator.calls.run_dialogues import run_dialogues, stream_dialogues
from annotator.calls.running.open_dialogues import Named
from annotator.calls.running.source import Items, iterate
from annotator.calls.store import Store
from annotator.calls.stored_calls import StoredCalls
from annotator.calls.usage import Meter
from annotator.judging.evidence.quotes import QuoteFinder
from annotator.judging.evidence.wrong_words import WRONG_WORDS_VERSION
from annotator.judging.excerpts import ExcerptChooser
from annotator.judging.judge import Judged, JudgeTask
from annotator.judging.llm_config import LlmConfig
from annotator.judging.protocols.load_prompts import load_prompts
from annotator.judging.protocols.prompts import LANGUAGES, wording_language
from annotator.judging.protocols.protocol import Dialogues, JudgingProtocol
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.steps import ProtocolSettings
from annotator.judging.protocols.table import PROTOCOLS
from annotator.judging.task_book import OnVerdicts, TaskBook
from annotator.models.backend import Backend
from annotator.models.make_backend import make_backend
from annotator.text.config import RetrievalConfig, SplitterName
from schemas.labels import Label
from schemas.records import Verdict
from schemas.text.language import resolve_language

CALL_KIND = "judge"
# Dialogues of a local model that run at the same time, in batches of its size.
_BATCHES_A_WINDOW = 4
# Characters of a task's documents from which they are indexed in a thread: a million take 1.4 s.
_LONG_CHARS = 50_000


@dataclass(kw_only=True)
class LlmJudge:
    """Calls a model for every sentence. `store` keeps the calls, `meter` counts them.

    `on_verdicts` is called with the verdicts of a task as they are made. `shared` is a backend of
    `config` that others use, too; without it the judge makes one.
    """

    config: LlmConfig
    retrieval: RetrievalConfig
    splitter: SplitterName
    store: Store
    meter: Meter
    guidance: str = ""
    guidance_id: str = ""
    on_verdicts: OnVerdicts | None = None
    shared: InitVar[Backend | None] = None
    name: str = field(init=False)
    protocol: JudgingProtocol = field(init=False)
    reads_prompt: bool = field(init=False, default=True)
    reads_id: bool = field(init=False, default=False)

    def __post_init__(self, shared: Backend | None) -> None:
        self._backend = shared or make_backend(self.config)
        # The backend's name of the model: rows contain no folder of this machine.
        self.name = self._backend.model
        self._finder = QuoteFinder()
        self._chooser = ExcerptChooser(self.retrieval, splitter=self.splitter)
        self.protocol = PROTOCOLS[self.config.protocol]
        # Read now, so that a wrong folder is reported before anything is spent.
        self._prompts = {
            language: load_prompts(
                language,
                self.config.prompts,
                protocol=self.protocol,
                ask_spans=self.config.ask_spans,
            )
            for language in LANGUAGES
        }
        self._settings = ProtocolSettings(
            judge=self.name,
            max_tokens=self.config.max_tokens,
            window=self.config.window,
            temperature=self.config.temperature,
            votes=self.config.votes,
            keep_share=self.config.confidence == "votes",
            logprobs=self.config.confidence == "logprob",
            seed=self.config.seed,
            evidence=self.config.evidence,
        )

    def fingerprint(self) -> dict[str, Any]:
        """Backend, protocol, wording and settings: everything that decides a verdict."""
        config = self.config
        return {
            "judge": "llm",
            "backend": self._backend.fingerprint(),
            "protocol": config.protocol,
            "prompts": {name: prompts.sha256 for name, prompts in self._prompts.items()},
            "prompt_language": config.prompt_language,
            "guidance": self.guidance_id,
            "retrieval": self.retrieval.model_dump(),
            "splitter": self.splitter,
            "window": config.window if self.protocol.uses_window else None,
            "votes": config.votes,
            "temperature": config.temperature,
            "confidence": config.confidence,
            "max_tokens": config.max_tokens,
            "evidence": config.evidence,
            "seed": config.seed if config.temperature else None,
            # Left out where off, so that fingerprints stay as before the setting existed.
            **({"ask_spans": WRONG_WORDS_VERSION} if config.ask_spans else {}),
        }

    @property
    def backend(self) -> Backend:
        """The model that is called."""
        return self._backend

    def notes(self) -> list[str]:
        """A note that a user must read before trusting the verdicts."""
        return [note_on(self.name, self.config.protocol)]

    def closing_notes(self) -> list[str]:
        """Notes on what the servers did not support."""
        return self._backend.notes()

    def judge(self, tasks: Sequence[JudgeTask]) -> Iterator[Judged]:
        """Yield tasks when their last sentence is judged; undecided sentences are undetermined.

        Raises LimitReachedError at a limit of the meter, BackendError when servers fail.
        """
        book = TaskBook(self.meter, self.on_verdicts)
        dialogues = self._begin_each(tasks, book)
        for done in run_dialogues(self._backend, self._calls(), dialogues, window=self._window):
            yield book.finish(done)

    async def judge_stream(self, tasks: Items[JudgeTask]) -> AsyncGenerator[Judged, None]:
        """`judge` in the caller's event loop; a local model works in a thread."""
        book = TaskBook(self.meter, self.on_verdicts)
        dialogues: Items[Named[list[Verdict]]]
        if isinstance(tasks, AsyncIterable):
            dialogues = self._begin_all(tasks, book)
        else:
            dialogues = self._begin_each(tasks, book)
        stream = stream_dialogues(self._backend, self._calls(), dialogues, window=self._window)
        async with aclosing(stream) as results:
            async for done in results:
                yield book.finish(done)

    async def _begin_all(
        self, tasks: AsyncIterable[JudgeTask], book: TaskBook
    ) -> AsyncGenerator[Named[list[Verdict]], None]:
        async with aclosing(iterate(tasks)) as source:
            async for task in source:
                for item in self._begin(task, await self._prepare(task), book):
                    yield item

    def _begin_each(
        self, tasks: Iterable[JudgeTask], book: TaskBook
    ) -> Iterator[Named[list[Verdict]]]:
        return (item for task in tasks for item in self._begin(task, self.prepare(task), book))

    async def _prepare(self, task: JudgeTask) -> ProtocolInput | None:
        """`prepare`, without blocking the event loop while long documents are indexed."""
        if sum(len(document.text) for document in task.documents) < _LONG_CHARS:
            return self.prepare(task)
        return await asyncio.to_thread(self.prepare, task)

    def _begin(
        self, task: JudgeTask, inputs: ProtocolInput | None, book: TaskBook
    ) -> Iterator[Named[list[Verdict]]]:
        """The dialogues of a task, made when they can run."""
        if inputs is None or not task.sentences:
            verdict = Verdict(
                label=Label.UNDETERMINED,
                reason="no_document",
                judge=self.name,
                protocol=self.config.protocol,
            )
            yield f"{book.open(task)}:0", _say([verdict] * len(task.sentences))
            return
        number = book.open(task)
        for first, dialogue in self.dialogues_of(inputs):
            yield f"{number}:{first}", dialogue

    def _calls(self) -> StoredCalls:
        return StoredCalls(self.store, kind=CALL_KIND, meter=self.meter)

    @property
    def _window(self) -> int:
        return self.config.batch_size * _BATCHES_A_WINDOW

    def prepare(self, task: JudgeTask) -> ProtocolInput | None:
        """The input of a protocol; None where there is no document to compare the task with."""
        chosen = self._chooser.choose(task)
        if chosen is None:
            return None
        language: str = self.config.prompt_language
        if language == "auto":
            language = task.response.language or resolve_language("auto", task.response.text)
        prompts = self._prompts[wording_language(language)]
        return ProtocolInput(
            task=task,
            prompts=prompts,
            excerpts=chosen.shared,
            own=chosen.own,
            finder=self._finder,
            guidance=self.guidance,
        )

    def dialogues_of(self, inputs: ProtocolInput) -> Dialogues:
        """(number of the first sentence, dialogue) in sentence order."""
        return self.protocol.dialogues(inputs, self._settings)


def note_on(name: str, protocol: str) -> str:
    """What a user must know about the verdicts of the model `name`."""
    return (
        f"{name} judges with the protocol {protocol!r}; measure it against people's labels with: "
        "maskdpo agreement"
    )


def _say(verdicts: list[Verdict]) -> Dialogue[list[Verdict]]:
    """The dialogue of a task that needs no call: it ends at once."""
    yield from ()
    return verdicts
