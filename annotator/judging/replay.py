"""The replay judge: verdicts made earlier, or elsewhere, taken over where they fit.

The rule: a verdict belongs to its text. It is taken over for the same response id with the same
text and the same offsets, and for nothing else; what has none is `undetermined: not_labelled`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from annotator.judging.config import ReplayConfig
from annotator.judging.judge import JudgeFailure, JudgeTask
from schemas.files import read_records
from schemas.labels import Label
from schemas.records import Annotation, Verdict
from schemas.sidecar import describe_file


class ReplayJudge:
    """Verdicts of a file of annotations."""

    name = "replay"
    reads_prompt = False

    def __init__(self, config: ReplayConfig) -> None:
        """Read the file; InputError where it is missing or holds a wrong row."""
        self._config = config
        self._annotations = {item.id: item for item in read_records(config.annotations, Annotation)}
        self._sha256 = describe_file(config.annotations)["sha256"]

    def fingerprint(self) -> dict[str, Any]:
        """The file by its content."""
        return {"judge": self.name, "annotations_sha256": self._sha256}

    def notes(self) -> list[str]:
        """Where the verdicts come from."""
        return [f"verdicts are taken over from {self._config.annotations}; nothing is judged anew"]

    def closing_notes(self) -> list[str]:
        """Nothing."""
        return []

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        """Yield one task at a time."""
        for task in tasks:
            yield [(task, self._verdicts(task))]

    def _verdicts(self, task: JudgeTask) -> list[Verdict]:
        found = self._annotations.get(task.response.id)
        made: dict[tuple[int, int], Verdict] = {}
        if found is not None and found.text == task.response.text:
            made = {(item.start, item.end): item.verdict for item in found.sentences}
        known = {document.id for document in task.documents}
        return [_with_known_evidence(made.get((s, e), _MISSING), known) for s, e in task.sentences]


_MISSING = Verdict(label=Label.UNDETERMINED, reason="not_labelled", judge="replay")


def _with_known_evidence(verdict: Verdict, known: set[str]) -> Verdict:
    """The verdict, less evidence in documents this run was not given."""
    kept = [item for item in verdict.evidence if item.document_id in known]
    if len(kept) == len(verdict.evidence):
        return verdict
    return verdict.model_copy(update={"evidence": kept})
