"""Verdicts of one run between judging and writing: which tasks are equal, and a file of verdicts.

The rule: verdicts are derived in every run, from the text, the documents and the judge's stored
calls. Nothing here is kept after the run, so a corrected rule applies to old runs without new
calls.

Tasks with one key are judged once:

| counts                                    | because                                             |
|-------------------------------------------|-----------------------------------------------------|
| text of the response                      | it is what is judged                                |
| sentence offsets                          | one verdict per sentence                            |
| title and text of each document, in order | the response is compared with them                  |
| the question and the row's language       | only for a judge that reads them (`reads_prompt`)   |
| id of the response                        | only for a judge that looks it up (`reads_id`)      |

| does not count                            | because                                             |
|-------------------------------------------|-----------------------------------------------------|
| ids of question and documents             | names; evidence is kept by the document's place     |
| topic, model, sampling                    | no judge sees them                                  |
| system message, earlier turns             | no judge sees them                                  |
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from annotator.judging.judge import Judge, JudgeFailure, JudgeTask
from annotator.judging.verdict_checks import find_verdict_fault
from schemas.hashing import content_key
from schemas.records import Document, Verdict


class TaskKeys:
    """The keys of judging tasks with one judge (see the tables above)."""

    def __init__(self, judge: Judge) -> None:
        self._reads_prompt = judge.reads_prompt
        self._reads_id = judge.reads_id
        self._digests: dict[int, tuple[Document, str]] = {}

    def key(self, task: JudgeTask) -> str:
        """The key of one task: 64 hexadecimal digits."""
        value: dict[str, Any] = {
            "text": task.response.text,
            "sentences": [list(offsets) for offsets in task.sentences],
            "documents": [self._digest(item) for item in task.documents],
        }
        if self._reads_prompt:
            value["question"] = task.response.prompt[-1].content
            value["language"] = task.response.language
        if self._reads_id:
            value["id"] = task.response.id
        return content_key(value)

    def _digest(self, document: Document) -> str:
        """A document's digest, made once: responses to one question share their documents."""
        if id(document) not in self._digests:
            # Kept with its digest, so that no other document gets its id in memory.
            self._digests[id(document)] = document, content_key([document.title, document.text])
        return self._digests[id(document)][1]


class VerdictSpool:
    """Verdicts by task key, in an unnamed temporary file; memory holds a position per key.

    Verdicts come in order of completion and are read in order of input. The file is in `folder`,
    which has space for the output, and is deleted when the run ends, in any way. Raises OSError
    where the disk is full. Use it as a context manager; one thread may put while another gets.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._places: dict[str, tuple[int, int]] = {}
        self._end = 0
        self._lock = threading.Lock()  # of the file's position
        self.failures: dict[str, JudgeFailure] = {}

    def put(self, key: str, task: JudgeTask, outcome: Sequence[Verdict] | JudgeFailure) -> None:
        """Store what a judge returned for `task`; verdicts that do not fit it are a failure."""
        packed = pack_verdicts(task, outcome)
        if isinstance(packed, JudgeFailure):
            self.failures[key] = packed
            return
        data = json.dumps(packed).encode()
        with self._lock:
            self._file.seek(self._end)
            self._file.write(data)
            self._places[key] = self._end, len(data)
            self._end += len(data)

    def has(self, key: str) -> bool:
        """Whether `key` is judged, with verdicts or as a failure."""
        return key in self._places or key in self.failures

    def get(self, key: str, task: JudgeTask) -> list[Verdict]:
        """The verdicts of `key`, with the document ids of `task`; KeyError for a failed one."""
        start, size = self._places[key]
        with self._lock:
            self._file.seek(start)
            data = self._file.read(size)
        return unpack_verdicts(task, json.loads(data))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def pack_verdicts(
    task: JudgeTask, outcome: Sequence[Verdict] | JudgeFailure
) -> list[dict[str, Any]] | JudgeFailure:
    """Verdicts as JSON values that name documents by position, or why they cannot be stored."""
    fault = find_verdict_fault(task, outcome)
    if fault is not None or isinstance(outcome, JudgeFailure):
        assert fault is not None
        return fault
    places = {document.id: place for place, document in enumerate(task.documents)}
    packed = []
    for verdict in outcome:
        value = verdict.model_dump(mode="json", exclude_defaults=True)
        for evidence in value.get("evidence", []):
            evidence["document"] = places[evidence.pop("document_id")]
        packed.append(value)
    return packed


def unpack_verdicts(task: JudgeTask, packed: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """The verdicts read back, with the ids of this task's documents."""
    return [Verdict.model_validate(_with_ids(task, item), strict=False) for item in packed]


def _with_ids(task: JudgeTask, packed: Mapping[str, Any]) -> dict[str, Any]:
    evidence = [
        {key: item[key] for key in item if key != "document"}
        | {"document_id": task.documents[item["document"]].id}
        for item in packed.get("evidence", [])
    ]
    return {**packed, "evidence": evidence}
