"""The content of a protocol's calls: documents first, then the response, the sentence last.

The rule: everything that the calls of one response share comes first and is identical, byte by
byte, so that a server's prefix cache can be used; only the end differs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from annotator.judging.evidence.quotes import QuoteFinder
from annotator.judging.judge import JudgeTask
from annotator.judging.protocols.copied import Wording, make_wording
from annotator.judging.protocols.prompts import Prompts, fill, wrap
from schemas.records import Message
from schemas.spans import Offsets
from schemas.text.language import detect_language

MAX_TITLE_CHARS = 300
_SAMPLE_CHARS = 120
_GAP = "\n[...]\n"  # between passages of a document that are not adjacent


@dataclass(frozen=True, kw_only=True, slots=True)
class Excerpt:
    """Passages of one of the task's documents, in order; `spans` are offsets into its text."""

    document: int
    spans: Sequence[Offsets]


@dataclass(frozen=True, kw_only=True)
class ProtocolInput:
    """A task prepared for prompts.

    excerpts   the parts of the documents that the judge reads, the same for every sentence
    own        excerpts of single sentences, by number, where not all fit one prompt
    finder     locates quotes in the documents
    """

    task: JudgeTask
    prompts: Prompts
    excerpts: Sequence[Excerpt]
    own: Mapping[int, Sequence[Excerpt]]
    finder: QuoteFinder
    guidance: str = ""
    _openings: dict[int, tuple[str, list[Message]]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @cached_property
    def texts(self) -> list[str]:
        """The documents' texts, in which quotes are located."""
        return [document.text for document in self.task.documents]

    @cached_property
    def language(self) -> str:
        """ISO 639 code of the response's language, the stated one first."""
        response = self.task.response
        return re.split("[-_]", response.language.lower())[0] or detect_language(response.text)

    @cached_property
    def wording(self) -> Wording:
        """The wording of the prompts that a reply might copy."""
        system = fill(self.prompts.system, {"guidance": self.guidance})
        return make_wording(system, self.prompts.requests, self.prompts.corrections)

    @cached_property
    def sample_quote(self) -> str:
        """Words from the documents, from the beginning of their longest line; for estimates."""
        lines = (line.strip() for text in self.texts for line in text.splitlines())
        words = max(lines, key=len, default="")[:_SAMPLE_CHARS].split(" ")
        # A word, number or name that is cut would not be located.
        while len(words) > 1 and not self.finder.locate(" ".join(words), self.texts):
            words.pop()
        return " ".join(words)

    def sentence(self, number: int) -> str:
        """The text of a sentence."""
        start, end = self.task.sentences[number]
        return self.task.response.text[start:end]

    def opening(self, numbers: Sequence[int], tail: str) -> list[Message]:
        """System and user message: the shared part, then `tail`."""
        own = self.own.get(numbers[0]) if len(numbers) == 1 else None
        # All calls with the same excerpts have the same beginning, which is made once.
        key = -1 if own is None else numbers[0]
        if key not in self._openings:
            self._openings[key] = self._begin(self.excerpts if own is None else own)
        prefix, before = self._openings[key]
        return [*before, Message(role="user", content=f"{prefix}\n\n{tail}")]

    def _begin(self, excerpts: Sequence[Excerpt]) -> tuple[str, list[Message]]:
        """The beginning of the user message, and the messages before it."""
        prefix = fill(
            self.prompts.prefix,
            {
                "documents": self._documents(excerpts),
                "question": wrap("question", self.task.response.prompt[-1].content),
                "response": wrap("response", self.task.response.text),
            },
        )
        system = fill(self.prompts.system, {"guidance": self.guidance})
        return prefix, [Message(role="system", content=system)] if system.strip() else []

    def _documents(self, excerpts: Sequence[Excerpt]) -> str:
        parts = []
        for excerpt in excerpts:
            document = self.task.documents[excerpt.document]
            text = _GAP.join(document.text[start:end] for start, end in excerpt.spans)
            title = document.title.strip()[:MAX_TITLE_CHARS]
            body = f"{title}\n\n{text}" if title else text
            parts.append(wrap("document", body, excerpt.document + 1))
        return "\n".join(parts)
