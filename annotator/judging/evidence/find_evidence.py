"""The quotes of one verdict: where documents contain them, which are missing, which are weak.

The rule: no quote is lost. Each is located, or it is in `missing`; a quote from a document's title
counts as found but has no offsets. A quote that occurs in several places is located where the
document's words are most like the sentence; if no place is best, in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from annotator.judging.evidence.quote_content import SHARED_UNITS, is_weak, read_content
from annotator.judging.evidence.quotes import Place
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.text.function_words import is_function_word
from annotator.text.quote_text import read_quote_text
from schemas.records import Evidence

_STOPS = frozenset(".!?。！？\n")
_MAX_GAP = 40  # characters of white space around a sentence
_MAX_MARKS_SHARE = 4  # a longer text contains more than the quote


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundEvidence:
    """The result of locating the quotes of a verdict.

    evidence     places of the located quotes, offsets into the untouched documents
    missing      quotes that are in neither the text nor the title of a document
    in_response  those of `missing` that are in the response
    is_weak      the located quotes have too little content for this sentence; False where
                 nothing was located
    """

    evidence: list[Evidence]
    missing: list[str]
    in_response: list[str]
    is_weak: bool


def find_evidence(quotes: Sequence[str], inputs: ProtocolInput, number: int) -> FoundEvidence:
    """Locate the quotes given for sentence `number` in the documents of `inputs`."""
    if not quotes:
        return FoundEvidence(evidence=[], missing=[], in_response=[], is_weak=False)
    finder, documents = inputs.finder, inputs.task.documents
    titles = [document.title for document in documents if document.title.strip()]
    language = inputs.language
    sentence = inputs.sentence(number)
    words = _content_words(sentence, language)
    places: dict[Place, None] = {}
    quoted: list[str] = []
    missing: list[str] = []
    for quote in dict.fromkeys(quotes):
        findings = finder.find_all(quote, inputs.texts)
        if findings:
            chosen = _choose(findings, inputs, words)
            places |= dict.fromkeys(place for finding in chosen for place in finding)
        elif in_titles := finder.locate(quote, titles):
            quoted += [titles[place.document][place.start : place.end] for place in in_titles]
        else:
            missing.append(quote)
    quoted += [inputs.texts[place.document][place.start : place.end] for place in places]
    response = [inputs.task.response.text]
    return FoundEvidence(
        evidence=[
            Evidence(
                document_id=documents[place.document].id,
                start=place.start,
                end=place.end,
                score=place.score,
            )
            for place in places
        ],
        missing=missing,
        in_response=[quote for quote in missing if finder.locate(quote, response)],
        is_weak=bool(quoted)
        and not any(_is_whole(part, [*inputs.texts, *titles]) for part in quoted)
        and not any(
            _is_telling_sentence(place, inputs.texts[place.document], language) for place in places
        )
        and is_weak(read_content(quoted, language), read_content([sentence], language)),
    )


def _choose(
    findings: list[tuple[Place, ...]], inputs: ProtocolInput, words: frozenset[str]
) -> list[tuple[Place, ...]]:
    """Those findings whose own sentence shares most words with the response's sentence."""
    if len(findings) == 1:
        return findings
    shared = [len(words & frozenset(_words_around(finding, inputs))) for finding in findings]
    most = max(shared)
    return [finding for finding, count in zip(findings, shared, strict=True) if count == most]


def _words_around(finding: tuple[Place, ...], inputs: ProtocolInput) -> Iterator[str]:
    for place in finding:
        yield from inputs.finder.words_around(inputs.texts[place.document], place)


def _content_words(text: str, language: str) -> frozenset[str]:
    tokens = read_quote_text(text).tokens()
    return frozenset(
        token for token in tokens if token[0].isalnum() and not is_function_word(token, language)
    )


def _is_whole(part: str, texts: Sequence[str]) -> bool:
    """Whether a quote is the whole text: then it cannot contain more."""
    said = "".join(filter(str.isalnum, part))
    return any(
        said == "".join(filter(str.isalnum, text))
        for text in texts
        if len(text) <= _MAX_MARKS_SHARE * len(part)
    )


def _is_telling_sentence(place: Place, text: str, language: str) -> bool:
    """Whether a quote is a whole sentence of a document, with two content words.

    A short sentence cannot contain more, and may contradict another one without a common word: "She
    works as a baker." and "She is a sailor."
    """
    before = text[max(0, place.start - _MAX_GAP) : place.start].rstrip(" \t")[-1:] or "\n"
    is_last = not text[place.end : place.end + _MAX_GAP].strip()
    after = "\n" if is_last else text[place.end - 1 : place.end + 1]
    is_sentence = before in _STOPS and not _STOPS.isdisjoint(after)
    said = read_content([text[place.start : place.end]], language)
    return is_sentence and bool(said.words) and said.units >= SHARED_UNITS
