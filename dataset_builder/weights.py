"""The only place where a verdict becomes a weight; the trainer reads only the weight.

The rule: a sentence keeps its label whatever its weight is, and every sentence gets a span; weight
0 means masked. People's reviews have already become verdicts (`reviews.apply`).
"""

from __future__ import annotations

from collections.abc import Iterable

from dataset_builder.config import BuildConfig, Weighting
from schemas.labels import Side
from schemas.records import Annotation, Sentence, Span, Verdict


def make_spans(sentences: Iterable[Sentence], side: Side, config: BuildConfig) -> list[Span]:
    """One span per sentence, in order, with its weight (0 to 1) on this side of a pair."""
    return [
        Span(
            start=sentence.start,
            end=sentence.end,
            label=sentence.verdict.label,
            weight=weigh(sentence.verdict, side, config),
        )
        for sentence in sentences
    ]


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
