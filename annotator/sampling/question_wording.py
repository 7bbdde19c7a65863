"""Whether a question can be understood alone, and whether yes or no would answer it.

The rule: only the words of a question count. A pronoun, `this` or 该 must refer to something before
it in the question; a question that needs knowledge to see what it means ("Who led the company?") is
kept.
"""

from __future__ import annotations

import re

from schemas.text.scripts import HAN

_TEXT_WORD = (
    "(?:document|text|passage|article|paragraph|excerpt|extract|section|page|story|report|source"
    "|information|table|figure)"
)
_POINTS_AT_TEXT = re.compile(
    rf"""
    \b(?:this|these)\s+{_TEXT_WORD}s?\b
    | \bthe\s+(?:above|below|given|following|provided|present)\b(?!\s+sea\b)
    | \b(?:according\s+to|based\s+on|in|from|by|per|of)\s+the\s+{_TEXT_WORD}\b(?!\s+\d)
    | \bdoes\s+the\s+(?:{_TEXT_WORD}|author)\b
    | \bthe\s+(?:authors?|narrator|writer|speaker|researchers|study)(?:['’]s)?
      \b(?!\s+(?:of|who|that)\b|\s+(?-i:[A-Z]))
    | \b(?:mentioned|described|stated|listed|given|named)\s+(?:above|below|here)\b
    | \b(?:mentioned|described|discussed|listed)\s*\?
    | \bas\s+above\b | \babove[- ](?:mentioned|named)\b
    | \bthe\s+(?:former|latter)\b
    | \b(?:dieser|diesem|dieses)\s+(?:text|dokument|artikel|abschnitt)
    | \b(?:ce|cet|cette)\s+(?:texte|document|article|passage)
    | \b(?:este|esta|questo|neste|deste)\s+(?:texto|testo|documento|art[ií]culo|articolo|pasaje)
    | (?:该|本|此|这|上述|以上|下列|下述|前述)(?:一)?(?:篇|段|份|个|些)?
      (?:文章|文本|文档|文件|文献|文字|段落|材料|资料|章节|短文)(?!馆|局|室)
    | (?<![日基版资根剧课样副原范脚])(?:该文|本文|此文)(?![化学明物献件坛集具字])
    | (?:根据|依据|按照)(?:文章|文本|文档|材料|资料|原文|上文|文中)
    | (?<![历])上文(?![化学明物字]) | 下文(?![化学明物字]) | 上述 | 前者 | 后者
    | (?:文章|原文|文档|文本|材料)(?:中|里|提到|所述|指出)
    | (?<![论英中日法德俄语散古外作正人天])文中(?!子)
    | 作者认为 | (?:^|[，,、在])\s*作者(?!是)
    | この(?:文章|文書|記事|テキスト|資料) | (?:이|위)\s?(?:글|문서|텍스트|기사)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_QUOTED = re.compile(r"[“\"«「『《][^”\"»」』》]*[”\"»」』》]|(?<!\w)['‘][^'’]+['’](?!\w)")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

_PRONOUN = re.compile(
    r"\b(?:he|she|it|they|him|them|his|hers?|its|their|theirs|this|these|those)\b", re.IGNORECASE
)
_HAS_ITS_NOUN = re.compile(r"those\s+(?:who|that|which|of|in|with)\b", re.IGNORECASE)
# `it` that refers to nothing: "Why is it important to ...", "How long does it take to ...".
_EMPTY_IT = re.compile(
    r"\b(?:is|was|be)\s+it\s+(?:\w+\s+)?(?:important|possible|impossible|necessary|difficult|easy|hard"
    r"|dangerous|safe|common|best|better|illegal|legal|known|believed|said|thought|true|useful"
    r"|essential|advisable|called)\b|\bit\s+(?:takes?|took|costs?)\b[^?]*\bto\b|\bit\s+(?:rain|snow)",
    re.IGNORECASE,
)
_AUXILIARY = (
    r"(?:is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|shall|should|may|might"
    r"|must|isn['’]t|aren['’]t|wasn['’]t|weren['’]t|don['’]t|doesn['’]t|didn['’]t|hasn['’]t"
    r"|haven['’]t|hadn['’]t|can['’]t|couldn['’]t|won['’]t|wouldn['’]t)"
)
_IS_AUXILIARY = re.compile(_AUXILIARY, re.IGNORECASE)
_ASKING = re.compile(r"(?:who|whom|whose|what|when|where|why|how|which)\b", re.IGNORECASE)
_CONJUNCTION = re.compile(
    r"\b(?:after|before|when|while|because|that|as|if|although|since|until|once|and|but|where)"
    r"\s*$",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"\b(?:of|in|to|from|for|by|with|about|on|at|into|near|behind|under|over|inside)\s*$",
    re.IGNORECASE,
)
_EMPTY_WORDS = frozenset(
    "a an the of in on at to for from by with and or as into about that there so not also first "
    "last called named known said he she it they him them his her its their this these those "
    "year years day month century place city country".split()
)
_OBJECTS = frozenset({"it", "him", "her"})
_PLURAL = frozenset("they them their theirs".split())
_PLURAL_NOUNS = frozenset("people children men women fish sheep mice geese police who".split())
_COMMON_STARTS = _EMPTY_WORDS | frozenset(
    "during after before since until upon under besides despite through while because if although "
    "among between within according following".split()
)

_YES_NO = re.compile(
    rf"^\W*(?:(?:in|on|at|during|after|before|by|since|under|according\s+to)\b[^,?]{{0,80}},\s*)?"
    rf"{_AUXILIARY}\s(?!you\s+(?:tell|name|say|explain|describe|list)\b)"
    rf"|,\s*(?:right|correct|{_AUXILIARY}\s+(?:it|he|she|they|there))\s*\?\W*$",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"\bor\b(?!\s+not\b)", re.IGNORECASE)
_ASKING_ZH = re.compile("谁|何|什么|如何|怎么|怎样|多少|几|哪|多[高长大远重深久宽]")
_YES_NO_ZH = re.compile("是否|是不是|有没有|会不会|能不能|可不可以|要不要|对不对|好不好|难道")
_ENDS_YES_NO_ZH = re.compile(r"(?:吗|么(?<!什么)(?<!怎么)(?<!多么))[？?]?\W*$")

_POINTER_ZH = re.compile(
    "(?<![其吉])他(?!们俩|人)|她|它|(?<![应活])该(?!不该|怎|如何|当|做|用)|此(?![外后前刻时])"
    "|其(?![中他她它余次实间])|[这那](?:一)?(?:个|座|种|些|本|位|部|条|家|次|场|项|篇|段|首|款|支|只|名|里|儿)"
    "|(?<![日基版资根剧课样副原范脚剧])本(?:书|片|剧|市|县|省|校|公司|次|案|品|研究|报告|作|地|国)"
)
_SAYS_NOTHING_ZH = re.compile(
    "谁|何时|何地|何处|为何|为什么|什么时候|什么|如何|怎么|怎样|多少|哪[一]?[年个位座家里些月天]?|几"
    "|请问|年|月|日|[的了是在于由被把对从和与及有说叫关到为以]"
)
_HAN = re.compile(f"[{HAN}]")
_MIN_HAN_BEFORE = 2


def needs_document(question: str) -> bool:
    """Whether a question refers to its document, or to something that it does not name.

    >>> needs_document("How high is it?"), needs_document("How do bees find their way?")
    (True, False)
    """
    if _POINTS_AT_TEXT.search(question):
        return True
    plain = _QUOTED.sub("Title", question)
    if _HAN.search(plain):
        return any(_is_bare_zh(plain[: match.start()]) for match in _POINTER_ZH.finditer(plain))
    plain = _EMPTY_IT.sub(" ", plain)
    return any(
        _is_bare(plain, match)
        for match in _PRONOUN.finditer(plain)
        if not _HAS_ITS_NOUN.match(plain, match.start())
    )


def is_yes_no(question: str, language: str) -> bool:
    """Whether yes or no would answer a question; decided for English and Chinese only."""
    if language == "zh":
        if _ENDS_YES_NO_ZH.search(question):
            return True
        return bool(_YES_NO_ZH.search(question)) and not _ASKING_ZH.search(question)
    if language != "en" or not _YES_NO.search(question):
        return False
    return not _CHOICE.search(question)


def _is_bare(question: str, pronoun: re.Match[str]) -> bool:
    """Whether nothing before a pronoun can be its referent."""
    before, word = question[: pronoun.start()], pronoun[0].lower()
    words = _WORD.findall(before)
    if _holds_name(words):
        return False
    if word in {"this", "these"}:
        return True
    subject = _between_auxiliary_and(words)
    if subject is None:  # the question asks for its own subject: "Which ship sank after it ..."
        if word in _OBJECTS:
            return _CONJUNCTION.search(before) is None
        return all(one.lower() in _COMMON_STARTS for one in words)
    is_of_it = word == "it" and _PREPOSITION.search(before) is not None
    return is_of_it or not _holds_noun(subject, is_plural=word in _PLURAL)


def _holds_noun(words: list[str], *, is_plural: bool) -> bool:
    nouns = [word for word in words if word.lower() not in _EMPTY_WORDS]
    if is_plural:
        return any(word.endswith("s") or word.lower() in _PLURAL_NOUNS for word in nouns)
    return bool(nouns)


def _holds_name(words: list[str]) -> bool:
    """Whether there is a name or number among the first words of a question."""
    if any(word[0].isupper() or word[0].isdecimal() for word in words[1:]):
        return True
    first = words[0] if words else ""
    is_common = _ASKING.match(first) or first.lower() in _COMMON_STARTS
    return first[:1].isupper() and not is_common and not _IS_AUXILIARY.fullmatch(first)


def _between_auxiliary_and(words: list[str]) -> list[str] | None:
    """The words after the first auxiliary; None where there is none."""
    for number, word in enumerate(words):
        if _IS_AUXILIARY.fullmatch(word):
            return words[number + 1 :]
    return None


def _is_bare_zh(before: str) -> bool:
    if re.search(r"[A-Za-z0-9]{2}", before):
        return False
    return len(_HAN.findall(_SAYS_NOTHING_ZH.sub("", before))) < _MIN_HAN_BEFORE
