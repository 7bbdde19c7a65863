"""Where a thinking model's thoughts end and its answer begins, for a server that returns both in
one text.

The rule: the answer is what follows the thoughts. Thoughts without an end contain no answer,
whatever they mention.
"""

from __future__ import annotations

import re

THINKING_HINT = (
    "raise annotate.llm.max_tokens, or set annotate.llm.chat_template_kwargs to "
    "{enable_thinking: false} where the model knows it"
)

# <think> (Qwen, DeepSeek, GLM), <thinking>, <thought>, <seed:think>, [THINK] (Mistral),
# ◁think▷ (Kimi).
_NAMES = r"(?:<\s*{0}(?:seed:)?(?:think|thinking|thought|thoughts)\s*>|\[{0}THINK\]|◁{0}think▷)"
_OPEN = re.compile(_NAMES.format(""), re.I)
_CLOSE = re.compile(_NAMES.format("/"), re.I)
# gpt-oss: channels, whose markers a server may have dropped as special tokens.
_CHANNEL = "<|channel|>"
_FINAL = re.compile(r"<\|channel\|>\s*final\s*(?:<\|constrain\|>\s*\w+\s*)?<\|message\|>")
_BARE_FINAL = re.compile(r"\Aanalysis.*assistantfinal", re.S)
_END_MARKERS = re.compile(r"(?:\s*<\|(?:return|end|call)\|>)+\s*\Z")


def find_answer(text: str) -> str | None:
    """A reply without the thoughts before it; None where its thoughts never end."""
    if _CHANNEL in text:
        finals = list(_FINAL.finditer(text))
        return _END_MARKERS.sub("", text[finals[-1].end() :]) if finals else None
    if bare := _BARE_FINAL.match(text):
        return text[bare.end() :]
    closed = [match.end() for match in _CLOSE.finditer(text)]
    answer = text[closed[-1] :] if closed else text
    # Outside the answer's own object: a quote may contain such a tag.
    after_object = answer[answer.rfind("}") + 1 :]
    if _OPEN.match(answer.lstrip()) or _OPEN.search(after_object):
        return None
    return answer
