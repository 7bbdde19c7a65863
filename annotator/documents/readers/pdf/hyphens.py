"""Hyphens at the ends of lines: part of a word, or there only because the line ended.

The rule: a hyphen next to a digit or a capital letter always stays. Between two small letters it
stays if the document itself, or a list of members of compounds, has the word with it; else the two
halves are one word. The document takes precedence over the lists.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from annotator.documents.readers.file_text import meets_without_space

TIES = re.compile(r"\S[-‐‑–—/]\Z")  # after these nothing is added, also no space
_HYPHENATED = re.compile(r"\w[-‐‑]\Z")
_HEAD = re.compile(r"(?:\w+[-‐‑])*\w+\Z")
_TAIL = re.compile(r"\w+")
_WORDS = re.compile(r"\w+(?:[-‐‑]\w+)*")
_MAX_WORD = 100  # characters of a line's end that are looked at

# short- and long-term; Haupt- und Nebenfach
_AND = {"and", "or", "to", "und", "oder", "bzw", "bis", "et", "ou", "y", "o", "e", "en", "of"}

_FIRST = set(
    "well long short high low mid self non half full part time year old large small middle fast "
    "slow hard soft open closed double single triple multi one two three four five six seven "
    "eight nine ten first second third late early lower upper far near deep wide ill best worst "
    "better worse much most least more less newly so-called cross post pre ex all follow case "
    "dose age sex gender risk cost evidence population hospital community school home peer "
    "health patient placebo blood heart life end state real world data user family child drug "
    "double-blind decision problem science water air land sea fat sugar gluten lead carbon "
    "energy climate rule law tax market price quality quasi anti co semi pro vice".split()
)
_SECOND = set(
    "term known based related free year years old like dose wide scale level controlled blind "
    "blinded dependent independent specific induced driven resistant sensitive risk quality income "
    "treated reported effective up established defined designed documented educated fed informed "
    "intentioned meaning off paid trained versed studied tolerated standing lasting range rate "
    "speed density pressure grade end class sized day week month hour minute fold sided way "
    "dimensional party person people person-years mortem hoc effectiveness benefit being efficacy "
    "esteem care help control service report reported assessment administered evident sufficient "
    "employed made making taking giving saving threatening onset stage phase world time house "
    "depth aged border sectional match matched positive negative rich poor deficient containing "
    "associated adjusted weighted oriented centred centered focused making makers maker setting "
    "friendly proof ready bound borne born facing wise in-law law art the inflammatory smoker "
    "smokers".split()
)
# Beginnings of words that are written as one: both halves are words, the whole is not a compound.
_CLOSED = set(
    "in be to for on an a at as or so no of up by under over out with some any every there where "
    "here how what who when back down inter super sub trans un re de dis mis fore never there "
    "may it is he she we me my us can not but per con com pro par man men her his our your any "
    "hand foot fire rain sun snow moon after arm book news key god key pass the and car cap sea "
    "house farm ear eye day night work land other neighbour neighbor mother father grand".split()
)
# Ends of words that are not the second part of a compound: short-age, high-er, well-ness.
_SUFFIXES = set(
    "ness er est ly ish age en ens ened ening ing ings ed less ful ner ners nership way ways land "
    "lands light lights lighted lighting table tables ward wards hood ship fall tion sion ment "
    "ments ism ist ists ity able ible al ally ance ence ant ent ary ory ous ive ize ise ized ised "
    "ling lings lish let lets side sides self selves sense etheless theless chalant ial ual ular "
    "ology ological logical ric rical ter ters ther thermore ticle ticles ticular ticipate "
    "ticipant ticipants ticipated tial tially tially tition titude gitudinal".split()
)
_TENS = set("twenty thirty forty fifty sixty seventy eighty ninety".split())
_ONES = re.compile(
    r"(?:one|two|three|four|five|six|seven|eight|nine|"
    r"first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)s?"
)
_INSIDE = {"of", "the", "to", "and", "in", "a", "by", "or", "up", "off", "on", "at", "for", "de"}


def count_words(lines: Iterable[str]) -> Counter[str]:
    """How often each word occurs whole on a line, with hyphens and without."""
    words: Counter[str] = Counter()
    for line in lines:
        found = [word.lower() for word in _WORDS.findall(line)]
        words.update(found[:-1] if ends_in_hyphen(line) else found)
    return words


def ends_in_hyphen(line: str) -> bool:
    """Whether a line ends in a hyphen behind a letter or digit."""
    return bool(_HYPHENATED.search(line[-2:]))


def join_lines(above: str, below: str, words: Counter[str]) -> str:
    """Two lines of a paragraph as one."""
    if ends_in_hyphen(above):
        return _join_hyphenated(above, below, words)
    if meets_without_space(above, below) or TIES.search(above[-2:]):
        return above + below
    return f"{above} {below}"


def _join_hyphenated(above: str, below: str, words: Counter[str]) -> str:
    head = _HEAD.search(above[-_MAX_WORD:-1])
    tail = _TAIL.match(below[:_MAX_WORD])
    if head is None or tail is None:
        return above + below
    if tail.group().lower() in _AND and below[tail.end() : tail.end() + 1].isspace():
        return f"{above} {below}"
    goes_on = below[tail.end() : tail.end() + 1] in ("-", "‐", "‑")
    one, other = head.group().lower(), tail.group().lower()
    is_number = one in _TENS and _ONES.fullmatch(other)
    if is_number or (goes_on and one in _FIRST and len(other) > 2 and other not in _SUFFIXES):
        return above + below  # twenty-five, non-small-cell
    keeps = _keeps_hyphen(above, head.group(), tail.group(), words)
    return (above if keeps else above[:-1]) + below


def _keeps_hyphen(line: str, head: str, tail: str, words: Counter[str]) -> bool:
    if head[-1].isdigit() or tail[0].isdigit() or not head[-1].isalpha():
        return True
    if not tail[0].islower():
        in_capitals = len(head) > 1 and len(tail) > 1 and head.isupper() and tail.isupper()
        # A heading in capitals is wrapped like any text; HIV-AIDS in a sentence is not such a line.
        if tail[0].isalpha() and not (in_capitals and line[:-1].isupper() and " " in line):
            return True
    one, other = head.lower(), tail.lower()
    joined, kept = words[one + other], words[f"{one}-{other}"]
    if joined or kept:
        return kept > joined
    last = re.split("[-‐‑]", one)[-1]
    if last != one and (last in _INSIDE or words[last]):
        return True  # state-of-the-art, but well-estab-lished
    return _is_compound(last, other, words)


def _is_compound(one: str, other: str, words: Counter[str]) -> bool:
    """Whether both halves are words that are written with a hyphen between them."""
    if other in _SUFFIXES or len(other) < 2:
        return False
    if one in _FIRST:
        return other in _SECOND or bool(words[other] and one not in _PREFIXES)
    if one in _CLOSED or len(one) < 3:
        return False
    if other in _SECOND:
        return bool(words[one])
    return bool(words[one] and words[other])


_PREFIXES = {"anti", "co", "semi", "pro", "multi", "pre", "post", "ex"}
