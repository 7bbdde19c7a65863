"""What a merge must know of the rows that it copies, where the counts of the parts do not say it.

The rule: a row is looked at and never changed. Repeated questions are left out when all questions
are there, in the order of the documents, as in a run without parts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from annotator.sampling.near_questions import find_repeats
from annotator.scale.part_files import PartFile
from schemas.records import Question


class Watch:
    """Passes rows on, and looks at what the counts of the parts do not say.

    reasons   undetermined sentences by reason
    """

    def __init__(self, first: PartFile) -> None:
        self.write: Callable[[bytes], object] = len
        self.reasons: Counter[str] = Counter()

    def take(self, line: bytes) -> None:
        """The next row of the output."""
        self.write(line)

    def end(self) -> None:
        """All rows were taken."""

    def count(self, counts: dict[str, int]) -> dict[str, int]:
        """The counts of the whole, from the sums over the parts."""
        return counts


class _AnnotationWatch(Watch):
    def take(self, line: bytes) -> None:
        self.write(line)
        if b'"undetermined"' in line:
            self.reasons.update(_undetermined(line))


class _QuestionWatch(Watch):
    """Keeps the questions in memory until all are there: each may repeat any earlier one."""

    def __init__(self, first: PartFile) -> None:
        super().__init__(first)
        self._num_asked = int(first.sidecar["config"]["num_questions"])
        self._lines: list[bytes] = []
        self._repeats: set[int] = set()
        self._num_topics = 0
        self._num_of: Counter[str] = Counter()

    def take(self, line: bytes) -> None:
        self._lines.append(line)

    def end(self) -> None:
        topics: set[str] = set()
        texts: list[tuple[str, str]] = []
        names: list[str] = []
        for line in self._lines:
            row = Question.model_validate_json(line)
            texts.append((row.topic, row.messages[0].content))
            names.append(row.document_ids[0])
        self._repeats = find_repeats(texts)
        self._num_of.update(dict.fromkeys(names, 0))
        for place, line in enumerate(self._lines):
            if place not in self._repeats:
                self.write(line)
                topics.add(texts[place][0])
                self._num_of[names[place]] += 1
        self._num_topics = len(topics)

    def count(self, counts: dict[str, int]) -> dict[str, int]:
        num_repeated = len(self._repeats)
        return {
            **counts,
            "questions": len(self._lines) - num_repeated,
            "topics": self._num_topics,
            "short": sum(number < self._num_asked for number in self._num_of.values()),
            **({"left_out_repeated_across_documents": num_repeated} if num_repeated else {}),
        }


WATCHES: Mapping[str, Callable[[PartFile], Watch]] = {
    "annotation": _AnnotationWatch,
    "response": Watch,
    "question": _QuestionWatch,
}


def _undetermined(line: bytes) -> Iterator[str]:
    """The reasons of a row's undetermined sentences."""
    for sentence in json.loads(line)["sentences"]:
        verdict = sentence["verdict"]
        if verdict["label"] == "undetermined":
            yield verdict.get("reason") or "unknown"
