"""`sample`: K responses a question from the policy, each paid for once.

The rule: a response is decided by its key (`reply_key`), and its seed by its id alone. What is
asked for, in which order and beside what never changes a finished response, so any number of
kills and reruns ends in the same file. The file is written from the store, in input order, when
everything has been asked.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from annotator.generation.backend import Backend, Reply, Request, RequestFailure
from annotator.generation.config import SampleConfig
from annotator.store import Store
from schemas.errors import BackendError, ConfigError, Fault, InputError
from schemas.files import Row, read_rows, write_records
from schemas.hashing import content_key, stable_seed
from schemas.records import Failure, Message, Question, Response
from schemas.sidecar import make_sidecar, write_sidecar
from schemas.stage import StageResult, write_failures

REPLY_KIND = "reply"
MAX_ID_CHARS = 512
_READ_BATCH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """One response to be had: the `index`-th of its question, and the key of its reply."""

    id: str
    question: Question
    messages: tuple[Message, ...]
    seed: int
    key: str


def run_sample(
    config: SampleConfig,
    *,
    questions: Path,
    output: Path,
    store: Path,
    show_progress: bool = True,
) -> StageResult:
    """Ask the policy for `num_responses` replies a question and write them as responses.

    Requests that failed are no rows of `output`: they stand in its `.failed` file, are not
    stored, and a rerun asks them again. An empty reply is a row (`annotate` records it).

    Raises InputError and ConfigError before anything is spent, BackendError when the server or
    device fails; what was finished by then is in `store`, and the same call continues.
    """
    started = time.monotonic()
    check_output(output, questions, store)
    rows = read_rows(questions, Question)
    check_ids(questions, rows, config.num_responses)
    backend = make_backend(config)
    fingerprint = backend.fingerprint()
    slots = make_slots(config, fingerprint, [row.record for row in rows])
    with Store(store) as calls:
        owed = {slot.key for slot in slots} - calls.present({slot.key for slot in slots})
        num_ready = sum(slot.key not in owed for slot in slots)
        failed = fetch_replies(backend, slots, owed, calls, show_progress=show_progress)
        failures = [
            Failure(id=slot.id, stage="sample", reason=failure.reason, detail=failure.detail)
            for slot in slots
            if (failure := failed.get(slot.key)) is not None
        ]
        finished = [slot for slot in slots if slot.key not in failed]
        tally: Counter[str] = Counter()
        write_records(output, _responses(config, backend.model, finished, calls, tally))
    write_failures(output, failures)
    counts = {
        "asked": len(slots),
        "from_store": num_ready,
        "failed": len(failures),
        "empty": tally["empty"],
        "cut_off": tally["length"],
    }
    models = {"policy": backend.model}
    models |= {name: value for name, value in fingerprint.items() if isinstance(value, str)}
    sidecar = make_sidecar(
        "response",
        config=config.model_dump(mode="json"),
        inputs=[questions],
        packages=("torch", "transformers") if config.backend == "transformers" else ("openai",),
        models=models,
        counts=counts,
        timings={"total_s": time.monotonic() - started},
    )
    write_sidecar(output, sidecar)
    return StageResult(
        output=output,
        num_rows=len(slots),
        failures=failures,
        counts=counts,
        notes=_notes(config, counts),
    )


def make_backend(config: SampleConfig) -> Backend:
    """The backend that `config` names."""
    if config.backend == "openai":
        from annotator.generation.openai_backend import OpenAIBackend

        return OpenAIBackend(config)
    from annotator.generation.transformers_backend import TransformersBackend

    return TransformersBackend(config)


def make_slots(
    config: SampleConfig, fingerprint: Mapping[str, Any], questions: Sequence[Question]
) -> list[Slot]:
    """All responses to be had, in output order: by question, then by number."""
    slots: list[Slot] = []
    for question in questions:
        messages = build_prompt(config.system_prompt, question.messages)
        for index in range(config.num_responses):
            response_id = f"{question.id}-{index}"
            # 31 bits: every server takes them, some read a seed into 32 signed bits.
            seed = stable_seed(config.seed, response_id) >> 32
            slots.append(
                Slot(
                    id=response_id,
                    question=question,
                    messages=messages,
                    seed=seed,
                    key=reply_key(config, fingerprint, messages, seed),
                )
            )
    return slots


def build_prompt(system_prompt: str | None, messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages as sent; a question's own system message stands before the run's."""
    if system_prompt is None or messages[0].role == "system":
        return tuple(messages)
    return (Message(role="system", content=system_prompt), *messages)


def reply_key(
    config: SampleConfig,
    fingerprint: Mapping[str, Any],
    messages: Sequence[Message],
    seed: int,
) -> str:
    """The content key of one reply.

    counts                                          does not count, because it changes no reply
    ------                                          -------------------------------------------
    backend kind, model and its revision or          base_url, api_key_env: where, not what
      content, number type, chat_template_kwargs     concurrency, timeout_s, max_retries
      (all in the backend's `fingerprint`)           batch_size, device: the same reply but for
    messages, system prompt included                   the last bits of floating point
    temperature, top_p, max_tokens                   num_responses, max_failed: how many
    seed of the response (from `seed` and its id),   the question's id, topic, documents
      but not at temperature 0, where it is idle
    """
    sampled = config.temperature > 0.0
    return content_key(
        {
            "kind": REPLY_KIND,
            "backend": dict(fingerprint),
            "messages": [[message.role, message.content] for message in messages],
            "temperature": config.temperature,
            "top_p": config.top_p if sampled else None,
            "max_tokens": config.max_tokens,
            "seed": seed if sampled else None,
        }
    )


def fetch_replies(
    backend: Backend,
    slots: Sequence[Slot],
    owed: set[str],
    calls: Store,
    *,
    show_progress: bool,
) -> dict[str, RequestFailure]:
    """Ask for the replies whose keys are `owed` and store them; answers what failed, by key."""
    if not owed:
        return {}
    # Slots of one key (equal prompts at temperature 0) are one request.
    first_slot_of: dict[str, Slot] = {}
    for slot in slots:
        first_slot_of.setdefault(slot.key, slot)
    key_of = {slot.id: key for key, slot in first_slot_of.items()}
    requests = [
        Request(id=slot.id, messages=slot.messages, seed=slot.seed)
        for slot in first_slot_of.values()
    ]
    groups = [
        group
        for group in backend.plan(requests)
        if any(key_of[request.id] in owed for request in group)
    ]
    failed: dict[str, RequestFailure] = {}
    with tqdm(
        total=len(requests),
        initial=len(requests) - len(owed),
        disable=not show_progress,
        file=sys.stderr,
        desc="sample",
        unit="reply",
    ) as progress:
        try:
            for finished in backend.generate(groups):
                replies: dict[str, dict[str, Any]] = {}
                for request, outcome in finished:
                    key = key_of[request.id]
                    if isinstance(outcome, Reply):
                        replies[key] = asdict(outcome)
                    else:
                        failed[key] = outcome
                    progress.update(key in owed)
                calls.put_many(REPLY_KIND, replies)
        except (BackendError, ConfigError) as error:
            # A server that refuses key or model in the middle has been paid for what came before.
            if isinstance(error, ConfigError) and not calls.present(owed):
                raise
            raise BackendError(
                f"{error} ({len(owed & calls.present(owed))} of {len(owed)} owed replies are kept "
                f"in {calls.path}; the same command continues)"
            ) from None
    return failed


def check_ids(path: Path, rows: Sequence[Row[Question]], num_responses: int) -> None:
    """Raise InputError where a question's id leaves no room for a response's number."""
    longest = MAX_ID_CHARS - len(f"-{num_responses - 1}")
    faults = [
        Fault(
            path=str(path),
            line=row.line,
            message=f"'id' has {len(row.record.id)} characters, but sampling allows {longest}: "
            "response ids are made of it",
        )
        for row in rows
        if len(row.record.id) > longest
    ]
    if faults:
        raise InputError(faults)


def check_output(output: Path, questions: Path, store: Path) -> None:
    """Raise ConfigError before anything is spent when `output` cannot become a file."""
    if store.resolve() in (output.resolve(), questions.resolve()):
        raise ConfigError(f"store {str(store)!r} is also the output or the questions file")
    if output.is_dir():
        raise ConfigError(f"output {str(output)!r} is a folder; name a file in it")
    if output.exists() and questions.exists() and output.samefile(questions):
        raise ConfigError(f"output {str(output)!r} is the questions file; name another file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output {str(output)!r} cannot be made: {error.strerror}") from None


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
            reply = Reply(**replies[slot.key])
            tally["empty"] += not reply.text.strip()
            tally[reply.finish_reason] += 1
            yield Response(
                id=slot.id,
                question_id=slot.question.id,
                topic=slot.question.topic,
                language=slot.question.language,
                document_ids=slot.question.document_ids,
                prompt=list(slot.messages),
                text=reply.text,
                reasoning=reply.reasoning,
                model=model,
                sampling={
                    "temperature": config.temperature,
                    "top_p": config.top_p,
                    "max_tokens": config.max_tokens,
                    "seed": slot.seed,
                },
                finish_reason=reply.finish_reason,
            )


def _notes(config: SampleConfig, counts: Mapping[str, int]) -> list[str]:
    notes: list[str] = []
    if config.temperature == 0.0 and config.num_responses > 1:
        notes.append(
            f"temperature is 0, so the {config.num_responses} responses to a question are equal "
            "and make no pairs; raise temperature, or set num_responses to 1"
        )
    if counts["empty"]:
        notes.append(f"{counts['empty']} replies are empty; annotate records them as failed rows")
    if counts["cut_off"]:
        notes.append(
            f"{counts['cut_off']} replies were cut off at max_tokens={config.max_tokens} "
            "(finish_reason: length)"
        )
    return notes
