"""A response in a few words: how much of it is correct, and whether it is whole."""

from __future__ import annotations

from schemas.records import Annotation, Response
from schemas.scores import score_labels

CUT_NOTE = "cut off at the token limit"


def summarise(annotation: Annotation) -> str:
    """`2 of 3 correct`: of the sentences decided to be correct or hallucinated."""
    if not annotation.text.strip():
        return "empty"
    score = score_labels(item.verdict.label for item in annotation.sentences)
    facts = score.num_correct + score.num_hallucinated
    return f"{score.num_correct} of {facts} correct" if facts else "no facts"


def note_on(response: Response) -> str:
    """What a reader must know of the text as a whole; '' where there is nothing."""
    if not response.text.strip():
        return "an empty response"
    return CUT_NOTE if response.finish_reason == "length" else ""
