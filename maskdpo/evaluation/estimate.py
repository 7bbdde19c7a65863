"""What an evaluation will cost: the remaining replies of each model, and the judge's calls on them.

The rule: for stored responses the judge's calls are derived exactly as in the run. A response that
is not sampled yet is assumed to have the average length of the stored ones, or `max_tokens` tokens,
and sentences like those of its document.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotator.calls.estimate import Estimate, look_into
from annotator.calls.stored_calls import unpack
from annotator.judging.config import AnnotateConfig
from annotator.judging.make_judge import asks_a_model
from annotator.judging.runs.estimate import estimate_annotate
from annotator.models.backend import Outcome, Reply
from annotator.models.config import SampleConfig
from annotator.models.make_backend import make_backend
from annotator.sampling.sample import estimate_sample
from annotator.sampling.slots import Slot, make_slots
from annotator.text.token_estimate import estimate_tokens
from maskdpo.evaluation.answers import read_answers
from maskdpo.evaluation.factscore.config import FactScoreConfig, find_writer
from maskdpo.evaluation.factscore.estimate import estimate_facts_of
from maskdpo.evaluation.run import EvaluationInputs
from schemas.files.jsonl import read_records, write_records
from schemas.records import Document, Question, Response

_MAX_CHARS_PER_TOKEN = 8  # more than any text has


def estimate_evaluate(
    samples: Mapping[str, SampleConfig],
    annotate: AnnotateConfig,
    inputs: EvaluationInputs,
    *,
    answers: Sequence[str] = (),
    factscore: FactScoreConfig | None = None,
    retry_failed: bool = False,
) -> list[tuple[str, Estimate]]:
    """Estimates of sampling and judging for each model, by title; calls no model, writes nothing.

    `answers` are files of answers (`EvaluateConfig.answers`): those without verdicts are judged.
    Raises InputError when a file cannot be read, ConfigError when a model cannot be found.
    """
    writer = find_writer(factscore, annotate)
    parts: list[tuple[str, Estimate]] = []
    questions = [] if inputs.questions is None else read_records(inputs.questions, Question)
    asked: list[_Asked] = []
    for name, sample in samples.items():
        assert inputs.questions is not None  # what is sampled has questions (`EvaluationInputs`)
        owed = estimate_sample(
            sample,
            questions=inputs.questions,
            store=inputs.store,
            retry_failed=retry_failed,
        )
        parts.append((f"{name}, responses", owed))
        if not asks_a_model(annotate) and factscore is None:
            continue
        responses, note = _foresee_responses(sample, inputs, questions, retry_failed=retry_failed)
        asked.append(_Asked(name=name, responses=responses, note=note))
    given = read_answers(answers, samples)
    if inputs.questions is not None:
        given = given.of_questions((item.id for item in questions), inputs.questions)
    asked += [
        _Asked(name=item.name, responses=item.answers, known=item.path if item.judged else None)
        for item in given.sets
    ]
    for model in asked:
        if asks_a_model(annotate) and model.known is None:
            judged = _estimate_judge(annotate, model.responses, inputs, retry_failed=retry_failed)
            judged.notes += model.note
            parts.append((f"{model.name}, verdicts", judged))
        if factscore is not None:
            for title, part in estimate_facts_of(
                writer.config if writer is not None else None,
                annotate,
                model.responses,
                inputs.documents,
                known=model.known or inputs.output / model.name / "annotations.jsonl",
                store=inputs.store,
                retry_failed=retry_failed,
            ):
                parts.append((f"{model.name}, {title}", part))
    return _in_order(parts, [*samples, *(item.name for item in given.sets)])


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One model's responses. `known`: the file of their verdicts, where they have some already."""

    name: str
    responses: Sequence[Response]
    note: Sequence[str] = ()
    known: Path | None = None


def _in_order(
    parts: Sequence[tuple[str, Estimate]], names: Sequence[str]
) -> list[tuple[str, Estimate]]:
    """The parts model by model."""
    rank = {name: place for place, name in enumerate(names)}
    return sorted(parts, key=lambda part: rank[part[0].rpartition(", ")[0]])


def _foresee_responses(
    sample: SampleConfig,
    inputs: EvaluationInputs,
    questions: Sequence[Question],
    *,
    retry_failed: bool,
) -> tuple[list[Response], list[str]]:
    """The responses of one model, including those not sampled yet, and a note about these."""
    slots = make_slots(sample, make_backend(sample).fingerprint(), questions)
    with look_into(inputs.store, retry_failed=retry_failed) as calls:
        values = calls.get_many({slot.key for slot in slots})
    stored = {key: unpack(value) for key, value in values.items()}
    lengths = [estimate_tokens(item.text) for item in stored.values() if isinstance(item, Reply)]
    assumed = max(round(sum(lengths) / len(lengths)), 1) if lengths else sample.max_tokens
    documents = [] if inputs.documents is None else read_records(inputs.documents, Document)
    responses = _foresee(slots, stored, documents, assumed)
    note = (
        f"responses of {sample.model} that are not sampled yet are assumed to be up to "
        f"{assumed:,} tokens long"
    )
    return responses, [note] if len(stored) < len({slot.key for slot in slots}) else []


def _estimate_judge(
    annotate: AnnotateConfig,
    responses: Sequence[Response],
    inputs: EvaluationInputs,
    *,
    retry_failed: bool,
) -> Estimate:
    """The judge's calls on one model's responses."""
    if not responses:
        return Estimate(notes=["no response can be judged: all requests for them failed"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "responses.jsonl"
        write_records(path, responses)
        return estimate_annotate(
            annotate,
            responses=path,
            documents=inputs.documents,
            store=inputs.store,
            retry_failed=retry_failed,
        )


def _foresee(
    slots: Sequence[Slot],
    stored: Mapping[str, Outcome],
    documents: Sequence[Document],
    num_tokens: int,
) -> list[Response]:
    """The responses to be judged: stored ones, and placeholders for those not sampled yet."""
    by_id = {item.id: place for place, item in reversed(list(enumerate(documents)))}
    by_topic = {item.topic: place for place, item in reversed(list(enumerate(documents)))}
    responses = []
    for slot in slots:
        question = slot.question
        outcome = stored.get(slot.key)
        if outcome is None:
            named = [by_id[name] for name in question.document_ids if name in by_id]
            first = named[0] if named else by_topic.get(question.topic, 0)
            # Starts with the id: equal responses would be judged only once.
            text = f"{slot.id} {_take_text(documents, first, num_tokens)}"
        elif isinstance(outcome, Reply):
            text = outcome.text
        else:
            continue
        responses.append(
            Response(
                id=slot.id,
                question_id=question.id,
                topic=question.topic,
                language=question.language,
                document_ids=question.document_ids,
                prompt=list(slot.ask.messages),
                text=text,
            )
        )
    return responses


def _take_text(documents: Sequence[Document], first: int, num_tokens: int) -> str:
    """About `num_tokens` tokens of text, from document number `first` on.

    Nothing is repeated, because sentences with the same beginning need separate calls. So the text
    is shorter if all documents together are.
    """
    parts: list[str] = []
    for document in itertools.chain(documents[first:], documents[:first]):
        # No token has more characters, so a long document need not be tokenised whole.
        part = document.text[: num_tokens * _MAX_CHARS_PER_TOKEN]
        count = estimate_tokens(part)
        if count >= num_tokens:
            return " ".join([*parts, part[: round(len(part) * num_tokens / count)]])
        parts.append(part)
        num_tokens -= count
    return " ".join(parts)
