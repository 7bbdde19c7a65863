"""The wrong words that a judge gives for a sentence, as error spans.

The rule: a span holds words that the judge gave and that the sentence contains, in offsets of the
response's text. Nothing is guessed and nothing is lost: words that the sentence does not contain
give no span and are kept in `missing_error_words`, with the reason. Words never change a label. A
hallucinated sentence without a span is wrong as a whole.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from annotator.judging.evidence.quotes import QuoteFinder
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.text.quote_places import Stretch
from schemas.error_spans import join_places
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import ErrorSpan, MissingWords, Verdict

# Raise it where the same replies lead to other spans: it is part of a judge's fingerprint.
WRONG_WORDS_VERSION = 1
# The form has five. A list with more than this is a loop, or the whole text word by word.
_MAX_GIVEN = 20
_MAX_KEPT_CHARS = 500
# In place of words that a reply was cut off in (annotator/judging/protocols/cut_words.py).
CUT_OFF = {"cut_off": True}
# Wrong words that are marked, with the words around them.
_MARKED = re.compile(r"([^\[\]［］【】]*)[\[［【]([^\[\]［］【】]+)[\]］】]([^\[\]［］【】]*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class WrongWords:
    """Error spans, sorted, and the words that gave none."""

    spans: list[ErrorSpan]
    missing: list[MissingWords]


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenWords:
    """Wrong words as a judge wrote them.

    raw        all that it wrote
    words      what is marked in it, between square brackets; without a mark, all of it
    context    all of it without the brackets; '' without a mark
    marked_at  where the marked words begin in the context
    """

    raw: str
    words: str
    context: str = ""
    marked_at: int = 0


def find_wrong_words(value: Any, label: Label, inputs: ProtocolInput, number: int) -> WrongWords:
    """The wrong words of sentence `number` in a verdict's field `wrong`.

    Nothing where the prompts do not ask for them.
    """
    if not inputs.prompts.asks_spans:
        return WrongWords(spans=[], missing=[])
    given, missing = read_given(value)
    if label not in HALLUCINATED_LABELS:
        ignored = [MissingWords(words=item.raw, reason="not_hallucinated") for item in given]
        return WrongWords(spans=[], missing=_clip([*ignored, *missing]))
    if not given and not missing:
        missing = [MissingWords(words="", reason="none_given")]
    if len(given) > _MAX_GIVEN:
        words = "; ".join(item.raw for item in given)
        missing, given = [*missing, MissingWords(words=words, reason="too_many")], []
    places: set[tuple[int, int]] = set()
    for item in given:
        found = locate(item, inputs, number)
        if isinstance(found, MissingWords):
            missing.append(found)
        else:
            places.update((place.start, place.end) for place in found)
    first, _ = inputs.task.sentences[number]
    spans = [ErrorSpan(start=first + start, end=first + end) for start, end in sorted(places)]
    return WrongWords(spans=spans, missing=_clip(missing))


def read_given(value: Any) -> tuple[list[GivenWords], list[MissingWords]]:
    """What a judge gave, each once, and what cannot be read as words.

    The form is a list of strings; one string without a list is read, too.

    >>> read_given(["in 1902", "born in [Rome]"])[0][1]
    GivenWords(raw='born in [Rome]', words='Rome', context='born in Rome', marked_at=8)
    """
    items = value if isinstance(value, list) else [] if value is None else [value]
    given: dict[str, GivenWords] = {}
    missing: dict[str, MissingWords] = {}
    for item in items:
        if item == CUT_OFF:
            missing["cut_off"] = MissingWords(words="", reason="cut_off")
        elif not isinstance(item, str):
            shown = json.dumps(item, ensure_ascii=False)
            missing[shown] = MissingWords(words=shown, reason="unreadable")
        elif raw := item.strip():
            given[raw] = _read_marked(raw)
    return list(given.values()), list(missing.values())


def _read_marked(raw: str) -> GivenWords:
    marked = _MARKED.fullmatch(raw)
    if marked is None:
        return GivenWords(raw=raw, words=raw)
    before, words, after = marked.groups()
    context = before + words + after
    return GivenWords(raw=raw, words=words.strip(), context=context, marked_at=len(before))


def locate(
    given: GivenWords, inputs: ProtocolInput, number: int
) -> Sequence[Stretch] | MissingWords:
    """The places of words in the sentence, or why there is none.

    Words that occur more than once: the marked ones, where the sentence contains the words around
    them, too; else all of them. Words around them from another sentence mean that one.
    """
    finder, sentence = inputs.finder, inputs.sentence(number)
    response = inputs.task.response.text
    if not any(map(str.isalnum, given.words)):
        return MissingWords(words=given.raw, reason="no_word")
    if places := finder.find_words(given.raw, sentence):
        return places
    places = finder.find_words(given.words, sentence)
    if places and (marked := _find_marked(given, places, sentence, finder)):
        return marked
    if places and not _is_elsewhere(given.context, sentence, response, finder):
        return places
    if finder.find_words(given.words, response):
        elsewhere = MissingWords(words=given.raw, reason="in_response")
    elif any(finder.find_words(given.words, text) for text in inputs.texts):
        elsewhere = MissingWords(words=given.raw, reason="in_document")
    else:
        elsewhere = MissingWords(words=given.raw, reason="nowhere")
    return elsewhere


def _find_marked(
    given: GivenWords, places: Sequence[Stretch], sentence: str, finder: QuoteFinder
) -> list[Stretch]:
    """Those of `places` that are marked in the context: [] where the sentence does not have it."""
    in_context = finder.find_words(given.words, given.context)
    rank = sum(one.end <= given.marked_at for one in in_context)
    found: list[Stretch] = []
    for around in finder.find_words(given.context, sentence):
        inside = [one for one in places if around.start <= one.start and one.end <= around.end]
        found += inside[rank : rank + 1] if len(inside) == len(in_context) else inside
    return found


def _is_elsewhere(context: str, sentence: str, response: str, finder: QuoteFinder) -> bool:
    """Whether a context is in another part of the response; not one with the whole sentence."""
    if finder.find_words(context, sentence) or finder.find_words(sentence, context):
        return False
    return bool(finder.find_words(context, response))


def combine_words(votes: Sequence[Verdict]) -> WrongWords:
    """The error spans of votes with one label: what more than half of them mark.

    A vote without a span marks the whole sentence. Where no words are marked by more than half of
    the votes, the whole sentence is wrong (`no_majority`). What gave no span in any vote is kept.
    """
    kept = [item for vote in votes for item in vote.missing_error_words]
    missing = list({(item.words, item.reason): item for item in kept}.values())
    marked = [join_places((s.start, s.end) for s in vote.error_spans) for vote in votes]
    num_whole = sum(not places for places in marked)
    if 2 * num_whole > len(votes):
        return WrongWords(spans=[], missing=missing)
    changes = Counter(start for places in marked for start, _ in places)
    changes.subtract(end for places in marked for _, end in places)
    spans: list[ErrorSpan] = []
    count, start = num_whole, -1
    for place, change in sorted(changes.items()):
        count += change
        is_marked = 2 * count > len(votes)
        if is_marked and start < 0:
            start = place
        elif not is_marked and start >= 0:
            spans.append(ErrorSpan(start=start, end=place))
            start = -1
    if not spans:
        missing.insert(0, MissingWords(words="", reason="no_majority"))
    return WrongWords(spans=spans, missing=missing)


def _clip(missing: Sequence[MissingWords]) -> list[MissingWords]:
    """Not more than the beginning of long words: the reply is in the store as a whole."""
    return [
        item.model_copy(update={"words": item.words[: _MAX_KEPT_CHARS - 1] + "…"})
        if len(item.words) > _MAX_KEPT_CHARS
        else item
        for item in missing
    ]
