"""A judge that replays verdicts made earlier: those of an annotations.jsonl on the same sentences.

The rule: a verdict is used only for exactly the text it was made for. Another response with the
same id, or a sentence with other limits, is `undetermined`, with its reason:

    not_in_file       no annotation has the response's id
    text_differs      the annotation of that id has another text
    no_matching_span  no sentence of the annotation has these offsets (apart from outer white space)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

from annotator.calls.running.source import Items, in_batches
from annotator.judging.judge import Judged, JudgeFailure, JudgeTask
from annotator.judging.stream_judge import BATCH_TASKS
from schemas.document_versions import StaleDocuments, find_stale_documents, notes_on_stale
from schemas.errors import InputError
from schemas.files.jsonl import read_records
from schemas.files.sidecar import describe_file
from schemas.labels import Label
from schemas.records import Annotation, Verdict
from schemas.spans import Offsets, trim

_MAX_MAKERS = 3
NOT_IN_FILE, TEXT_DIFFERS, NO_MATCHING_SPAN = "not_in_file", "text_differs", "no_matching_span"


class ReplayJudge:
    """Reads its verdicts from annotations.

    Named after the judge or people who made them, else the file.
    """

    def __init__(
        self,
        annotations: Mapping[str, Annotation],
        *,
        path: Path,
        sha256: str,
        is_of_gold: bool,
        stale: StaleDocuments,
    ) -> None:
        self._annotations = annotations
        self._path = path
        self._sha256 = sha256
        self._is_of_gold = is_of_gold
        self._stale = stale
        self.name = _name_makers(annotations.values()) or path.name
        self.reads_prompt = False
        self.reads_id = True

    @classmethod
    def read(cls, path: Path, *, is_of_gold: bool = False, documents: Sequence[Path] = ()) -> Self:
        """The judge of one annotations.jsonl; InputError for any other file.

        `is_of_gold`: it will be measured, so a file about none of the responses is an error.
        `documents`: the files of this run. Evidence in texts that changed since is left out.
        """
        annotations = {item.id: item for item in read_records(path, Annotation)}
        sha256 = describe_file(path)["sha256"]
        stale = find_stale_documents([path], documents)
        return cls(annotations, path=path, sha256=sha256, is_of_gold=is_of_gold, stale=stale)

    def fingerprint(self) -> dict[str, Any]:
        """The content of the file."""
        return {"judge": "recorded", "sha256": self._sha256}

    def notes(self) -> list[str]:
        """Where the verdicts come from."""
        return [
            f"Verdicts of {self.name} are read from {self._path.name} "
            f"({len(self._annotations):,} responses), not made now.",
            *notes_on_stale(self._stale, "is left out"),
        ]

    def closing_notes(self) -> list[str]:
        """No notes."""
        return []

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        """Yield one task at a time. InputError when a judge of gold has none of the responses."""
        if self._is_of_gold and not any(task.response.id in self._annotations for task in tasks):
            message = (
                f"holds none of the {len(tasks)} labelled responses (the first is "
                f"{tasks[0].response.id!r}); its ids must be those of the gold"
            )
            raise InputError.of(self._path, message)
        for task in tasks:
            yield [(task, self._look_up(task))]

    async def judge_stream(self, tasks: Items[JudgeTask]) -> AsyncGenerator[Judged, None]:
        """`judge` in the caller's event loop: a look-up is too fast to need a process."""
        async with aclosing(in_batches(tasks, BATCH_TASKS)) as batches:
            async for batch in batches:
                yield [(task, self._look_up(task)) for task in batch]

    def _look_up(self, task: JudgeTask) -> list[Verdict] | JudgeFailure:
        found = self._annotations.get(task.response.id)
        if found is None:
            return JudgeFailure(reason=NOT_IN_FILE, detail=task.response.id)
        text = task.response.text
        if found.text != text:
            return JudgeFailure(reason=TEXT_DIFFERS, detail=task.response.id)
        by_place = {
            _place(text, (sentence.start, sentence.end)): sentence.verdict
            for sentence in found.sentences
        }
        missing = Verdict(label=Label.UNDETERMINED, reason=NO_MATCHING_SPAN, judge=self.name)
        known = {document.id for document in task.documents} - self._stale.ids
        return [
            _keep_known(by_place.get(_place(text, offsets), missing), known)
            for offsets in task.sentences
        ]


def _name_makers(annotations: Iterable[Annotation]) -> str:
    """The makers of the verdicts, in one short line."""
    makers = sorted(
        {
            sentence.verdict.judge
            for annotation in annotations
            for sentence in annotation.sentences
            if sentence.verdict.judge
        }
    )
    named = " | ".join(makers[:_MAX_MAKERS])
    more = len(makers) - _MAX_MAKERS
    return f"{named} and {more} more" if more > 0 else named


def _keep_known(verdict: Verdict, known: set[str]) -> Verdict:
    """The verdict, without evidence in documents that this run does not have, or in other texts."""
    kept = [item for item in verdict.evidence if item.document_id in known]
    if len(kept) == len(verdict.evidence):
        return verdict
    return verdict.model_copy(update={"evidence": kept})


def _place(text: str, offsets: Offsets) -> Offsets:
    """Offsets without outer white space: the same place for every splitter."""
    return trim(text, *offsets) or offsets
