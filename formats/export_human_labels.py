"""Annotations back into the format of human labels, one labelled response per line.

The rule: a program's verdict is never exported as a person's. A response with one is refused, and
so is what the format cannot represent: the two kinds of hallucination (unless `lossy`), a prompt of
several messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from formats.human_labels import LABELS, NO_QUESTION_PROMPT
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
    lossy       write `hallucinated` for its kinds
    """
    if len(annotation.prompt) != 1 or annotation.prompt[0].role != "user":
        raise ValueError("its prompt is not one user's message, and the format holds one question")
    question = annotation.prompt[0].content
    verdicts = [sentence.verdict for sentence in annotation.sentences]
    names = sorted({verdict.judge for verdict in verdicts if verdict.judge})
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
            {
                "start": sentence.start,
                "end": sentence.end,
                "label": _word(sentence.verdict, index, lossy=lossy),
            }
            for index, sentence in enumerate(annotation.sentences)
        ],
    }


def _word(verdict: Verdict, index: int, *, lossy: bool) -> str | None:
    if verdict.label is Label.UNDETERMINED:
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
