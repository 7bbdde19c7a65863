"""Summary of the verdicts of a run: labels, reasons, and signs of a useless judge.

The rule: verdicts are counted and never changed. Two signs are reported, because such a run
otherwise looks like a good one: a judge that gives only one label, and sentences that occur word
for word in their document and are labelled as wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.error_spans import join_places, trim_words
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import Document, Verdict

MIN_DECIDED = 10  # with fewer, equal labels are possible
# Most sentences of a good policy are supported; nine in ten unverifiable is not plausible.
ONE_LABEL_SHARE = 0.9
ONE_LABEL_SHARE_SUPPORTED = 0.98
_MIN_CHARS = 20  # shorter sentences occur in a document by chance
_MIN_WIDE_CHARS = 8
_SHOWN_CHARS = 100
_CACHED_CHARS = 20_000_000
_FOUND, _WHOLE, _IGNORED = "found", "whole_sentence", "ignored"
# Why a hallucinated sentence has no error span (`schemas.records.MissingWords`).
_WHY_WHOLE = {
    "none_given": "no words given",
    "in_document": "words of a document",
    "in_response": "words of another sentence",
    "nowhere": "changed words",
    "no_word": "marks only",
    "unreadable": "no text",
    "cut_off": "words cut off",
    "too_many": "too many words",
    "no_majority": "no majority",
}


@dataclass(kw_only=True)
class VerdictTally:
    """Counts the verdicts of one judge.

    labels        sentences by label
    reasons       undetermined sentences by reason
    num_verbatim  sentences labelled as wrong that occur word for word in one of their documents
    example       one of those sentences
    words         hallucinated sentences whose wrong words a judge was asked for: `found`,
                  `whole_sentence` where these are all its words, else the reason of the first
                  words that are missing; and `ignored`, sentences labelled otherwise for which it
                  gave words all the same
    """

    labels: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    num_verbatim: int = 0
    example: str = ""
    words: Counter[str] = field(default_factory=Counter)
    _plain: dict[str, str] = field(default_factory=dict)
    _plain_chars: int = 0

    def add(
        self, sentences: Sequence[str], verdicts: Sequence[Verdict], documents: Sequence[Document]
    ) -> None:
        """Count the verdicts of one response; `sentences` are their texts, in the same order."""
        for sentence, verdict in zip(sentences, verdicts, strict=True):
            self.labels[verdict.label.value] += 1
            if verdict.source == "judge":
                self.words.update(_outcome_of_words(sentence, verdict))
            if verdict.label is Label.UNDETERMINED:
                self.reasons[verdict.reason or "unknown"] += 1
            elif verdict.label in HALLUCINATED_LABELS and self._occurs(sentence, documents):
                self.num_verbatim += 1
                self.example = self.example or " ".join(sentence.split())[:_SHOWN_CHARS]

    @property
    def num_sentences(self) -> int:
        """All sentences."""
        return self.labels.total()

    @property
    def num_decided(self) -> int:
        """Sentences that are not undetermined."""
        return self.num_sentences - self.labels[Label.UNDETERMINED.value]

    def share_undetermined(self, *, but: frozenset[str] = frozenset()) -> float:
        """Share of undetermined sentences, without those with a reason in `but`; 0 for none."""
        count = sum(self.reasons[reason] for reason in self.reasons.keys() - but)
        total = self.num_sentences - sum(self.reasons[reason] for reason in but)
        return count / total if total else 0.0

    def describe_undetermined(self) -> str:
        """`5 of 12 sentences are undetermined (no_document 3, cut_off 2)`; "" where none is."""
        count = self.labels[Label.UNDETERMINED.value]
        if not count:
            return ""
        named = ", ".join(f"{reason} {number:,}" for reason, number in self.reasons.most_common())
        return f"{count:,} of {self.num_sentences:,} sentences are undetermined ({named})"

    @property
    def num_asked_for_words(self) -> int:
        """Hallucinated sentences whose wrong words a judge was asked for."""
        return self.words.total() - self.words[_IGNORED]

    def describe_words(self) -> str:
        """`wrong words were found in 7 of 9 hallucinated sentences`, and why not in the rest.

        "" where no judge was asked for words.
        """
        if not self.words:
            return ""
        total = self.num_asked_for_words
        found = self.words[_FOUND] + self.words[_WHOLE]
        text = f"wrong words were found in {found:,} of {total:,} hallucinated sentences"
        if whole := self.words[_WHOLE]:
            text += f", in {whole:,} of them all words of the sentence"
        rest = [(name, n) for name, n in self.words.most_common() if name in _WHY_WHOLE]
        if rest:
            named = ", ".join(f"{_WHY_WHOLE[name]} {n:,}" for name, n in rest)
            text += f"; {total - found:,} are marked as a whole ({named})"
        if ignored := self.words[_IGNORED]:
            text += f"; words of sentences with other labels are not used ({ignored:,})"
        return text

    def warnings(self, judge: str) -> list[str]:
        """The signs of a useless judge, one sentence each."""
        found = []
        label, count = self._most_common_label()
        is_supported = label == Label.NO_HALLUCINATION.value
        share = ONE_LABEL_SHARE_SUPPORTED if is_supported else ONE_LABEL_SHARE
        if self.num_decided >= MIN_DECIDED and count >= share * self.num_decided:
            found.append(
                f"{judge} gives only one label, or nearly: {count:,} of {self.num_decided:,} "
                f"decided sentences are {label}; measure it with maskdpo agreement before use"
            )
        if self.num_verbatim:
            found.append(
                "sentences that occur word for word in a document and are labelled as wrong by "
                f"{judge}: {self.num_verbatim:,}, for example {self.example!r}; look at them "
                "before you use the labels"
            )
        return found

    def _most_common_label(self) -> tuple[str, int]:
        decided = Counter(self.labels)
        del decided[Label.UNDETERMINED.value]
        return decided.most_common(1)[0] if decided else ("", 0)

    def _occurs(self, sentence: str, documents: Sequence[Document]) -> bool:
        """Whether a document contains the sentence, apart from case and white space."""
        wanted = _plain_form(sentence).rstrip(".。")
        if len(wanted) < (_MIN_CHARS if sentence.isascii() else _MIN_WIDE_CHARS):
            return False
        return any(wanted in self._plain_of(document.text) for document in documents)

    def _plain_of(self, text: str) -> str:
        if text not in self._plain:
            if self._plain_chars > _CACHED_CHARS:
                self._plain, self._plain_chars = {}, 0
            self._plain[text] = _plain_form(text)
            self._plain_chars += len(text)
        return self._plain[text]


def _outcome_of_words(sentence: str, verdict: Verdict) -> list[str]:
    """What became of the wrong words of a verdict, by one name; [] where they were not asked for.

    Other verdicts than hallucinated ones count only where words were given.
    """
    if verdict.label not in HALLUCINATED_LABELS:
        return [_IGNORED] if verdict.missing_error_words else []
    if verdict.error_spans:
        places = join_places((span.start, span.end) for span in verdict.error_spans)
        start, end = trim_words(sentence, 0, len(sentence)) or (0, 0)
        is_whole = sum(last - first for first, last in places) >= end - start
        return [_WHOLE if is_whole else _FOUND]
    return [item.reason for item in verdict.missing_error_words[:1]]


def _plain_form(text: str) -> str:
    return " ".join(text.casefold().split())
