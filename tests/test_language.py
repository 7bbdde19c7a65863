"""Language detection: scripts, short texts, texts of two languages, nothing to go on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.text.language import detect_language, resolve_language

CASES = {
    "en": [
        *("Yes.", "Hello", "Paris", "The U.S.", "1. Paris 2. London", "Albert Einstein", "TRUE"),
        "Marie Curie was born in Warsaw.",
        "The Chinese name is 北京大学 and it is located in Beijing.",
        "The word 猫 means cat.",
        "Tokyo (東京) is the capital of Japan, written トウキョウ in kana.",
        "def main(): return 1",
    ],
    "zh": [
        *("对", "你好", "北京", "是的。", "我喜歡食飯", "臺灣是個島。", "2023年，GDP增长5.2%。"),
        "Python 是一种编程语言",
        "爱因斯坦（Albert Einstein）于1879年出生",
        "GPT-4 是 OpenAI 发布的 large language model。",
        "他喜欢の这个字，写了很多遍，觉得它非常有意思。",
    ],
    "ja": ["東京は日本の首都です。", "カメラ"],
    "ko": ["서울은 한국의 수도입니다."],
    "de": ["Der Hund ist groß.", "Die Hauptstadt ist Berlin."],
    "fr": ["Le chat dort sur le canapé.", "La réponse est oui."],
    "ru": ["Привет мир", "Москва - столица России."],
    "ar": ["العربية لغة جميلة"],
    "hi": ["नमस्ते दुनिया"],
    "": ["", "  \n", "123 456", "!!! ... 。", "😀", "3.14 = ?"],
}


@pytest.mark.parametrize(
    ("expected", "text"), [(code, text) for code, texts in CASES.items() for text in texts]
)
def test_detect_language(expected: str, text: str) -> None:
    assert detect_language(text) == expected


def test_config_wins_unless_it_is_auto() -> None:
    assert resolve_language("en", "北京是中国的首都。") == "en"
    assert resolve_language("auto", "北京是中国的首都。") == "zh"


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=60))
def test_any_text_has_a_code_or_none_and_always_the_same(text: str) -> None:
    code = detect_language(text)
    assert code == detect_language(text)
    assert bool(code) == any(character.isalpha() for character in text)
    assert code == "" or (code.isascii() and code.islower() and 2 <= len(code) <= 3)


def test_a_long_text_is_known_by_its_beginning() -> None:
    assert detect_language("Paris is the capital of France. " * 60_000) == "en"
    assert detect_language("北京是中国的首都。" * 200_000) == "zh"
