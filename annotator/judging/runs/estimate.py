"""What judging will cost: the calls still needed with a judge model that makes no mistake.

The rule: the run's own dialogues are followed, through the store and then with assumed replies
(annotator/judging/estimating_judge.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from annotator.calls.estimate import Estimate, Estimator, look_into
from annotator.judging.config import AnnotateConfig
from annotator.judging.make_judge import asks_a_model, make_judge
from annotator.judging.protocols.table import PROTOCOLS
from annotator.judging.runs.verdict_spool import TaskKeys
from annotator.judging.tasks import prepare_tasks
from schemas.files.jsonl import read_records
from schemas.files.parts import InputPart, read_source
from schemas.records import Document, Response


def estimate_annotate(
    config: AnnotateConfig,
    *,
    responses: Path,
    documents: Path | None,
    store: Path,
    retry_failed: bool = False,
    part: InputPart | None = None,
    also: Sequence[Path] = (),
) -> Estimate:
    """The calls that `run_annotate` would still make; makes no call and writes nothing.

    Raises InputError where a file cannot be read, ConfigError where the judge cannot be made.
    """
    rows = read_source(responses, Response, part)
    known_documents = read_records(documents, Document) if documents is not None else []
    prepared = prepare_tasks(rows, known_documents, config=config, responses=responses)
    if not asks_a_model(config) or config.llm is None:
        return Estimate(notes=[f"the judge {config.judge!r} uses no model"])
    estimators: list[Estimator] = []
    with look_into(store, retry_failed=retry_failed, also=also) as calls:
        judge = make_judge(config, store=calls, estimators=estimators)
        task_keys = TaskKeys(judge)
        owed = {task_keys.key(task): task for task in prepared.tasks}
        for _ in judge.judge(list(owed.values())):
            pass
        (estimator,) = estimators
    protocol = PROTOCOLS[config.llm.protocol]
    notes = [
        f"{len(owed):,} of {len(prepared.tasks):,} responses differ, and equal ones are judged "
        "once; each unusable reply costs one or two calls more than this"
    ]
    if protocol.upper_bound:
        notes.append(f"protocol {protocol.name!r}: {protocol.upper_bound}")
    return Estimate(
        prices=config.llm.prices,
        num_calls=estimator.num_calls,
        num_stored=estimator.num_stored,
        tokens=estimator.tokens,
        notes=notes,
        at_most=bool(protocol.upper_bound),
    )
