"""Separates a thinking model's private text from its answer.

Servers with a reasoning parser do it themselves. Local models and other servers return both in one
text. The rule: only the `<think>` form is split, and for a local model only where its chat template
uses it; a guess about other forms could cut an answer.
"""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


def split_tags(text: str) -> tuple[str, str]:
    """(reasoning, answer) of a server's `text`, whose chat template is not known here.

    Reasoning begins with an opening tag at the very start of the text, or, where the template wrote
    that tag, ends at the first closing one. Opened and never closed (cut off by max_tokens), all of
    it is reasoning.

    >>> split_tags("2+2 is 4, so</think>4")
    ('2+2 is 4, so', '4')
    >>> split_tags("Close it with </think>, after <think>.")
    ('', 'Close it with </think>, after <think>.')
    """
    opened = text.lstrip().startswith(OPEN)
    body = text.lstrip().removeprefix(OPEN) if opened else text
    reasoning, closed, answer = body.partition(CLOSE)
    if not opened and (not closed or OPEN in answer or CLOSE in answer):
        return "", text
    return reasoning.strip(), answer.lstrip()


def split_reasoning(text: str, *, prompt: str, template: str) -> tuple[str, str]:
    """(reasoning, answer) of a generated `text`; ("", text) where no reasoning was opened.

    Reasoning is opened by the template at the very end of the prompt, or by the model at the
    very start of its text. Opened and never closed (cut off by max_tokens), all of it is
    reasoning and the answer is empty.

    >>> split_reasoning("<think>2+2</think>4", prompt="", template="... </think> ...")
    ('2+2', '4')
    """
    opened = text.lstrip().startswith(OPEN)
    if CLOSE not in template or not (opened or prompt.rstrip().endswith(OPEN)):
        return "", text
    body = text.lstrip().removeprefix(OPEN) if opened else text
    reasoning, _, answer = body.partition(CLOSE)
    return reasoning.strip(), answer.lstrip()
