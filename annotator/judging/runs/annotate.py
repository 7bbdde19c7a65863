"""`annotate`: from responses and documents to a verdict for every sentence.

The rule that makes it safe to kill: a judge's calls are stored, and verdicts are derived from them
in every run. The output appears complete, in the order of the responses. A rerun makes only the
missing calls and writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from annotator.calls.store import Store
from annotator.calls.usage import NO_LIMITS, Budget, Limits, Meter
from annotator.judging.annotator import STAGE
from annotator.judging.config import AnnotateConfig
from annotator.judging.make_judge import judge_meter
from annotator.judging.runs.run_steps import (
    NO_MEANS,
    JudgingRun,
    RunFiles,
    RunMeans,
    make_annotator,
    read_inputs,
)
from annotator.judging.runs.verdict_spool import VerdictSpool
from schemas.events import OnEvent, ignore
from schemas.files.jsonl import write_records
from schemas.files.parts import InputPart
from schemas.stage import StageResult


def run_annotate(
    config: AnnotateConfig,
    *,
    responses: Path,
    documents: Path | None,
    output: Path,
    store: Path,
    limits: Limits | Budget = NO_LIMITS,
    retry_failed: bool = False,
    same_model: bool = False,
    stage: str = STAGE,
    on_event: OnEvent = ignore,
    meter: Meter | None = None,
    part: InputPart | None = None,
    also: Sequence[Path] = (),
    means: RunMeans = NO_MEANS,
) -> StageResult:
    """Judge every sentence of `responses` and write `output`, its sidecar and its failed rows.

    `meter` counts this run together with others, in place of `limits`. `stage` is the name of the
    run in the store; settings are compared with its last run.

    With `part`, only these rows of `responses` are judged (there may be none), and the sidecar
    names the part. `also` are other stores of the run, whose replies are used. `means` are shared
    with other runs of the same config.

    Counts: `judged` (responses that differ) and `equal` (responses that share the verdicts of an
    equal one), `sentences`, one `label_*` per label, one `error_words_*` per outcome of asked wrong
    words (`VerdictTally.words`), and for a judge that asks a model `calls` and `calls_from_store`.
    Too many undetermined sentences, or no usable reply, are the result's `trouble`.

    Raises, before anything is judged, InputError when a file does not have the expected content,
    and ConfigError when `output` is an input or, without `same_model`, when another model is served
    than in the last run on `store`. Raises BackendError where no reply is usable and `output`
    exists already: it is not changed.
    """
    files = RunFiles(
        responses=responses, documents=documents, output=output, store=store, part=part
    )
    inputs = read_inputs(config, files, tasks=means.tasks)
    meter = meter or judge_meter(inputs.config, limits)
    with (
        Store(store, retry_failed=retry_failed, also=also) as calls,
        VerdictSpool(output.parent) as spool,
    ):
        annotator = make_annotator(inputs, store=calls, meter=meter, on_event=on_event, means=means)
        run = JudgingRun(inputs, annotator, spool, stage=stage)
        run.begin(same_model=same_model)
        run.judge_now()
        run.keep_former()
        write_records(output, run.take_ready())
        return run.conclude()
