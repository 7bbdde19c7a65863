"""Codes of languages as settings take them.

The rule: a setting is an ISO 639 code, with or without script and region, or it is refused with the
code that was probably meant: `english` would otherwise be a language without rules.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from schemas.errors import nearest
from schemas.validation import show_value

AUTO = "auto"
_TWO_LETTERS = frozenset(
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv "
    "cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr "
    "ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw "
    "ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv "
    "ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq "
    "sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh "
    "yi yo za zh zu".split()
)
# Names and three-letter codes of languages that have a two-letter code, which is what counts here.
_MEANT = {
    word: code
    for code, words in {
        "ar": "arabic ara",
        "bg": "bulgarian bul",
        "cs": "czech ces cze cz",
        "da": "danish dan dk",
        "de": "german deu ger deutsch",
        "el": "greek ell gre gr",
        "en": "english eng uk-english englisch anglais",
        "es": "spanish spa espanol español castellano",
        "et": "estonian est",
        "fa": "persian farsi fas per",
        "fi": "finnish fin suomi",
        "fr": "french fra fre francais français",
        "he": "hebrew heb iw",
        "hi": "hindi hin",
        "hr": "croatian hrv",
        "hu": "hungarian hun",
        "id": "indonesian ind",
        "it": "italian ita italiano",
        "ja": "japanese jpn jp 日本語",
        "ko": "korean kor kr-kr 한국어",
        "lt": "lithuanian lit",
        "lv": "latvian lav",
        "nl": "dutch nld dut nederlands",
        "no": "norwegian nor norsk",
        "pl": "polish pol polski",
        "pt": "portuguese por portugues português",
        "ro": "romanian ron rum",
        "ru": "russian rus русский",
        "sk": "slovak slk slo",
        "sl": "slovenian slovene slv",
        "sr": "serbian srp",
        "sv": "swedish swe svenska",
        "th": "thai tha",
        "tr": "turkish tur turkce türkçe",
        "uk": "ukrainian ukr ua",
        "vi": "vietnamese vie vn",
        "zh": "chinese mandarin zho chi cmn cn 中文 汉语 漢語",
    }.items()
    for word in words.split()
}
_CODE = re.compile(r"([a-z]{2,3})(?:[-_](?:[a-z]{4}|[a-z]{2}|[0-9]{3}|[a-z0-9]{5,8}))*")


def check_code(value: str) -> str:
    """`value`, or a ValueError that names the nearest code. 'auto' is allowed."""
    if value == AUTO:
        return value
    lower = value.strip().lower()
    match = _CODE.fullmatch(lower)
    primary = match[1] if match else ""
    is_known = primary in _TWO_LETTERS or (len(primary) == 3 and primary not in _MEANT)
    if is_known and value == value.strip():
        return value
    raise ValueError(f"{show_value(value)} is not a language code (ISO 639); {_hint(lower)}")


LanguageCode = Annotated[str, AfterValidator(check_code)]
"""A setting: 'auto', or a code such as 'en', 'zh' or 'pt-BR'."""


def _hint(value: str) -> str:
    first = re.split(r"[-_ ]", value)[0]
    meant = _MEANT.get(value) or _MEANT.get(first)
    if meant:
        return f"did you mean {meant!r}?"
    near = nearest(value, [word for word in _MEANT if len(word) > 3]) if len(value) > 3 else ""
    if near.startswith("did you mean"):
        return f"did you mean {_MEANT[near.split(chr(39))[1]]!r}?"
    return "examples: 'en', 'zh', 'pt-BR', or 'auto'"
