"""The words for a label that people may write in a sheet: one table, in English and Chinese.

The rule: a word means one label or is refused. Words that could describe the judge as well as the
sentence (`true`, `false`, `right`, `yes`) are not in the table.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from schemas.labels import Label
from schemas.text.scripts import HAN, KANA

Language = Literal["en", "zh"]
_HAN, _KANA = re.compile(f"[{HAN}]"), re.compile(f"[{KANA}]")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelWords:
    """One label for people.

    zh        its name in the drop-down list of a Chinese sheet; an English one has the label's name
    words     other words that are read as this label
    means     one sentence per language
    """

    label: Label
    zh: str
    words: str
    en_means: str
    zh_means: str

    def name(self, language: Language) -> str:
        """The word in the drop-down list."""
        return self.zh if language == "zh" else self.label.value

    def meaning(self, language: Language) -> str:
        """What it means, in one sentence."""
        return self.zh_means if language == "zh" else self.en_means


LABEL_WORDS = (
    LabelWords(
        label=Label.NO_HALLUCINATION,
        zh="正确",
        words="correct, supported, factual, accurate, no hallucination, 正確, 对, 對, 属实, 无误, "
        "无幻觉, 有依据",
        en_means="The documents say what the sentence says.",
        zh_means="资料支持这句话。",
    ),
    LabelWords(
        label=Label.CONTRADICTORY,
        zh="矛盾",
        words="contradicted, contradicts, contradiction, 与资料矛盾, 相矛盾",
        en_means="The documents say something else than the sentence.",
        zh_means="资料的说法与这句话不同。",
    ),
    LabelWords(
        label=Label.UNVERIFIABLE,
        zh="无法验证",
        words="not verifiable, unverified, 無法驗證, 无法查证, 无法证实, 未提及",
        en_means="The sentence states a fact of which the documents say nothing.",
        zh_means="这句话陈述了事实，但资料没有提到。",
    ),
    LabelWords(
        label=Label.NO_FACT,
        zh="无事实",
        words="no facts, not a fact, 無事實, 没有事实, 无事实陈述",
        en_means="The sentence states nothing that could be looked up.",
        zh_means="这句话没有可以查证的事实。",
    ),
    LabelWords(
        label=Label.HALLUCINATED,
        zh="错误",
        words="wrong, incorrect, hallucination, 錯誤, 错, 錯, 不正确, 不正確, 有误, 幻觉, 有幻觉",
        en_means="The sentence is wrong or the documents do not say it; which one is left open.",
        zh_means="这句话有错误或没有依据，不区分是哪一种。",
    ),
    LabelWords(
        label=Label.UNDETERMINED,
        zh="无法判断",
        words="cannot tell, can not tell, can't tell, cannot say, do not know, don't know, unsure, "
        "not sure, 無法判斷, 不确定, 不確定, 不知道, 不清楚, 看不出",
        en_means="You cannot tell from the documents; the sentence is left out of training.",
        zh_means="根据资料无法判断；这句话不参与训练。",
    ),
)


def _plain(word: str) -> str:
    """A word without case, and with one space for white space, hyphens and underscores."""
    word = unicodedata.normalize("NFKC", word).casefold().replace("\u2019", "'")
    return re.sub(r"[\s_\-\u2010-\u2015]+", " ", word).strip()


_LABEL_OF = {
    _plain(word): item.label
    for item in LABEL_WORDS
    for word in (item.label.value, item.zh, *item.words.split(", "))
}


def read_label(word: str) -> Label | None:
    """The label that a word means; None for an unknown word.

    >>> read_label(" No-Hallucination "), read_label("错误")
    (<Label.NO_HALLUCINATION: 'no_hallucination'>, <Label.HALLUCINATED: 'hallucinated'>)
    """
    return _LABEL_OF.get(_plain(word)) or _LABEL_OF.get(_plain(word).lstrip("'"))


def allowed_words() -> str:
    """The names of all labels in both languages, for messages."""
    return ", ".join(f"{item.label.value} ({item.zh})" for item in LABEL_WORDS)


def is_chinese(code: str, text: str) -> bool:
    """Whether a text is Chinese: by its language code, else by its characters."""
    if code:
        return re.split(r"[-_]", code.lower())[0] in ("zh", "yue", "wuu")
    letters = "".join(character for character in text[:500] if character.isalpha())
    return not _KANA.search(letters) and len(_HAN.findall(letters)) * 2 > len(letters)
