"""Annotations back into the format of human labels, one labelled response per line.

The rule: a program's verdict is never exported as a person's. A response with one is refused, and
so is what the format cannot represent: the two kinds of hallucination (unless `lossy`), a prompt of
several messages, an error span that only one of the sentences it touches has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from formats.human_labels import LABELS, NO_QUESTION_PROMPT
from formats.human_spans import collect, span_values, why_spread
from schemas.labels import Label
from schemas.records import Annotation, Verdict

WORDS: dict[Label, str | None] = {
    **{label: word for word, label in LABELS.items()},
    Label.UNDETERMINED: None,
}
LOSSY_WORDS: dict[Label, str | None] = {
    **WORDS,
    Label.CONTRADICTORY: "hallucinated",
    Label.UNVERIFIABLE: "hallucinated",
}


def human_row(
    annotation: Annotation, documents: Mapping[str, str], *, lossy: bool = False
) -> dict[str, Any]:
    """The row of one response; ValueError where the format cannot represent it.

    documents   texts by document id; the known ones of the response are included
    lossy       write `hallucinated` for its kinds, and error spans that another sentence gets too
    """
    if len(annotation.prompt) != 1 or annotation.prompt[0].role != "user":
        raise ValueError("its prompt is not one user's message, and the format holds one question")
    question = annotation.prompt[0].content
    verdicts = [sentence.verdict for sentence in annotation.sentences]
    names = sorted({verdict.judge for verdict in verdicts if verdict.judge})
    labels = [_word(verdict, index, lossy=lossy) for index, verdict in enumerate(verdicts)]
    spans = _spans(annotation, lossy=lossy)
    return {
        "id": annotation.id,
        "source": " | ".join(names) or "not named",
        "language": annotation.language,
        "group": annotation.topic or annotation.question_id,
        "question": "" if question == NO_QUESTION_PROMPT else question,
        "documents": [
            {"id": name, "text": documents[name]}
            for name in dict.fromkeys(annotation.document_ids)
            if name in documents
        ],
        "response": annotation.text,
        "generator": annotation.model,
        "sentences": [
            {"start": sentence.start, "end": sentence.end, "label": label}
            for sentence, label in zip(annotation.sentences, labels, strict=True)
        ],
        **({"spans": spans} if spans else {}),
    }


def _spans(annotation: Annotation, *, lossy: bool) -> list[dict[str, Any]]:
    """The error spans as one list, which an import distributes as they were (unless `lossy`)."""
    spans = collect(annotation.sentences)
    spread = "" if lossy else why_spread(annotation, spans)
    if spread:
        raise ValueError(
            f"{spread}, and the format gives an error span to every sentence that it touches; "
            "--lossy writes it nevertheless"
        )
    return span_values(spans)


def _word(verdict: Verdict, index: int, *, lossy: bool) -> str | None:
    if verdict.label is Label.UNDETERMINED and not verdict.error_spans:
        return None
    if verdict.source != "person":
        raise ValueError(
            f"sentence {index} was judged by a program ({verdict.judge or 'not named'}), and the "
            "format holds people's labels"
        )
    words = LOSSY_WORDS if lossy else WORDS
    if verdict.label not in words:
        raise ValueError(
            f"sentence {index} is '{verdict.label}', for which the format has no word; "
            "--lossy writes 'hallucinated'"
        )
    return words[verdict.label]
