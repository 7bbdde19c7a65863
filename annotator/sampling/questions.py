"""`questions`: a writer model writes N questions per document, each call paid for once.

The rule: a question depends only on its document and the settings, and its id on its document and
its position among that document's questions. Repeats across documents are removed at the end, in
document order, without renumbering, so an additional document changes no id. The file is written
when all calls are done, in document order.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from annotator.calls.changes import describe_changes
from annotator.calls.dialogue import call_key
from annotator.calls.estimate import Estimate, Estimator, look_into
from annotator.calls.identity import (
    AskedModel,
    IdentifiedModels,
    describe_served,
    identify_models,
)
from annotator.calls.run_dialogues import run_dialogues
from annotator.calls.store import Store
from annotator.calls.stored_calls import StoredCalls
from annotator.calls.usage import NO_LIMITS, Budget, Limits, Meter
from annotator.models.backend import Backend
from annotator.models.make_backend import make_backend
from annotator.sampling.input_checks import check_ids, check_output
from annotator.sampling.near_questions import find_repeats
from annotator.sampling.question_dialogue import (
    Written,
    cut_window,
    topic_of,
    write_questions,
)
from annotator.sampling.questions_config import QuestionsConfig
from annotator.sampling.questions_prompt import PROMPT_VERSION
from schemas.errors import BackendError, ConfigError, LimitReachedError
from schemas.events import (
    Advanced,
    Ended,
    Noted,
    OnEvent,
    RowsFinished,
    RowsFound,
    Started,
    ignore,
)
from schemas.files.jsonl import write_records
from schemas.files.own_files import refuse_to_replace, seal
from schemas.files.parts import InputPart, describe_source, name_part, read_source
from schemas.files.sidecar import Sidecar, make_sidecar, write_sidecar
from schemas.records import Document, Failure, Message, Question
from schemas.stage import StageResult, failures_path, partial_path, write_failures, write_partial

STAGE = "questions"
STORE_KIND = "questions"
# Settings outside the backend that decide replies (the table in dialogue.call_key).
DECIDING = ("temperature", "max_tokens", "seed", "num_questions", "max_document_tokens")


PAPER_FIGURES = (
    "more topics help more than more questions per topic: in the Mask-DPO paper (arXiv 2503.02846) "
    "2,682 questions over 894 topics reach 65.04, as many over 2,682 topics 69.03; three "
    "questions per topic over 894 / 1,788 / 2,682 topics reach 65.04 / 71.56 / 77.53"
)


def run_questions(
    config: QuestionsConfig,
    *,
    documents: Path,
    output: Path,
    store: Path,
    limits: Limits | Budget = NO_LIMITS,
    retry_failed: bool = False,
    same_model: bool = False,
    on_event: OnEvent = ignore,
    part: InputPart | None = None,
    also: Sequence[Path] = (),
    backend: Backend | None = None,
) -> StageResult:
    """Ask the writer model for `num_questions` questions per document, keep the valid ones.

    A document without a valid question is a row of the `.failed` file, with its reason. Counts:
    `documents`, `questions`, `topics`, `short` (documents with fewer than requested), `failed`
    (documents with none), `cut_documents` (the writer read only their beginning), `from_store`
    (replies), and one `left_out_*` per reason.

    With `part`, only these documents are read (there may be none), and repeats across documents
    stay: the merge of the parts removes them. Replies of the stores `also` are used, too.

    Raises what `run_sample` raises, and BackendError when too many replies in a row are unusable.
    Replies received by then are in `store` and in `output`'s .partial file, and the same call
    continues. Where every call failed or no reply was usable, the result is `fatal`, and an
    `output` of an earlier run is not changed.
    """
    started = time.monotonic()
    inputs, known = _read_inputs(config, documents, part, output, store)
    backend = backend or make_backend(config)
    meter = Meter(prices=config.prices, limits=limits, section=STAGE, on_event=on_event)
    with Store(store, retry_failed=retry_failed, also=also) as opened:
        calls = StoredCalls(opened, kind=STORE_KIND, meter=meter)
        identified = _begin_run(backend, calls, known, config, same_model=same_model)
        written = _write_all(backend, calls, known, config, output)
    questions = _collect(known, written)
    questions, num_repeated = without_repeats(questions) if part is None else (questions, 0)
    is_kept = bool(meter.total_failure) and output.exists()
    if not is_kept:
        write_records(output, questions)
    failures = _list_failures(known, written)
    write_failures(output, failures)
    partial_path(output).unlink(missing_ok=True)
    counts = _count(config, known, written, questions, num_repeated=num_repeated, meter=meter)
    if not is_kept:
        timings = {"total_s": time.monotonic() - started}
        sidecar = _describe(config, backend, identified, inputs, counts=counts, timings=timings)
        sidecar = name_part(sidecar, part, [output, failures_path(output)])
        write_sidecar(output, seal(sidecar, [output]) if part is None else sidecar)
    return StageResult(
        output=output,
        num_rows=len(known),
        failures=failures,
        counts=counts,
        notes=[*notes_on(config, counts), *identified.notes, *backend.notes()],
        table=meter.rows(),
        fatal=meter.total_failure,
    )


def _read_inputs(
    config: QuestionsConfig, documents: Path, part: InputPart | None, output: Path, store: Path
) -> tuple[Mapping[str, Mapping[str, Any]], list[Document]]:
    """Hash and size of the file of documents, and its documents, after the checks that cost
    nothing."""
    check_output_of_questions(output, documents, store)
    inputs = describe_source(documents, part)
    return inputs, _read_documents(documents, config, part)


def _read_documents(
    path: Path, config: QuestionsConfig, part: InputPart | None = None
) -> list[Document]:
    rows = read_source(path, Document, part)
    check_ids(path, rows, f"-q{config.num_questions - 1}", made="question")
    return [row.record for row in rows]


def _list_failures(documents: Sequence[Document], written: Mapping[str, Written]) -> list[Failure]:
    """The documents without a question."""
    return [
        Failure(id=item.id, stage=STAGE, reason=result.reason, detail=result.detail)
        for item in documents
        if not (result := written[item.id]).questions
    ]


def check_output_of_questions(output: Path, documents: Path, store: Path) -> None:
    """Raise ConfigError where `output` cannot be written, or holds other rows than questions."""
    check_output(output, documents, store, what="documents")
    refuse_to_replace(
        output,
        lambda values: values.get("format") == "maskdpo.question",
        what="questions",
        by="maskdpo questions",
    )


def _begin_run(
    backend: Backend,
    calls: StoredCalls,
    documents: Sequence[Document],
    config: QuestionsConfig,
    *,
    same_model: bool,
) -> IdentifiedModels:
    """Record the run and its model; a note where changed settings leave paid replies unused."""
    settings = backend.fingerprint() | config.model_dump(include=set(DECIDING))
    settings["prompt_version"] = PROMPT_VERSION
    store = calls.store

    def count_serving() -> int:
        return _count_serving(backend, calls, documents, config)

    identified = identify_models(
        store,
        [AskedModel(role=STORE_KIND, setting=STAGE, backend=backend)],
        same_model=same_model,
        count_serving=count_serving,
    )
    before = store.begin_run(STAGE, settings, models=identified.records)
    if before is not None and before != settings:
        changed = describe_changes(
            before, settings, num_stored=store.count(STORE_KIND), num_serving=count_serving()
        )
        if changed:
            calls.meter.on_event(Noted(text=changed))
    return identified


def _describe(
    config: QuestionsConfig,
    backend: Backend,
    identified: IdentifiedModels,
    inputs: Mapping[str, Mapping[str, Any]],
    *,
    counts: Mapping[str, int],
    timings: Mapping[str, float],
) -> Sidecar:
    models = {"writer": backend.model}
    models |= {
        name: value for name, value in backend.fingerprint().items() if isinstance(value, str)
    }
    return make_sidecar(
        "question",
        config=config.model_dump(mode="json") | {"prompt_version": PROMPT_VERSION},
        inputs=inputs,
        packages=("torch", "transformers") if config.backend == "transformers" else ("aiohttp",),
        models=models,
        served={"writer": describe_served(identified.served[STORE_KIND])},
        counts=counts,
        timings=timings,
    )


def estimate_questions(
    config: QuestionsConfig,
    *,
    documents: Path,
    store: Path,
    retry_failed: bool = False,
    part: InputPart | None = None,
    also: Sequence[Path] = (),
) -> Estimate:
    """The calls that `run_questions` would still make; makes no call and writes nothing.

    A document's next call is counted, not what its reply may lead to.
    """
    known = _read_documents(documents, config, part)
    fingerprint = make_backend(config).fingerprint()
    with look_into(store, retry_failed=retry_failed, also=also) as calls:
        estimator = Estimator(calls, kind=STORE_KIND, fingerprint=fingerprint)
        for document in known:
            estimator.follow(write_questions(document, config), None)
    length = "the stored ones" if estimator.knows_replies else f"max_tokens={config.max_tokens}"
    return Estimate(
        prices=config.prices,
        num_calls=estimator.num_calls,
        num_stored=estimator.num_stored,
        tokens=estimator.tokens,
        notes=[
            "one call per document is counted; missing questions and unusable replies cost up to "
            f"three more. Replies are assumed to be as long as {length}"
        ],
    )


def _write_all(
    backend: Backend,
    calls: StoredCalls,
    documents: Sequence[Document],
    config: QuestionsConfig,
    output: Path,
) -> dict[str, Written]:
    """The result of each document; a run that stops leaves its questions in the .partial file."""
    written: dict[str, Written] = {}
    try:
        _ask_all(backend, calls, documents, config, written)
    except (BackendError, LimitReachedError) as error:
        so_far = _collect([item for item in documents if item.id in written], written)
        kept = write_partial(output, so_far, what="questions")
        raise type(error)(f"{error}; {kept}") from None
    return written


def _ask_all(
    backend: Backend,
    calls: StoredCalls,
    documents: Sequence[Document],
    config: QuestionsConfig,
    written: dict[str, Written],
) -> None:
    """Put the result of each document's dialogue into `written`, by document id."""
    num_before = calls.store.count(STORE_KIND)
    dialogues = ((item.id, write_questions(item, config)) for item in documents)
    report = calls.meter.on_event
    report(Started(stage=STAGE, total=len(documents), unit="document"))
    report(RowsFound(count=len(documents)))
    try:
        for done in run_dialogues(backend, calls, dialogues):
            written.update(done)
            calls.meter.labels["questions"] += sum(len(item.questions) for _, item in done)
            num_done = sum(bool(item.questions) for _, item in done)
            report(RowsFinished(done=num_done, failed=len(done) - num_done))
            report(Advanced(stage=STAGE, count=len(done), usage=calls.meter.snapshot()))
    except LimitReachedError:
        raise
    except (BackendError, ConfigError) as error:
        # Replies before a server refuses the key or model were paid for.
        num_kept = calls.store.count(STORE_KIND) - num_before
        if isinstance(error, ConfigError) and not num_kept:
            raise
        raise BackendError(
            f"{error} ({num_kept:,} answers of this run are kept in {calls.store.path}; "
            "the same command continues)"
        ) from None
    finally:
        report(Ended(stage=STAGE))


def _count_serving(
    backend: Backend,
    calls: StoredCalls,
    documents: Iterable[Document],
    config: QuestionsConfig,
) -> int:
    """How many stored calls these dialogues use: each is followed to its first missing call."""
    fingerprint = backend.fingerprint()
    serving: set[str] = set()
    for document in documents:
        dialogue = write_questions(document, config)
        try:
            ask = next(dialogue)
            while answers := calls.find([key := call_key(calls.kind, fingerprint, ask)]):
                serving.add(key)
                ask = dialogue.send(answers[key])
        except StopIteration:
            pass
    return len(serving)


def _collect(documents: Sequence[Document], written: Mapping[str, Written]) -> list[Question]:
    """Questions in document order."""
    return [
        Question(
            id=f"{document.id}-q{number}",
            topic=topic_of(document),
            language=written[document.id].language,
            messages=[Message(role="user", content=text)],
            document_ids=[document.id],
        )
        for document in documents
        for number, text in enumerate(written[document.id].questions)
    ]


def without_repeats(questions: Sequence[Question]) -> tuple[list[Question], int]:
    """The questions that repeat no earlier one (annotator/sampling/near_questions.py); and the
    number of those that do."""
    repeats = find_repeats([(item.topic, item.messages[0].content) for item in questions])
    return [item for place, item in enumerate(questions) if place not in repeats], len(repeats)


def _count(
    config: QuestionsConfig,
    documents: Sequence[Document],
    written: Mapping[str, Written],
    questions: Sequence[Question],
    *,
    num_repeated: int,
    meter: Meter,
) -> dict[str, int]:
    left_out: Counter[str] = Counter()
    for result in written.values():
        left_out.update(result.dropped)
    left_out["repeated_across_documents"] = num_repeated
    num_of = Counter(item.document_ids[0] for item in questions)
    has_some = [item.id for item in documents if written[item.id].questions]
    return {
        "documents": len(documents),
        "questions": len(questions),
        "topics": len({item.topic for item in questions}),
        "short": sum(num_of[name] < config.num_questions for name in has_some),
        "failed": len(documents) - len(has_some),
        "cut_documents": sum(
            cut_window(item.text, config.max_document_tokens) != item.text for item in documents
        ),
        "from_store": meter.num_served,
        **{f"left_out_{name}": number for name, number in sorted(left_out.items()) if number},
    }


def notes_on(config: QuestionsConfig, counts: Mapping[str, int]) -> list[str]:
    """Notes on questions with these counts, for the end of a run."""
    notes: list[str] = []
    if counts["failed"]:
        notes.append(
            f"documents without a question: {counts['failed']:,}; the store keeps failed calls, so "
            "a rerun does not make them again: pass --retry-failed to make them"
        )
    if counts["short"]:
        notes.append(
            f"documents with fewer than num_questions={config.num_questions} "
            f"questions: {counts['short']:,}; those left out are counted by reason"
        )
    if counts["cut_documents"]:
        notes.append(
            f"of {counts['cut_documents']:,} documents the writer read only the beginning, about "
            f"max_document_tokens={config.max_document_tokens} tokens"
        )
    notes.append(
        f"{counts['questions']:,} questions over {counts['topics']:,} topics; {PAPER_FIGURES}"
    )
    return notes
