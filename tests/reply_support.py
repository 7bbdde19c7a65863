"""Judge dialogues followed by hand: a small task made ready for prompts, and scripted replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from annotator.generation.backend import Reply
from annotator.generation.dialogue import Ask, Dialogue, Unusable
from annotator.judging.judge import JudgeTask
from annotator.judging.material import Excerpt, Material
from annotator.judging.prompts import Prompts, load_prompts
from annotator.judging.quotes import QuoteFinder
from schemas.records import Document, Message, Response, Verdict


def make_material(
    sentences: Sequence[str],
    documents: Sequence[str],
    *,
    language: str = "en",
    guidance: str = "",
    prompts: Prompts | None = None,
    titles: Sequence[str] = (),
) -> Material:
    """One response of `sentences` with its documents, all of them shown."""
    text = " ".join(sentences)
    offsets, start = [], 0
    for sentence in sentences:
        start = text.index(sentence, start)
        offsets.append((start, start + len(sentence)))
        start += len(sentence)
    response = Response(
        id="r",
        question_id="q",
        language=language,
        prompt=[Message(role="user", content="Who is Ada?")],
        text=text,
    )
    shown = [
        Document(id=f"d{n}", text=body, title=titles[n] if n < len(titles) else "")
        for n, body in enumerate(documents)
    ]
    return Material(
        task=JudgeTask(response=response, sentences=offsets, documents=shown),
        prompts=prompts or load_prompts(language),
        excerpts=[Excerpt(document=n, spans=[(0, len(d.text))]) for n, d in enumerate(shown)],
        own={},
        finder=QuoteFinder(),
        guidance=guidance,
    )


def follow(
    dialogue: Dialogue[list[Verdict]], replies: Sequence[str | Reply | Callable[[Ask], Any]]
) -> tuple[list[Verdict], list[Ask]]:
    """The verdicts that `replies` lead to, in order, and what was asked for them.

    The last reply is given again for as long as the dialogue asks.
    """
    asked = [next(dialogue)]
    while True:
        reply = replies[min(len(asked), len(replies)) - 1]
        given = reply(asked[-1]) if callable(reply) else reply
        if isinstance(given, str):
            given = Reply(text=given, finish_reason="stop")
        try:
            asked.append(dialogue.send(given))
        except StopIteration as end:
            result = end.value.result if isinstance(end.value, Unusable) else end.value
            return result, asked
