"""A preview of judging: a few responses, judged before the rest is paid for.

The rule: the choice is stratified and not random. Topics take turns, and within a topic short,
medium and long responses do, so that a few responses represent all of them.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from annotator.calls.usage import Meter
from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import JudgeTask
from annotator.judging.runs.annotate import run_annotate
from annotator.judging.tasks import prepare_tasks
from schemas.errors import InputError
from schemas.events import OnEvent, ignore
from schemas.files.jsonl import read_records, read_rows, write_records
from schemas.records import Annotation, Document, Response


def preview_annotate(
    config: AnnotateConfig,
    *,
    responses: Path,
    documents: Path,
    store: Path,
    meter: Meter,
    count: int,
    retry_failed: bool = False,
    same_model: bool = False,
    on_event: OnEvent = ignore,
) -> list[Annotation]:
    """`count` of the responses, judged; the calls are stored in `store`, and the full run uses
    them.

    Writes no output. Raises what `run_annotate` raises, BackendError where no reply is usable, and
    InputError where no row can be judged.
    """
    prepared = prepare_tasks(
        read_rows(responses, Response),
        read_records(documents, Document),
        config=config,
        responses=responses,
    )
    if not prepared.tasks:
        first = prepared.failures[0]
        raise InputError.of(responses, f"no row can be judged (first: {first.detail})")
    chosen = choose_preview(prepared.tasks, count)
    with tempfile.TemporaryDirectory() as folder:
        few, output = Path(folder) / responses.name, Path(folder) / "judged.jsonl"
        write_records(few, (task.response for task in chosen))
        run_annotate(
            config,
            responses=few,
            documents=documents,
            output=output,
            store=store,
            retry_failed=retry_failed,
            same_model=same_model,
            on_event=on_event,
            meter=meter,
        )
        meter.check_replies()
        meter.labels.clear()  # a run counts the verdicts of these responses again, from the store
        return read_records(output, Annotation)


def choose_preview(tasks: Sequence[JudgeTask], count: int) -> list[JudgeTask]:
    """`count` of `tasks`, in their order: over topics (else questions), then over lengths."""
    strata: defaultdict[str, list[int]] = defaultdict(list)
    for number, task in enumerate(tasks):
        strata[task.response.topic or task.response.question_id].append(number)
    by_length = [
        _spread(sorted(numbers, key=lambda number: _size(tasks[number])))
        for numbers in strata.values()
    ]
    topics = [by_length[place] for place in _spread(range(len(by_length)))]
    turns = [number for turn in zip_longest(*topics) for number in turn if number is not None]
    return [tasks[number] for number in sorted(turns[:count])]


def _size(task: JudgeTask) -> tuple[int, str]:
    return len(task.response.text), task.response.id


def _spread(items: Sequence[int]) -> list[int]:
    """The items with the middle one first, then the middles of both halves, and so on."""
    queue, found = [(0, len(items))], []
    for low, high in queue:  # grows while it is read
        if low < high:
            middle = (low + high) // 2
            found.append(items[middle])
            queue += [(low, middle), (middle + 1, high)]
    return found
