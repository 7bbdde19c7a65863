"""Where a full stop ends a sentence in German.

The rule: every noun has a capital, so a capital proves little. A number with a stop is an ordinal
when its noun shows it or an article or preposition is before it; only pronouns, articles and
adverbs with a capital prove an end.
"""

from __future__ import annotations

import re

from annotator.text.rules.base import (
    Stop,
    Verdict,
    is_measure,
    is_roman,
    judge_in_any_language,
    judge_without_space,
    lacks_a_vowel,
    words,
)

_NEVER_LAST = words(
    "dr dres prof hr hrn fr frl dipl ing mag st sr bzw ca vgl evtl ggf inkl exkl zzgl sog insb "
    "insbes bspw resp gem lt sen geb gest verh nr nrn art abs bd bde kap abb tab anm aufl ziff rn "
    "rdnr abt jh jhd hrsg hg fa tel str pl max min mind ugs lat griech engl dt frz z.b d.h i.d.r "
    "m.e u.u v.a z.t i.s.d i.v.m s.o s.u b.z.w az jan feb febr mär apr jun jul aug sept okt nov "
    "dez"
)
_BEFORE_NOUNS = words("mio mrd bio tsd std min sek co")  # 5 Mio. Euro
_BEFORE_DIGITS = words("s p rz vs v bl fn nr abs art §")
_MAY_BE_LAST = words("usw etc u.a o.ä u.ä o.g uvm ff f jr sen jh jhd str")
# Words in lower case that come before an ordinal: an article, a pronoun or a preposition.
_BEFORE_ORDINALS = words(
    "der die das den dem des im am zum zur vom beim ins ans bis ab seit vor nach dieser diesem "
    "diesen jeder jedem jeden ihr ihre ihren ihrem ihrer sein seine seinen seinem seiner mein "
    "meine meinen meinem unser unsere unseren unserem euer euren dein deinen deinem ein einen "
    "einem eine einer kein keinen jedes dieses und oder bereits schon"
)
# Nouns before which a number is an ordinal, whatever precedes it.
_ORDERED = words(
    "januar jänner februar feber märz april mai juni juli august september oktober november "
    "dezember jahrhundert jahrhunderts jahrhunderte jahrtausend jahrtausends weltkrieg weltkriegs "
    "weltkrieges mal male platz etage stock stockwerk klasse auflage geburtstag geburtstags liga "
    "bundesliga runde halbzeit quartal quartals semester lebensjahr lebensjahres stelle jahrestag "
    "obergeschoss untergeschoss og ug bezirk arrondissement legislaturperiode sinfonie symphonie "
    "spieltag staffel amtszeit strafsenat zivilsenat senat kammer armee division tag tages woche"
)
_STARTERS = words(
    "der die das den dem des ein eine einen einem er sie es wir ihr ich du man dies diese dieser "
    "dieses diesen jener jene jedes jede jeder sein seine seinen ihre ihren unser unsere mein "
    "meine dann danach davor daher darum deshalb deswegen dabei dafür damit dadurch dazu dort da "
    "hier heute gestern morgen nun jetzt später früher zuvor zudem außerdem auch aber doch jedoch "
    "und oder denn sondern wenn weil als ob obwohl während nachdem bevor seit bis in im an am auf "
    "aus bei beim für mit nach von vom vor zu zum zur über unter durch ohne gegen um alle alles "
    "viele einige manche mehrere beide keiner kein keine niemand nichts nicht nie noch nur schon "
    "so sogar somit also wer was wo wann warum wie welche bitte ja nein es trotzdem allerdings "
    "dennoch schließlich zunächst insgesamt laut trotz wegen"
)
# z. B., d. h., u. a.: single letters, where the one before has a stop, too.
_PAIR_OF_LETTERS = re.compile(r"(?:\A|[\s(])[a-zäöü]\.[ \u00a0\u202f]?[A-Za-zäöü]\Z")
_DAY_BEFORE_MONTH = re.compile(r"(?:\A|[\s(])\d{1,2}\Z")


def judge(stop: Stop) -> Verdict:
    """True: a sentence ends at the stop; False: none does; None: unknown."""
    verdict = judge_in_any_language(stop)
    if verdict is not None or not stop.following:
        return verdict
    if stop.touching.isalnum():
        return judge_without_space(stop, _STARTERS)
    if stop.word.isdigit() or is_roman(stop.word):
        return _judge_number(stop)
    if stop.following.isdigit() and (stop.low in _BEFORE_DIGITS or stop.low.endswith("str")):
        return False  # S. 5, Hauptstr. 5
    if stop.starter in _STARTERS:
        return not _leads_on(stop)
    return _judge_before_other_words(stop)


def _leads_on(stop: Stop) -> bool:
    """Whether an abbreviation is never the last word, even before an article with a capital."""
    if stop.before.endswith(("z. B", "z.B", "d. h", "d.h")):
        return True
    if stop.low in _MAY_BE_LAST or stop.low in _BEFORE_NOUNS or is_measure(stop):
        return False
    is_pair = _PAIR_OF_LETTERS.search(stop.before) is not None
    is_small_letter = len(stop.word) == 1 and stop.word.islower()
    return not is_pair and (stop.low in _NEVER_LAST or is_small_letter)


def _judge_before_other_words(stop: Stop) -> Verdict:
    """A noun, a name, a digit or a small letter follows: no end after an abbreviation."""
    if stop.low in _MAY_BE_LAST or stop.low in _BEFORE_NOUNS:
        return False
    if _PAIR_OF_LETTERS.search(stop.before):
        return False
    if is_measure(stop):
        return False if stop.following.islower() else None
    if stop.low in _NEVER_LAST or (len(stop.word) == 1 and stop.word.isalpha()):
        return False
    is_short = stop.is_dotted or lacks_a_vowel(stop.word)
    return False if stop.following.islower() and is_short else None


def _judge_number(stop: Stop) -> Verdict:
    """An ordinal (im 19. Jahrhundert, Friedrich II. regierte, am 24. 12.) or a number that ends."""
    if len(stop.word) > 3 and stop.word.isdigit():
        return True if stop.next_word[:1].isupper() else None  # a year
    if stop.following.isdigit():
        return False if _DAY_BEFORE_MONTH.search(stop.before) and stop.previous else None
    if stop.following.islower() or stop.next_word.lower() in _ORDERED:
        return False
    if stop.starter in _STARTERS:
        return None if is_roman(stop.word) else True
    return False if stop.previous.lower() in _BEFORE_ORDINALS else None
