"""The LLM judge: a protocol over a backend, every call through the store.

The rule: a verdict rests on stored calls and on nothing else, so a rerun comes to the same
verdicts without asking, and a kill costs what was in flight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotator.calls.dialogue import Dialogue
from annotator.calls.run_dialogues import run_dialogues
from annotator.calls.store import Store
from annotator.calls.stored_calls import StoredCalls
from annotator.calls.usage import Meter
from annotator.judging.evidence.quotes import QuoteFinder
from annotator.judging.excerpts import Shower
from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.llm_config import LlmConfig
from annotator.judging.protocols.anah import judge_anah
from annotator.judging.protocols.prompts import LANGUAGES, load_prompts, wording_language
from annotator.judging.protocols.protocol_input import Material
from annotator.judging.protocols.response import cut_windows, judge_response
from annotator.judging.protocols.sentence import judge_sentence
from annotator.judging.protocols.steps import ProtocolSettings
from annotator.models.backend import Backend
from annotator.models.make_backend import make_backend
from annotator.text.config import RetrievalConfig, SplitterName
from schemas.labels import Label
from schemas.records import Verdict
from schemas.text.language import resolve_language

CALL_KIND = "judge"
# Dialogues of a local model that run side by side, in batches of its size.
_BATCHES_A_WINDOW = 4


@dataclass(kw_only=True, eq=False)
class _Pending:
    """A task under way: the verdicts so far, and how many sentences still lack one."""

    task: JudgeTask
    verdicts: list[Verdict | None]
    num_owed: int


@dataclass(kw_only=True)
class LlmJudge:
    """Asks a model about every sentence. `store` keeps the calls, `meter` counts them."""

    config: LlmConfig
    retrieval: RetrievalConfig
    splitter: SplitterName
    store: Store
    meter: Meter
    guidance: str = ""
    guidance_id: str = ""
    name: str = field(init=False)
    reads_prompt: bool = field(init=False, default=True)
    reads_id: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._backend = make_backend(self.config)
        # The backend's own word: rows name no folder of this machine.
        self.name = self._backend.model
        self._finder = QuoteFinder()
        self._shower = Shower(self.retrieval, splitter=self.splitter)
        # Read now: a wrong folder is reported before anything is spent.
        self._prompts = {
            language: load_prompts(language, self.config.prompts) for language in LANGUAGES
        }
        self._settings = ProtocolSettings(
            judge=self.name,
            max_tokens=self.config.max_tokens,
            temperature=self.config.temperature,
            votes=self.config.votes,
            keep_share=self.config.confidence == "votes",
            logprobs=self.config.confidence == "logprob",
            seed=self.config.seed,
            evidence=self.config.evidence,
        )

    def fingerprint(self) -> dict[str, Any]:
        """Backend, protocol, wording and settings: all that decides a verdict."""
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
            "window": config.window if config.protocol == "response" else None,
            "votes": config.votes,
            "temperature": config.temperature,
            "confidence": config.confidence,
            "max_tokens": config.max_tokens,
            "evidence": config.evidence,
            "seed": config.seed if config.temperature else None,
        }

    @property
    def backend(self) -> Backend:
        """The model that is asked."""
        return self._backend

    def notes(self) -> list[str]:
        """What a user must know before trusting the verdicts."""
        return [
            f"{self.name} judges with the protocol {self.config.protocol!r}; measure it against "
            "people's labels with: maskdpo agreement"
        ]

    def closing_notes(self) -> list[str]:
        """What the servers would not do."""
        return self._backend.notes()

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        """Yield tasks as their last sentence is judged; what cannot be known is undetermined.

        Raises LimitReachedError at a limit of the meter, BackendError when servers are gone.
        """
        pending: dict[int, _Pending] = {}
        calls = StoredCalls(self.store, kind=CALL_KIND, meter=self.meter)
        window = self.config.batch_size * _BATCHES_A_WINDOW
        unasked: list[tuple[JudgeTask, list[Verdict] | JudgeFailure]] = []
        dialogues = self._dialogues(tasks, pending, unasked)
        for done in run_dialogues(self._backend, calls, dialogues, window=window):
            finished, unasked[:] = list(unasked), []
            for name, verdicts in done:
                number, _, first = name.partition(":")
                item = pending[int(number)]
                for offset, verdict in enumerate(verdicts):
                    item.verdicts[int(first) + offset] = verdict
                    self.meter.labels[verdict.label.value] += 1
                item.num_owed -= len(verdicts)
                if not item.num_owed:
                    del pending[int(number)]
                    whole = [verdict for verdict in item.verdicts if verdict is not None]
                    finished.append((item.task, whole))
            yield finished
        if unasked:
            yield unasked

    def _dialogues(
        self,
        tasks: Sequence[JudgeTask],
        pending: dict[int, _Pending],
        unasked: list[tuple[JudgeTask, list[Verdict] | JudgeFailure]],
    ) -> Iterator[tuple[str, Dialogue[list[Verdict]]]]:
        """The dialogues of each task, made when there is room for them."""
        for number, task in enumerate(tasks):
            material = self.prepare(task)
            if material is None or not task.sentences:
                verdict = Verdict(
                    label=Label.UNDETERMINED,
                    reason="no_document",
                    judge=self.name,
                    protocol=self.config.protocol,
                )
                self.meter.labels[verdict.label.value] += len(task.sentences)
                unasked.append((task, [verdict] * len(task.sentences)))
                continue
            size = len(task.sentences)
            pending[number] = _Pending(task=task, verdicts=[None] * size, num_owed=size)
            for first, dialogue in self.dialogues_of(material):
                yield f"{number}:{first}", dialogue

    def prepare(self, task: JudgeTask) -> Material | None:
        """A task as it is shown; None where there is no document to compare it with."""
        shown = self._shower.show(task)
        if shown is None:
            return None
        language: str = self.config.prompt_language
        if language == "auto":
            language = task.response.language or resolve_language("auto", task.response.text)
        prompts = self._prompts[wording_language(language)]
        return Material(
            task=task,
            prompts=prompts,
            excerpts=shown.excerpts,
            own=shown.own,
            finder=self._finder,
            guidance=self.guidance,
        )

    def dialogues_of(self, material: Material) -> Iterator[tuple[int, Dialogue[list[Verdict]]]]:
        """(number of the first sentence, dialogue) in sentence order."""
        count = len(material.task.sentences)
        if self.config.protocol != "response":
            judge = judge_anah if self.config.protocol == "anah" else judge_sentence
            for number in range(count):
                yield number, judge(material, number, self._settings)
            return
        # Where not all passages fit one prompt, each sentence has a window of its own.
        size = 1 if material.own else self.config.window
        for window in cut_windows(material, size):
            yield window[0], judge_response(material, window, self._settings)
