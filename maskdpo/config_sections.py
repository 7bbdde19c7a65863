"""The sections of a run config, and the package that owns each.

The rule: a section is a pydantic model next to the code that reads it, and is imported when it is
needed.

    run        here                                    folder of the run, input files
    ingest     annotator/documents/ingest_config.py    reading documents
    questions  annotator/sampling/questions_config.py  writer model, questions per document
    sample     annotator/models/config.py              policy, sampling
    annotate   annotator/judging/config.py             judge, sentences
    build      dataset_builder/config.py               selection, weights, split
    train      trainer/config.py                       loss, optimiser, eos policy
    evaluate   maskdpo/evaluation/config.py            models to compare
"""

from __future__ import annotations

import importlib
from pathlib import Path

from pydantic import Field

from schemas.config import Section

SECTIONS = {
    "run": ("maskdpo.config_sections", "RunSection"),
    "ingest": ("annotator.documents.ingest_config", "IngestConfig"),
    "questions": ("annotator.sampling.questions_config", "QuestionsConfig"),
    "sample": ("annotator.models.config", "SampleConfig"),
    "annotate": ("annotator.judging.config", "AnnotateConfig"),
    "build": ("dataset_builder.config", "BuildConfig"),
    "train": ("trainer.config", "TrainConfig"),
    "evaluate": ("maskdpo.evaluation.config", "EvaluateConfig"),
}
SECTION_NAMES = tuple(SECTIONS)


class RunSection(Section):
    """Where a run reads and writes. Stage files have fixed names inside `dir`."""

    dir: Path = Field(default=Path("runs/default"), description="folder of the run's files")
    questions: Path | None = Field(default=None, description="questions.jsonl [in dir]")
    documents: Path | None = Field(default=None, description="documents.jsonl [in dir]")

    def path(self, name: str) -> Path:
        """A stage file of this run; questions and documents may live elsewhere."""
        given = {"questions.jsonl": self.questions, "documents.jsonl": self.documents}.get(name)
        return given or self.dir / name


def section_model(name: str) -> type[Section]:
    """The pydantic model that owns the section `name`."""
    module, attribute = SECTIONS[name]
    model: type[Section] = getattr(importlib.import_module(module), attribute)
    return model
