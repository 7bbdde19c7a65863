"""annotate, sample and questions as stages that are run in pieces: their checks and their parts.

The rule: everything that a run on one machine refuses before it spends anything is refused here,
before a worker starts.
"""

from __future__ import annotations

from pathlib import Path

from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from annotator.judging.runs.output_checks import check_paths, refuse_labels
from annotator.judging.runs.run_steps import input_files
from annotator.models.config import SampleConfig
from annotator.sampling.questions import check_output_of_questions
from annotator.sampling.questions_config import QuestionsConfig
from annotator.sampling.questions_prompt import PROMPT_VERSION
from annotator.sampling.sample import check_output_of_sample
from annotator.scale.run import Stage
from annotator.scale.workers import MakeAnnotateWorker, MakeQuestionsWorker, MakeSampleWorker
from formats.forgotten import Forgotten
from schemas.files.sidecar import describe_files
from schemas.records import Document, Question, Response


def annotate_stage(
    config: AnnotateConfig, *, responses: Path, documents: Path | None, output: Path, store: Path
) -> Stage[Response]:
    """`annotate`, cut by question. Raises what `run_annotate` raises before it judges."""
    check_paths(responses, documents, output=output, store=store)
    refuse_labels(output)
    config = with_domain(config)
    documents = documents.absolute() if documents else None
    return Stage(
        name="annotate",
        kind="annotation",
        unit="response",
        source=responses,
        model=Response,
        key=lambda row: row.question_id,
        described=describe_files(input_files(config, responses, documents)),
        config=config.model_dump(mode="json"),
        output=output,
        store=store,
        make_workers=lambda common: MakeAnnotateWorker(
            config=config, common=common, documents=documents
        ),
    )


def sample_stage(
    config: SampleConfig, *, questions: Path, output: Path, store: Path, forgotten: Forgotten
) -> Stage[Question]:
    """`sample`, cut by question. Raises what `run_sample` raises before it asks."""
    check_output_of_sample(output, questions, store)
    return Stage(
        name="sample",
        kind="response",
        unit="reply",
        units_per_row=config.num_responses,
        source=questions,
        model=Question,
        key=lambda row: row.id,
        described=describe_files([questions]) if questions.is_file() else {},
        config=config.model_dump(mode="json"),
        output=output,
        store=store,
        make_workers=lambda common: MakeSampleWorker(
            config=config, common=common, forgotten=forgotten
        ),
    )


def questions_stage(
    config: QuestionsConfig, *, documents: Path, output: Path, store: Path
) -> Stage[Document]:
    """`questions`, cut by document. Raises what `run_questions` raises before it asks."""
    check_output_of_questions(output, documents, store)
    return Stage(
        name="questions",
        kind="question",
        unit="document",
        source=documents,
        model=Document,
        key=lambda row: row.id,
        described=describe_files([documents]) if documents.is_file() else {},
        config=config.model_dump(mode="json") | {"prompt_version": PROMPT_VERSION},
        output=output,
        store=store,
        make_workers=lambda common: MakeQuestionsWorker(config=config, common=common),
    )
