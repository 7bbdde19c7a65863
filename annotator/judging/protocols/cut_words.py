"""Replies that end inside their list of wrong words: with `ask_spans`, the last field of a verdict.

The rule: everything but the words was said, so the reply counts without those that are cut off. It
is not asked again: words never cost a call. A window counts only where all its verdicts were said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

from annotator.judging.evidence.wrong_words import CUT_OFF
from annotator.judging.protocols.prompts import Prompts
from annotator.models.backend import Reply

# A label, and the list behind it; the group is what was said of the list.
_LIST = re.compile(r'"label"\s*:\s*"[^"\\]*"\s*,\s*"wrong"\s*:\s*(?P<words>\[.*)\Z', re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LABEL = re.compile(r'"label"\s*:\s*"')


def mend_words(
    prompts: Prompts, *, num_verdicts: int, closing: str
) -> Callable[[Reply], Reply | None]:
    """What `ask_with_room` does with a reply that is cut off: nothing where no words are asked
    for."""

    def mend(reply: Reply) -> Reply | None:
        if not prompts.asks_spans:
            return None
        return end_behind_label(reply, num_verdicts=num_verdicts, closing=closing)

    return mend


def end_behind_label(reply: Reply, *, num_verdicts: int, closing: str) -> Reply | None:
    """The reply with its list of words closed; None where it does not end inside that list.

    It must hold `num_verdicts` labels. `closing` closes what is open around the list.
    """
    if reply.finish_reason != "length" or len(_LABEL.findall(reply.text)) != num_verdicts:
        return None
    start = reply.text.rfind('"label"')
    found = _LIST.search(reply.text, max(start, 0))
    if found is None or "]" in _STRING.sub("", found["words"]).partition('"')[0]:
        return None
    words = [json.loads(text, strict=False) for text in _complete(found["words"])]
    value = json.dumps([*words, CUT_OFF], ensure_ascii=False)
    text = reply.text[: found.start("words")] + value + closing
    return replace(reply, text=text, finish_reason="stop")


def _complete(words: str) -> list[str]:
    """The strings of a list that are complete and readable."""
    found = []
    for match in _STRING.finditer(words):
        try:
            json.loads(match[0], strict=False)
        except ValueError:
            continue
        found.append(match[0])
    return found
