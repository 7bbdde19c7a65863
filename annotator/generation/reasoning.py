"""Setting a thinking model's private text apart from its answer.

Servers with a reasoning parser do it themselves. A local model writes both into one text, and
only the `<think>` form is told apart here, only where the chat template knows it: a guess at
other forms could cut an answer.
"""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


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
