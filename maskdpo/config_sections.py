"""The sections of a run config: the package that owns each, and former names of settings.

    run       here                                   folder of the run, input files
    ingest    annotator/documents/ingest_config.py   reading documents
    questions annotator/sampling/questions_config.py writer model, questions per document
    sample    annotator/models/config.py             the sampled model, sampling
    annotate  annotator/judging/config.py            judge, sentences
    build     dataset_builder/config.py              selection, weights, split
    train     trainer/config.py                      loss, optimiser, eos policy
    evaluate  maskdpo/evaluation/config.py           models to compare
    skills    maskdpo/skills/config.py               tasks of lm-eval
    serve     annotator/service/config.py            address, judges by name, limits of the service
    review    maskdpo/desk/config.py                 address, people, second readings of the desk
    ray       annotator/scale/config.py              cluster and workers of --engine ray

The rule: a setting has one name. A former name is accepted if the present one is not given too, and
is replaced before anything else reads the settings.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from schemas.config import Section, given_twice
from schemas.errors import ConfigError

SECTIONS = {
    "run": ("maskdpo.config_sections", "RunSection"),
    "ingest": ("annotator.documents.ingest_config", "IngestConfig"),
    "questions": ("annotator.sampling.questions_config", "QuestionsConfig"),
    "sample": ("annotator.models.config", "SampleConfig"),
    "annotate": ("annotator.judging.config", "AnnotateConfig"),
    "build": ("dataset_builder.config", "BuildConfig"),
    "train": ("trainer.config", "TrainConfig"),
    "evaluate": ("maskdpo.evaluation.config", "EvaluateConfig"),
    "skills": ("maskdpo.skills.config", "SkillsConfig"),
    "serve": ("annotator.service.config", "ServeConfig"),
    "review": ("maskdpo.desk.config", "ReviewConfig"),
    "ray": ("annotator.scale.config", "RayConfig"),
}
SECTION_NAMES = tuple(SECTIONS)


class RunSection(Section):
    """Where a run reads and writes. Stage files have fixed names inside `dir`."""

    dir: Path = Field(default=Path("runs/default"), description="folder of the run's files")
    questions: Path | None = Field(
        default=None, description="file of questions [questions.jsonl in dir]"
    )
    documents: Path | None = Field(
        default=None, description="file of documents [documents.jsonl in dir]"
    )
    metrics: Path | None = Field(
        default=None, description="file of metrics of each command that calls models [none]"
    )

    def path(self, name: str) -> Path:
        """A stage file of this run; questions and documents may be elsewhere."""
        given = {"questions.jsonl": self.questions, "documents.jsonl": self.documents}.get(name)
        return given or self.dir / name


def section_model(name: str) -> type[Section]:
    """The pydantic model that owns the section `name`."""
    module, attribute = SECTIONS[name]
    model: type[Section] = getattr(importlib.import_module(module), attribute)
    return model


def use_present_names(
    values: Mapping[str, Mapping[str, Any]], overrides: Iterable[str], *, where: str
) -> tuple[dict[str, dict[str, Any]], tuple[str, ...], list[str]]:
    """The sections and overrides with present names of settings, and a note for each former name.

    Raises ConfigError if a setting is given by both names, in the file or by an override.
    """
    given = [(section, key) for section, keys in values.items() for key in keys]
    given += [found for item in overrides if (found := _setting_of(item))]
    present = {place: present_name(*place) for place in given}
    former = [(section, key) for section, key in present if present[section, key] != key]
    for section, key in former:
        name = present[section, key]
        if (section, name) in present:
            raise ConfigError(f"{where}: {section}: {given_twice(key, name)}")
    notes = [
        f"{section}.{key} is now {section}.{present[section, key]}; the former name still works"
        for section, key in former
    ]
    renamed = {
        section: {present[section, key]: value for key, value in keys.items()}
        for section, keys in values.items()
    }
    return renamed, tuple(_rename_override(item) for item in overrides), notes


def present_name(section: str, key: str) -> str:
    """The present name of a setting; `key` itself if it was not renamed."""
    return section_model(section).FORMER_NAMES.get(key, key)


def _setting_of(override: str) -> tuple[str, str] | None:
    """The (section, key) that `section.key[.key]=value` sets; None if it sets nothing."""
    section, *keys = override.partition("=")[0].strip().split(".")
    return (section, keys[0]) if section in SECTIONS and keys else None


def _rename_override(override: str) -> str:
    setting = _setting_of(override)
    if setting is None or present_name(*setting) == setting[1]:
        return override
    section, key = setting
    return override.replace(f"{section}.{key}", f"{section}.{present_name(section, key)}", 1)
