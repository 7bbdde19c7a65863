"""The facts of many responses: asks a model for those of each sentence, every call through the
store.

The rule: a response's facts depend only on stored calls, so a rerun gives the same facts without
calls. A sentence whose facts could not be read keeps its reason: its facts are unknown, not none.
Sentences that a judge found to state no fact, and one that the length limit cut off, are not asked
about: they have no facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotator.calls.changes import describe_changes
from annotator.calls.dialogue import call_key
from annotator.calls.estimate import Estimate, Estimator, look_into
from annotator.calls.identity import AskedModel, identify_models
from annotator.calls.run_dialogues import run_dialogues
from annotator.calls.store import Store
from annotator.calls.stored_calls import StoredCalls
from annotator.calls.usage import NO_LIMITS, Budget, Limits, Meter
from annotator.judging.config import AnnotateConfig
from annotator.judging.facts.config import FactsConfig
from annotator.judging.facts.dialogue import FactSource, SentenceFacts, split_into_facts
from annotator.judging.facts.prompt import PROMPT_VERSION
from annotator.judging.tasks import set_fragment_apart, split_response
from annotator.models.backend import Backend
from annotator.models.make_backend import make_backend
from schemas.events import Advanced, Ended, Noted, OnEvent, Started, ignore
from schemas.labels import Label
from schemas.records import Annotation, Response
from schemas.spans import Offsets

STORE_KIND = "facts"
# Settings outside the backend that decide replies (the table in dialogue.call_key).
DECIDING = ("temperature", "max_tokens", "seed")
_BATCHES_A_WINDOW = 4  # dialogues of a local model that run side by side, in batches


@dataclass(frozen=True, kw_only=True)
class FactsFound:
    """The facts of each sentence that was asked about, by response id, in order; and notes."""

    by_response: Mapping[str, Sequence[SentenceFacts]]
    notes: Sequence[str] = ()


def factual_sentences(annotation: Annotation) -> list[Offsets]:
    """The sentences that may state facts: not those labelled `no_fact`, nor a cut-off fragment."""
    return [
        (item.start, item.end)
        for item in annotation.sentences
        if item.verdict.label is not Label.NO_FACT and item.verdict.reason != "cut_off"
    ]


def sentences_to_judge(response: Response, config: AnnotateConfig) -> list[Offsets]:
    """The sentences of a response that is not judged yet, without a cut-off fragment."""
    return list(set_fragment_apart(response, split_response(response, config))[0])


def make_sources(
    responses: Iterable[tuple[Response, Sequence[Offsets]]],
) -> dict[str, list[FactSource]]:
    """One source per sentence, by response id. Raises no error: offsets are those of the text."""
    return {
        response.id: [FactSource(response=response, start=s, end=e) for s, e in sentences]
        for response, sentences in responses
    }


def find_facts(
    config: FactsConfig,
    sources: Mapping[str, Sequence[FactSource]],
    *,
    store: Path,
    limits: Limits | Budget = NO_LIMITS,
    retry_failed: bool = False,
    same_model: bool = False,
    stage: str = "facts",
    section: str = "facts",
    on_event: OnEvent = ignore,
    backend: Backend | None = None,
) -> FactsFound:
    """Ask for the facts of each source; equal ones are one call.

    `stage` is the name of the run in the store, `section` that of the model's settings in errors.
    Raises ConfigError when another model is served than in the last run on `store` (without
    `same_model`), LimitReachedError at a limit and BackendError when the server or device fails,
    every call fails or no reply is usable; replies received by then are stored.
    """
    backend = backend or make_backend(config)
    meter = Meter(prices=config.prices, limits=limits, section=section, on_event=on_event)
    with Store(store, retry_failed=retry_failed) as opened:
        calls = StoredCalls(opened, kind=STORE_KIND, meter=meter)
        notes = _begin_run(
            config, backend, calls, sources, stage=stage, section=section, same_model=same_model
        )
        found = _ask_all(config, backend, calls, sources, stage=stage)
    meter.check_replies()
    return FactsFound(
        by_response={
            name: [found[_name(name, place)] for place in range(len(items))]
            for name, items in sources.items()
        },
        notes=[*notes, *backend.notes()],
    )


def estimate_facts(
    config: FactsConfig,
    sources: Mapping[str, Sequence[FactSource]],
    *,
    store: Path,
    retry_failed: bool = False,
) -> tuple[Estimate, dict[str, list[SentenceFacts | None]]]:
    """The calls that `find_facts` would still make, and the facts that are stored already.

    None: facts that are not known yet. Makes no call and writes nothing.
    """
    fingerprint = make_backend(config).fingerprint()
    with look_into(store, retry_failed=retry_failed) as calls:
        estimator = Estimator(calls, kind=STORE_KIND, fingerprint=fingerprint)
        known = {
            name: [estimator.follow(split_into_facts(item, config), None) for item in items]
            for name, items in sources.items()
        }
    length = "the stored ones" if estimator.knows_replies else f"max_tokens={config.max_tokens}"
    estimate = Estimate(
        prices=config.prices,
        num_calls=estimator.num_calls,
        num_stored=estimator.num_stored,
        tokens=estimator.tokens,
        notes=[
            "one call per sentence; unusable replies cost one or two more. Replies are assumed to "
            f"be as long as {length}"
        ],
    )
    return estimate, known


def _begin_run(
    config: FactsConfig,
    backend: Backend,
    calls: StoredCalls,
    sources: Mapping[str, Sequence[FactSource]],
    *,
    stage: str,
    section: str,
    same_model: bool,
) -> Sequence[str]:
    """Record the run and its model; a note where changed settings leave paid replies unused."""
    settings = backend.fingerprint() | config.model_dump(include=set(DECIDING))
    settings["prompt_version"] = PROMPT_VERSION
    store = calls.store

    def count_serving() -> int:
        """How many stored first calls this run uses."""
        fingerprint = backend.fingerprint()
        asks = (
            next(split_into_facts(item, config)) for items in sources.values() for item in items
        )
        return len(store.present({call_key(STORE_KIND, fingerprint, ask) for ask in asks}))

    identified = identify_models(
        store,
        [AskedModel(role=STORE_KIND, setting=section, backend=backend)],
        same_model=same_model,
        count_serving=count_serving,
    )
    before = store.begin_run(stage, settings, models=identified.records)
    if before is not None and before != settings:
        changed = describe_changes(
            before, settings, num_stored=store.count(STORE_KIND), num_serving=count_serving()
        )
        if changed:
            calls.meter.on_event(Noted(text=changed))
    return identified.notes


def _ask_all(
    config: FactsConfig,
    backend: Backend,
    calls: StoredCalls,
    sources: Mapping[str, Sequence[FactSource]],
    *,
    stage: str,
) -> dict[str, SentenceFacts]:
    """The facts of each sentence, by `_name`."""
    found: dict[str, SentenceFacts] = {}
    dialogues = (
        (_name(name, place), split_into_facts(item, config))
        for name, items in sources.items()
        for place, item in enumerate(items)
    )
    report = calls.meter.on_event
    total = sum(map(len, sources.values()))
    report(Started(stage=stage, total=total, unit="sentence"))
    try:
        window = config.batch_size * _BATCHES_A_WINDOW
        for done in run_dialogues(backend, calls, dialogues, window=window):
            found.update(done)
            report(Advanced(stage=stage, count=len(done), usage=calls.meter.snapshot()))
    finally:
        report(Ended(stage=stage))
    return found


def _name(response: str, place: int) -> str:
    return f"{place}:{response}"
