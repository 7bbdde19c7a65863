"""Where a full stop ends a sentence in English, and in languages without separate rules.

The rule: the next word decides first. A word that often begins sentences, with a capital, means an
end; a small letter after an abbreviation means none. Only then lists of words are used.
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
    without_apostrophe,
    words,
)

# Titles and Latin words that continue with the next word, whatever it is.
NEVER_LAST = words(
    "dr mr mrs ms mx messrs prof rev gen sen rep gov capt cmdr col lt sgt maj hon st mt approx "
    "e.g i.e cf viz vs"
)
_ALSO_NEVER_LAST = words("v a.k.a f.k.a d.b.a c.f w.r.t eg ie pres supt det insp cpl pvt adm fr")
# Of those, the ones that also end the name of a street (12 Main St. The house ...).
_STREETS = words("st dr")
_BEFORE_DIGITS = words(
    "fig figs vol vols ch chap sec secs subsec eq eqs p pp ca c b d est art arts para paras cl "
    "app tab no nos pt pts ex exh sched reg regs ver ss r rr ord cols ll fn n nn lit pl ser op "
    "suppl supp max min pop temp matt cor tel ext rm apt ste rte hwy rt lot al pg pgs ref refs bk "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
# Recognised by a small letter after them: "Inc. was", "etc. in". Words such as "no", "art" or "sat"
# are left out, since they end sentences in chat without capitals.
_BEFORE_SMALL_LETTERS = words(
    "al etc inc ltd llc llp plc co corp bros jr sr esq dept univ assn gov ave blvd est fig figs "
    "eq vol pp approx govt intl natl avg incl excl tel ext jan feb aug sept oct nov dec ed eds "
    "gmbh s.a ag chem phys biol math med hon rev fed temp minn calif conn ariz colo tenn wis mich "
    "penn elecs natl acad sci proc"
)
# Parts of names of institutions and journals: Proc. Natl. Acad. Sci.
_LEADS_ON = words("proc natl acad sci assn intl elecs univ dept")
# A smaller unit follows: 5 ft. 6 in.
_LARGER_UNITS = words("ft lb lbs hr hrs st yd")
# References that a letter follows as well as a number: Fig. A.
_BEFORE_LETTERS = words("fig figs tab app ex exh sec sched vol eq")
# "5 km. it was fun" is chat without capitals and two sentences; "5 mg. daily" is one.
_SMALL_STARTERS = words("it he she they we i you this that then but so there")

# Words that begin a sentence when they have a capital after a full stop. Names are not included.
_STARTERS = words(
    "the a an this that these those it he she we you they i his her its our their my your there "
    "here in on at for from to with without by as if when while after before during since until "
    "because although though however therefore moreover furthermore thus hence then also and but "
    "or so yet not no yes once only both each every all some many most several few another such "
    "other others what who how why where which whose do does did is are was were can could should "
    "would might must have has had please let let's take give use call see note avoid repeat "
    "check monitor make keep add ask try get stop start don't doesn't didn't it's maximum minimum "
    "treatment patients people according overall finally next first second third today later "
    "meanwhile instead additionally similarly likewise consequently nevertheless nonetheless "
    "indeed perhaps maybe even just still now never always often sometimes usually generally "
    "typically unlike despite given due among between within under over about across around "
    "through throughout unless whether whereas nobody everyone someone nothing something "
    "everything none one two three four five six seven eight nine ten early late recently "
    "originally eventually unfortunately fortunately specifically particularly including besides "
    "together nowadays years thousands millions hundreds"
)
# Those that are also surnames (K. He, Y. An) do not decide about a single initial.
_SURNAMES = words("he an so do let call page may long early late one two ten even moon")
_NAMED_ZONES = words(
    "est edt cst cdt mst mdt pst pdt et ct pt gmt utc bst cet cest ist jst eastern central "
    "pacific mountain monday tuesday wednesday thursday friday saturday sunday"
)
# Words after which a single letter is not the initial of a name.
_LETTERED = words(
    "hepatitis vitamin vitamins type types group class grade stage plan section exhibit appendix "
    "schedule part option answer choice category level phase line team size figure table annex "
    "form unit room gate terminal zone sector block building platform rating model version "
    "language factor protein clause item step point variable vertex node case scenario drug set "
    "influenza channel pin port drive blood lane key series sample panel chapter article title "
    "question volume route district wing tier cohort arm subtype strain matrix vector column "
    "letter site circle tower hall"
)
_ERAS = words("b.c a.d b.c.e c.e bc ad")
_BEFORE_I = words("and or than but as do am did so are was were will can i nor like not")
_BEFORE_VARIABLES = words("is be equals equal to by with from than and or variable")
_REPORTERS = words("supp ct ed app appxx cas rptr cir dist appx rep civ crim evid bankr")
_DIRECTIONS = frozenset("NSEW")
_LETTERED_IS = re.compile(r"\b(?:answer|option|choice|grade|result) (?:is|was|of) [A-Z]\Z")


def judge(stop: Stop) -> Verdict:
    """True: a sentence ends at the stop; False: none does; None: unknown."""
    verdict = judge_in_any_language(stop)
    if verdict is not None or not stop.following:
        return verdict
    if stop.touching.isalnum():
        return judge_without_space(stop, _STARTERS)
    if stop.low in NEVER_LAST or stop.low in _ALSO_NEVER_LAST:
        return _judge_title(stop)
    if _is_reference(stop):
        return False
    if stop.following.islower():
        return _judge_before_small(stop)
    return _judge_before_capital(stop) if stop.next_word else None


def _is_reference(stop: Stop) -> bool:
    """Whether a number or a letter belongs to the word before the stop: art. 5, Fig. A."""
    if stop.following.isdigit():
        return (
            stop.low in _BEFORE_DIGITS
            or stop.is_dotted
            or (stop.low in _LARGER_UNITS and is_measure(stop))
        )
    is_letter = len(stop.next_word) == 1 and stop.next_word.isupper()
    return stop.following == "§" or (is_letter and stop.low in _BEFORE_LETTERS)


def _judge_title(stop: Stop) -> Verdict:
    """A title continues, except a street's name before a starter."""
    if stop.low in _STREETS and stop.previous[:1].isupper() and stop.starter in _STARTERS:
        return True
    if stop.low == "v" and is_measure(stop):
        return None
    return False


def _judge_before_small(stop: Stop) -> Verdict:
    """A small letter follows: no end after an abbreviation, otherwise the library decides."""
    if len(stop.word) == 1 and stop.word.isalpha():
        return False  # E. coli
    is_short = stop.is_dotted or stop.low in _BEFORE_SMALL_LETTERS or is_measure(stop)
    if without_apostrophe(stop.next_word) in _SMALL_STARTERS:
        return None if is_short or not stop.word.isalpha() else True
    if is_short:
        return False
    if is_roman(stop.word) or lacks_a_vowel(stop.word):
        return False  # Louis XIV. was; the bldg. on
    return None


def _judge_before_capital(stop: Stop) -> Verdict:
    is_starter = stop.starter in _STARTERS
    if is_measure(stop):
        return _judge_measure(stop, is_starter=is_starter)
    if len(stop.word) == 1 and stop.word.isalpha():
        return _judge_letter(stop)
    if is_starter:
        return True
    if stop.is_dotted:
        return _judge_dotted(stop)
    if stop.low in _LEADS_ON:
        return False
    # The last part of a file or site name (README.md, example.com) is not an abbreviation.
    return True if "." in stop.word and stop.word[-2:].isalnum() else None


def _judge_dotted(stop: Stop) -> bool:
    """Medical ones (p.o., b.i.d.) are in small letters and come last; U.S. and J.R.R. continue."""
    if stop.low in ("a.m", "p.m"):
        return stop.next_word.lower() not in _NAMED_ZONES
    return stop.word.islower() or (stop.low in _ERAS and stop.previous.isdigit())


def _judge_measure(stop: Stop, *, is_starter: bool) -> Verdict:
    """A number and its unit, then a capital: an end, except in streets and law reports."""
    if is_starter:
        return True
    if stop.next_word.lower() in _REPORTERS:
        return False  # 123 F. Supp. 2d 456
    return stop.word not in _DIRECTIONS  # 12 N. Main St.


def _judge_letter(stop: Stop) -> Verdict:
    """A single letter, then a capital: an initial, unless a word before or after excludes that."""
    previous = stop.previous.lower()
    if previous in _LETTERED or _LETTERED_IS.search(stop.before):
        return True
    if stop.word == "I" and previous in _BEFORE_I:
        return True
    if stop.starter in _STARTERS and stop.starter not in _SURNAMES:
        return True
    if stop.word.isupper():
        return False
    return True if previous in _BEFORE_VARIABLES else None  # Let y be x. Find z.
