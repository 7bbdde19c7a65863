"""`merge`: joins the outputs of the parts of a run into the file of a run without parts.

The rule: rows are copied byte for byte in the order of the input, counts and timings are added, and
nothing is decided again, with one exception: repeated questions across documents are removed here,
since a part knows only its own documents. Nothing is written unless every row of the input is
there.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from annotator.judging.runs.output_checks import refuse_labels
from annotator.scale.merge_report import Report, make_report
from annotator.scale.merge_rows import RowMerger
from annotator.scale.merge_watch import WATCHES, Watch
from annotator.scale.part_files import (
    COMMANDS,
    PartFile,
    check_source,
    read_parts,
    refuse_inside,
    served_by_role,
)
from schemas.events import Advanced, Ended, OnEvent, Started, ignore
from schemas.files.jsonl import Row, scan_rows
from schemas.files.own_files import WRITTEN, refuse_to_replace, seal
from schemas.files.sidecar import Sidecar, describe_file, write_sidecar
from schemas.files.writing import atomic_descriptor
from schemas.records import Failure
from schemas.stage import StageResult, failures_path, partial_path

STAGE = "merge"
_REPORT_EVERY = 1_000  # rows
_GROUPS = {
    "annotation": (
        "responses", "failed", "judged", "equal", "sentences", "label_", "error_words_", "calls",
        "calls_from_store",
    ),
    "response": ("asked", "from_store", "failed", "empty", "cut_off", "forgotten"),
    "question": (
        "documents", "questions", "topics", "short", "failed", "cut_documents", "from_store",
        "left_out_",
    ),
}  # fmt: skip


def merge_outputs(
    paths: Sequence[Path],
    *,
    source: Path,
    output: Path,
    same_model: bool = False,
    on_event: OnEvent = ignore,
) -> StageResult:
    """Join `paths`, all parts of one run of annotate, sample or questions, into `output`.

    `source` is the input that the parts divide: responses, questions or documents. The rows, the
    failed rows, and the sidecar (apart from timings, which are sums) are those of a run without
    parts; an equal response in several parts was judged in each of them, so the counts `judged` and
    `equal` may differ.

    Raises InputError where a part is missing, doubled, damaged or of another run, where `source` is
    not their input, where a row is missing, and without `same_model` where servers reported
    different models; ConfigError where `output` is an input or holds other rows. Then nothing is
    written.
    """
    parts = read_parts(paths)
    refuse_inside(output, [source, *paths])
    _refuse_to_replace(output, parts[0].kind)
    check_source(source, describe_file(source), parts)
    served = served_by_role(parts, same_model=same_model)
    merger = RowMerger(parts, source)
    watch = WATCHES[parts[0].kind](parts[0])
    failed_path = failures_path(output)
    with ExitStack() as stack:
        write_failed = _writer(stack, failed_path)
        write = _writer(stack, output)
        watch.write = write
        _run(merger, watch, write_failed, on_event)
    if not merger.merged.num_failed:
        failed_path.unlink(missing_ok=True)
    partial_path(output).unlink(missing_ok=True)
    counts = order_counts(watch.count(add_counts(parts)), parts[0].kind)
    write_sidecar(output, _describe(parts, output, counts=counts, served=served))
    report = make_report(parts[0], counts, watch.reasons, output)
    return _result(output, counts, merger.merged.num_failed, report)


def _run(
    merger: RowMerger, watch: Watch, write_failed: Callable[[bytes], object], on_event: OnEvent
) -> None:
    on_event(Started(stage=STAGE, total=None, unit="row"))
    try:
        rows = merger.run(watch.take, write_failed)
        while count := sum(islice(rows, _REPORT_EVERY)):
            on_event(Advanced(stage=STAGE, count=count))
        watch.end()
    finally:
        on_event(Ended(stage=STAGE))


def _writer(stack: ExitStack, path: Path) -> Callable[[bytes], object]:
    """Writes to a file that appears when `stack` ends well."""
    descriptor = stack.enter_context(atomic_descriptor(Path(os.path.realpath(path))))
    handle = os.fdopen(descriptor, "wb", buffering=1 << 20, closefd=False)
    return stack.enter_context(handle).write


def _refuse_to_replace(output: Path, kind: str) -> None:
    """Raise ConfigError where `output` holds what the parts' command would not replace either."""
    if kind == "annotation":
        refuse_labels(output)
        return
    refuse_to_replace(
        output,
        lambda values: values.get("format") == f"maskdpo.{kind}",
        what=f"{kind}s",
        by=f"maskdpo {COMMANDS[kind]}",
    )


def add_counts(parts: Iterable[PartFile]) -> dict[str, int]:
    """The sums of the parts' counts."""
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    return dict(counts)


def order_counts(counts: Mapping[str, int], kind: str) -> dict[str, int]:
    """The counts in the order in which a run writes them."""
    groups = _GROUPS[kind]

    def rank(name: str) -> tuple[int, str]:
        for place, group in enumerate(groups):
            if name == group or (group.endswith("_") and name.startswith(group)):
                return place, name
        return len(groups), name

    return {name: counts[name] for name in sorted(counts, key=rank)}


def _describe(
    parts: Sequence[PartFile],
    output: Path,
    *,
    counts: Mapping[str, int],
    served: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Sidecar:
    """The sidecar of the whole: that of the first part, with the sums and without its own marks."""
    timings: Counter[str] = Counter()
    for part in parts:
        timings.update(part.sidecar.get("timings", {}))
    own = {
        name: value for name, value in parts[0].sidecar.items() if name not in ("shard", WRITTEN)
    }
    sidecar = Sidecar(
        **own
        | {
            "served": {role: list(models) for role, models in served.items()},
            "counts": dict(counts),
            "timings": {name: round(seconds, 3) for name, seconds in timings.items()},
        }
    )
    return seal(sidecar, [output]) if parts[0].kind == "question" else sidecar


class FailedRows(Sequence[Failure]):
    """The failed rows in a file, read when they are needed."""

    def __init__(self, path: Path, count: int) -> None:
        self._path = path
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Failure]:
        if self._count:
            rows = scan_rows(self._path, Failure)
            yield from (row.record for row in rows if isinstance(row, Row))

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index] if isinstance(index, slice) else next(islice(self, index, None))


def _result(
    output: Path, counts: Mapping[str, int], num_failed: int, report: Report
) -> StageResult:
    total = counts.get("responses", counts.get("asked", counts.get("documents", 0)))
    return StageResult(
        output=output,
        num_rows=total,
        failures=FailedRows(failures_path(output), num_failed),
        counts=counts,
        notes=report.notes,
        trouble=report.trouble,
    )
