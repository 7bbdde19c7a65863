"""What a merged output reports: the notes and troubles of a run without parts, from its counts.

The rule: only what the rows, counts and settings show is reported. What a run learns from its
documents or its servers is in the notes of the runs of the parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from annotator.calls.usage import Meter
from annotator.judging.config import AnnotateConfig
from annotator.judging.lexical import LexicalJudge
from annotator.judging.llm_judge import note_on
from annotator.judging.runs.outcome import assess_run
from annotator.judging.runs.verdict_tally import VerdictTally
from annotator.models.config import SampleConfig
from annotator.sampling import questions, sample
from annotator.sampling.questions_config import QuestionsConfig
from annotator.scale.part_files import PartFile
from schemas.errors import MaskDpoError

_LABEL, _WORDS = "label_", "error_words_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Notes for the end of a merge, and what is wrong with the output as a whole."""

    notes: Sequence[str]
    trouble: MaskDpoError | None = None


def make_report(
    first: PartFile, counts: Mapping[str, int], reasons: Counter[str], output: Path
) -> Report:
    """The report on `output`: parts like `first` with these counts.

    `reasons` are those of undetermined sentences.
    """
    config = first.sidecar.get("config", {})
    try:
        match first.kind:
            case "annotation":
                return _of_annotations(first, config, counts, reasons, output)
            case "response":
                settings = SampleConfig.model_validate(config)
                return Report(notes=sample.notes_on(settings, counts, num_unrecorded=0))
            case _:
                known = {
                    name: config[name] for name in QuestionsConfig.model_fields & config.keys()
                }
                return Report(
                    notes=questions.notes_on(QuestionsConfig.model_validate(known), counts)
                )
    except ValidationError:  # settings of another version, or edited: the rows are whole
        return Report(notes=[])


def _of_annotations(
    first: PartFile,
    values: Mapping[str, Any],
    counts: Mapping[str, int],
    reasons: Counter[str],
    output: Path,
) -> Report:
    config = AnnotateConfig.model_validate(values)
    judge = str(first.sidecar.get("models", {}).get("judge", config.judge))
    tally = VerdictTally(
        labels=_named(counts, _LABEL), words=_named(counts, _WORDS), reasons=reasons
    )
    meter = Meter(num_asked=counts.get("calls", 0), num_served=counts.get("calls_from_store", 0))
    outcome = assess_run(
        tally,
        meter,
        judge=judge,
        output=output,
        max_undetermined_share=config.max_undetermined_share,
    )
    return Report(notes=[*_notes_of(config, judge), *outcome.notes], trouble=outcome.trouble)


def _notes_of(config: AnnotateConfig, judge: str) -> list[str]:
    """What a user must know about the judge."""
    if config.judge == "lexical":
        return list(LexicalJudge(config.lexical).notes())
    if config.judge == "llm" and config.llm is not None:
        return [note_on(judge, config.llm.protocol)]
    return []


def _named(counts: Mapping[str, int], prefix: str) -> Counter[str]:
    return Counter(
        {
            name.removeprefix(prefix): number
            for name, number in counts.items()
            if name.startswith(prefix)
        }
    )
