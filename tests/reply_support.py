"""Judge dialogues followed by hand: a small task made ready for prompts, and scripted replies."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from annotator.calls.dialogue import Ask, Dialogue, Unusable
from annotator.judging.evidence.quotes import QuoteFinder
from annotator.judging.judge import JudgeTask
from annotator.judging.protocols.anah import anah_dialogue
from annotator.judging.protocols.load_prompts import load_prompts
from annotator.judging.protocols.prompts import Prompts
from annotator.judging.protocols.protocol_input import Excerpt, ProtocolInput
from annotator.judging.protocols.response import window_dialogue
from annotator.judging.protocols.sentence import sentence_dialogue
from annotator.judging.protocols.steps import ProtocolSettings
from annotator.models.backend import Reply
from schemas.labels import Label
from schemas.records import Document, Message, Response, Verdict


def make_inputs(
    sentences: Sequence[str],
    documents: Sequence[str],
    *,
    language: str = "en",
    guidance: str = "",
    prompts: Prompts | None = None,
    titles: Sequence[str] = (),
) -> ProtocolInput:
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
    return ProtocolInput(
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


LABELS = {
    "supported": Label.NO_HALLUCINATION,
    "contradicted": Label.CONTRADICTORY,
    "not_mentioned": Label.UNVERIFIABLE,
    "no_fact": Label.NO_FACT,
}
SENTENCES = ["Ada was born in Karsted in 1901.", "She kept three grey cats at home."]
DOCUMENT = "Ada Berg was born in Karsted in the year 1901. In her house lived three grey cats."
FOUND = "Ada Berg was born in Karsted in the year 1901."
FOUND_TOO = "In her house lived three grey cats."
INVENTED = "Ada Berg was born in Ostrand in the year 1902."
REQUIRE = ProtocolSettings(judge="j", max_tokens=100)
KEEP = ProtocolSettings(judge="j", max_tokens=100, evidence="keep")


def verdict(label, *quotes, reason="the year agrees"):
    return {"quotes": list(quotes), "reason": reason, "label": label}


def ask_sentence(replies, settings=REQUIRE, language="en", sentences=SENTENCES):
    inputs = make_inputs(sentences, [DOCUMENT], language=language)
    texts = [json.dumps(reply) if isinstance(reply, dict) else reply for reply in replies]
    (found,), asked = follow(sentence_dialogue(inputs, 0, settings), texts)
    return found, asked


def item(number, label, *quotes, begins=None, reason="the year agrees"):
    given_begins = SENTENCES[number - 1] if begins is None else begins
    return {"id": number, "begins": given_begins, **verdict(label, *quotes, reason=reason)}


def ask_window(replies, settings=REQUIRE):
    inputs = make_inputs(SENTENCES, [DOCUMENT])
    texts = [
        json.dumps({"verdicts": reply}) if isinstance(reply, list) else reply for reply in replies
    ]
    return follow(window_dialogue(inputs, [0, 1], settings), texts)


def ask_anah(replies, settings=REQUIRE, documents=(DOCUMENT,)):
    inputs = make_inputs(SENTENCES, documents)
    (found,), asked = follow(anah_dialogue(inputs, 0, settings), replies)
    return found, asked
