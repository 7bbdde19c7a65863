"""The only place where a verdict becomes a weight; the trainer reads only the weight.

The rule: a sentence keeps its label whatever its weight is, and every sentence gets a span, or
pieces that are the sentence when joined; weight 0 means masked. People's reviews have already
become verdicts (`reviews.apply`).

    granularity    a hallucinated sentence               spans of a pair
    sentence       trains as a whole                     one per sentence
    span           trains where its words are wrong      its pieces, where error spans were given
    response       trains as everything does             none: stock DPO
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dataset_builder.config import BuildConfig, Granularity, Weighting
from schemas.error_spans import given_places, wrong_words
from schemas.labels import HALLUCINATED_LABELS, Side
from schemas.records import Annotation, Part, Sentence, Span, Verdict
from schemas.spans import Offsets


class Weighed(NamedTuple):
    """A sentence or a piece of one with its weight; `number` is that of the sentence."""

    start: int
    end: int
    weight: float
    number: int
    part: Part | None


def make_spans(annotation: Annotation, side: Side, config: BuildConfig) -> list[Span] | None:
    """The spans of a response on this side of a pair, in order, with weights from 0 to 1.

    None with granularity `response`: the whole answer trains.
    """
    if config.granularity is Granularity.RESPONSE:
        return None
    return [
        Span(
            start=item.start,
            end=item.end,
            label=annotation.sentences[item.number].verdict.label,
            weight=item.weight,
            sentence=item.number if config.has_pieces else None,
            part=item.part,
        )
        for item in _weigh_all(annotation, side, config)
    ]


def _weigh_all(annotation: Annotation, side: Side, config: BuildConfig) -> Iterator[Weighed]:
    """What is a span, without making the record: selection only counts, for every response."""
    for number, sentence in enumerate(annotation.sentences):
        verdict = sentence.verdict
        if not config.has_pieces:
            weight = weigh(verdict, side, config)
            yield Weighed(sentence.start, sentence.end, weight, number, None)
            continue
        places = cut_sentence(annotation.text, sentence)
        has_words = any(part == "error" for _, _, part in places)
        for start, end, part in places:
            weight = _weigh_part(verdict, part, side, config, has_words=has_words)
            yield Weighed(start, end, weight, number, part)


def cut_sentence(text: str, sentence: Sentence) -> list[tuple[int, int, Part | None]]:
    """The sentence, or its pieces if error spans are in it: places that, joined, are the sentence.

    White space between the sentence's end and its wrong words belongs to the wrong words. Where
    only punctuation was marked, the whole sentence is context.
    """
    whole = (sentence.start, sentence.end)
    if not given_places(sentence):
        return [(*whole, None)]
    return list(_tile(text, *whole, wrong_words(text, sentence)))


def _tile(
    text: str, start: int, end: int, places: Sequence[Offsets]
) -> Iterator[tuple[int, int, Part]]:
    for index, (first, last) in enumerate(places):
        if text[start:first].strip():
            yield start, first, "context"
            start = first
        is_last = index == len(places) - 1
        stop = end if is_last and not text[last:end].strip() else last
        yield start, stop, "error"
        start = stop
    if start < end:
        yield start, end, "context"


def _weigh_part(
    verdict: Verdict, part: Part | None, side: Side, config: BuildConfig, *, has_words: bool
) -> float:
    """The weight of a sentence (`part` is None) or of a piece.

    The rejected side learns from the wrong words, and from the rest of the sentence as far as
    `context_weight` says; the chosen side never from wrong words, and from the rest of a
    hallucinated sentence as far as `chosen_context_weight` says. Without wrong words (`has_words`)
    there is no rest: where only punctuation was marked, nobody knows which words are wrong.
    """
    weight = weigh(verdict, side, config)
    if part is None:
        return weight
    if side is Side.REJECTED:
        rest = config.context_weight if has_words else 0.0
        return weight if part == "error" else weight * rest
    if part == "error":
        return 0.0
    is_wrong = verdict.label in HALLUCINATED_LABELS
    if is_wrong and has_words and is_sure(verdict, config.min_confidence):
        return max(weight, config.chosen_context_weight * _trust(verdict, config.weighting))
    return weight


def measure_active(annotation: Annotation, side: Side, config: BuildConfig) -> tuple[int, int]:
    """Number of active sentences of a response on this side, and of characters that train."""
    if config.granularity is Granularity.RESPONSE:
        places = [(item.start, item.end) for item in annotation.sentences]
        return len(places), sum(end - start for start, end in places)
    if not config.has_pieces:
        kept = config.label_policy.kept(side)  # few labels are: most weights need no computation
        whole = [
            item
            for item in annotation.sentences
            if item.verdict.label in kept and weigh(item.verdict, side, config) > 0.0
        ]
        return len(whole), sum(item.end - item.start for item in whole)
    active = [item for item in _weigh_all(annotation, side, config) if item.weight > 0.0]
    num_sentences = len({item.number for item in active})
    return num_sentences, sum(item.end - item.start for item in active)


def lacks_wrong_words(annotation: Annotation, config: BuildConfig) -> bool:
    """Whether sentences of the response would train on the rejected side, but error spans leave
    nothing of any of them: only punctuation or white space was marked."""
    if config.granularity is not Granularity.SPAN:
        return False
    faulty = any(weigh(item.verdict, Side.REJECTED, config) for item in annotation.sentences)
    return faulty and not measure_active(annotation, Side.REJECTED, config)[0]


def weigh(verdict: Verdict, side: Side, config: BuildConfig) -> float:
    """The weight of a sentence on one side, 0 (masked) to 1.

    It is the label policy's weight (by default as in arXiv 2503.02846: correct sentences of the
    chosen side and hallucinated ones of the rejected side train), times the judge's confidence if
    `config.weighting` is `confidence`; 0 if the confidence is below `config.min_confidence`.
    """
    if not is_sure(verdict, config.min_confidence):
        return 0.0
    return config.label_policy.weight(verdict.label, side) * _trust(verdict, config.weighting)


def is_sure(verdict: Verdict, min_confidence: float) -> bool:
    """Whether a verdict may train at all.

    A judge's verdict without a confidence passes only if `min_confidence` is 0: unknown does not
    mean certain. A person's verdict always passes.
    """
    if verdict.source == "person" or min_confidence == 0.0:
        return True
    return verdict.confidence is not None and verdict.confidence >= min_confidence


def find_unusable_confidence(row: Annotation, config: BuildConfig) -> str | None:
    """Why a row cannot be weighted by confidence; None when it can, or need not.

    The lexical judge's confidence only ranks sentences. It is not a probability, so not a weight.
    """
    if config.weighting is not Weighting.CONFIDENCE:
        return None
    for item in row.sentences:
        if item.verdict.source == "judge" and item.verdict.confidence_kind == "lexical":
            return (
                f"response {row.id!r}, sentence [{item.start}, {item.end}): its confidence is of "
                "kind 'lexical', which ranks sentences and is not a probability; weighting "
                "'confidence' takes the kinds 'votes' and 'logprob'. Build with "
                "--set build.weighting=binary, or annotate with a judge model"
            )
    return None


def _trust(verdict: Verdict, weighting: Weighting) -> float:
    if weighting is Weighting.BINARY or verdict.source == "person":
        return 1.0
    return verdict.confidence or 0.0
