"""The judges of a service: by name and domain, each made when it is first asked for.

The rule: one meter and one set of limits per judge name, whatever the domain, and the settings of a
judge are those that the command `annotate` would use.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from annotator.calls.identity import last_served
from annotator.calls.store import Store
from annotator.calls.usage import Budget, Meter
from annotator.judging.annotator import Annotator
from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from annotator.judging.domains.domain import known_domains
from annotator.judging.judge import StreamingJudge
from annotator.judging.lexical.judge import SERVED_CACHED_CHARS
from annotator.judging.llm_judge import CALL_KIND
from annotator.judging.make_judge import asks_a_model, judge_meter, make_judge
from annotator.judging.runs.stored_replies import (
    asked_models,
    find_model_judges,
    identify_judge,
)
from annotator.judging.stream_judge import JudgeProcesses
from annotator.models.backend import Backend
from annotator.models.openai.openai_backend import OpenAIBackend
from annotator.models.served_model import ServedModel
from annotator.service.admission import Admission
from annotator.service.config import ServeConfig
from annotator.service.engine import Engine
from schemas.errors import ConfigError, nearest
from schemas.events import OnEvent
from schemas.records import Document

STAGE = "serve"
_LATE = 2.0  # times `max_wait_s` that a task may wait in the end, where it was expected to be less


class UnknownNameError(Exception):
    """A judge or domain that the service does not have; its text is a sentence."""


@dataclass(frozen=True, kw_only=True)
class ServedJudge:
    """One judge by its name: settings, limits and the requests inside.

    known   what its servers reported in the last run on the store, and in this one
    """

    name: str
    config: AnnotateConfig
    meter: Meter
    admission: Admission
    known: list[ServedModel] = field(default_factory=list)

    @property
    def model(self) -> str:
        """The name of its model; empty for a judge without one."""
        return self.config.llm.model if self.config.llm and asks_a_model(self.config) else ""


class Judges:
    """All judges of a service. Used in one event loop, except `identify`."""

    def __init__(
        self,
        configs: Mapping[str, AnnotateConfig],
        *,
        serve: ServeConfig,
        store: Store,
        documents: Sequence[Document] = (),
        processes: JudgeProcesses,
        budget: Budget,
        on_event: Callable[[str], OnEvent],
    ) -> None:
        self._serve = serve
        self._store = store
        self._documents = documents
        self._processes = processes
        self._on_event = on_event
        self._engines: dict[tuple[str, str | None], Engine] = {}
        self.served = {
            name: ServedJudge(
                name=name,
                config=config,
                meter=judge_meter(_patient(config), budget),
                admission=_admission(config, serve, processes),
            )
            for name, config in configs.items()
        }

    def find(self, name: str) -> ServedJudge:
        """The judge `name`; UnknownNameError for any other name."""
        try:
            return self.served[name]
        except KeyError:
            hint = nearest(name, list(self.served))
            raise UnknownNameError(f"judge: there is no judge {name!r}; {hint}") from None

    def config_of(self, name: str, domain: str | None) -> AnnotateConfig:
        """The settings of a judge with a domain, which must be known by its name.

        Without `domain` the judge's own one counts. UnknownNameError for an unknown name.
        """
        config = self.find(name).config
        if domain is not None:
            known = known_domains()
            if domain not in known:
                hint = nearest(domain, known)
                raise UnknownNameError(f"domain: there is no domain {domain!r}; {hint}")
            config = config.model_copy(update={"domain": domain})
        return with_domain(config)

    def engine(self, name: str, domain: str | None = None) -> Engine:
        """The engine of a judge with a domain. Raises as `config_of`, and ConfigError."""
        key = (name, domain)
        if key not in self._engines:
            config = self.config_of(name, domain)
            served = self.served[name]
            judge = make_judge(
                config,
                store=self._store,
                meter=served.meter,
                cached_chars=SERVED_CACHED_CHARS,
                backend=self._backend_of(name),
            )
            self._engines[key] = Engine(
                Annotator(
                    config,
                    documents=self._documents,
                    store=self._store,
                    processes=self._processes,
                    on_event=self._on_event(name),
                    judge=judge,
                    meter=served.meter,
                ),
                max_wait_s=None if asks_a_model(config) else _LATE * self._serve.max_wait_s,
            )
        return self._engines[key]

    def _backend_of(self, name: str) -> Backend | None:
        """The connections of a judge's model, which all its domains share; None before the
        first."""
        for (other, _), engine in self._engines.items():
            if other == name:
                for judge in find_model_judges(engine.annotator.judge):
                    return judge.backend
        return None

    def wake(self, name: str) -> None:
        """The servers of a judge reply: none of them is left out any more."""
        backend = self._backend_of(name)
        if isinstance(backend, OpenAIBackend):
            backend.wake()

    def identify(self, *, same_model: bool) -> list[str]:
        """Record which models are served, before anything is spent; returns notes.

        Blocks, and needs a thread without an event loop. Raises ConfigError where another model is
        served than in the last run on the store.
        """
        notes: list[str] = []
        for name, served in self.served.items():
            judge = self.engine(name).annotator.judge
            models = identify_judge(
                self._store,
                judge,
                same_model=same_model,
                count_serving=lambda: self._store.count(CALL_KIND),
            )
            self._store.begin_run(STAGE, judge.fingerprint(), models=models.records)
            for item in asked_models(judge):
                served.known.extend(last_served(self._store, item))
            notes += [f"judge {served.name}: {note}" for note in (*models.notes, *judge.notes())]
        return notes

    async def start(self) -> None:
        """Start the worker processes, so that the first requests do not wait for them."""
        for name in self.served:
            judge = self.engine(name).annotator.judge
            if not isinstance(judge, StreamingJudge):
                await self._processes.start(judge)

    async def close(self) -> None:
        """Cancel all work."""
        for engine in self._engines.values():
            await engine.close()


def check_judge(config: AnnotateConfig) -> None:
    """Raise ConfigError for a judge that a service cannot use."""
    used = {config.judge}
    if config.judge == "cascade":
        used = {config.cascade.first, config.cascade.second}
    if "replay" in used:
        raise ConfigError(
            "the judge 'replay' looks verdicts up by the ids of a file; a service needs a judge "
            "that judges: lexical, llm, or a cascade of both"
        )


def num_processes(serve: ServeConfig) -> int:
    """Worker processes for judges that compute."""
    return serve.processes or os.cpu_count() or 1


def _patient(config: AnnotateConfig) -> AnnotateConfig:
    """Useless replies to one client's texts stop nothing for the others."""
    return config.model_copy(update={"max_useless": 0})


def _admission(config: AnnotateConfig, serve: ServeConfig, processes: JudgeProcesses) -> Admission:
    if asks_a_model(config):
        return Admission(most=serve.max_waiting)
    return Admission(
        most=serve.max_waiting, max_wait_s=serve.max_wait_s, always=2 * processes.count
    )
