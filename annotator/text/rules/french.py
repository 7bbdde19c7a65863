"""Where a full stop ends a sentence in French.

The rule: titles continue with a name and references with a number; any other abbreviation ends a
sentence only when a word that often begins one follows.
"""

from __future__ import annotations

from annotator.text.rules.base import (
    Stop,
    Verdict,
    is_measure,
    judge_in_any_language,
    judge_without_space,
    lacks_a_vowel,
    words,
)

# Titles, and words that continue with a name or more of the clause ("M." is also an initial).
_NEVER_LAST = words(
    "m mm mme mmes mlle mlles mgr dr drs pr prof me mes st ste sts sté cie gén gal col cdt lt cap "
    "cf vs ex c.-à-d p.ex env av apr hab"
)
_BEFORE_DIGITS = words(
    "p pp art arts fig figs n no nos al chap ch t tom vol vols env ca v éd par tél sect tabl ann "
    "l ligne max min env réf janv févr avr juil juill sept oct nov déc"
)
_BEFORE_SMALL_LETTERS = words(
    "etc env apr av hab éd coll trad vol fig al art p pp max min tél bd av boul cie sté s.a s.n.c "
    "inc ltd janv févr juil juill sept oct nov déc dép gouv adj abrév"
)
_STARTERS = words(
    "le la les un une des ce cet cette ces il elle ils elles on nous vous je tu son sa ses leur "
    "leurs notre votre mon ma mes l'a qui que quoi quand où comment pourquoi si dans en au aux à "
    "de du pour par avec sans sous sur chez depuis après avant pendant mais et ou donc or ni car "
    "puis ensuite alors cependant toutefois pourtant ainsi enfin aussi encore personne rien tout "
    "tous toute toutes chaque plusieurs certains beaucoup peu voici voilà c'est est-ce oui non "
    "prenez voir selon malgré lorsque comme cela ceci ça aujourd'hui hier demain ici là y"
)


def judge(stop: Stop) -> Verdict:
    """True: a sentence ends at the stop; False: none does; None: unknown."""
    verdict = judge_in_any_language(stop)
    if verdict is not None or not stop.following:
        return verdict
    if stop.touching.isalnum():
        return judge_without_space(stop, _STARTERS)
    if _ends_an_era(stop):  # 44 av. J.-C. Le Sénat ...; 44 av. J.-C. à Rome
        return stop.starter in _STARTERS
    if stop.low in _NEVER_LAST and not (is_measure(stop) and stop.word.islower()):
        return False
    if stop.following.isdigit() and stop.low in _BEFORE_DIGITS:
        return False
    return _judge_by_next_letter(stop)


def _judge_by_next_letter(stop: Stop) -> Verdict:
    if stop.following.islower():
        short = stop.low in _BEFORE_SMALL_LETTERS or stop.is_dotted or len(stop.word) == 1
        return False if short or is_measure(stop) or lacks_a_vowel(stop.word) else None
    if not stop.next_word:
        return None
    if is_measure(stop) or stop.starter in _STARTERS or stop.low == "etc":
        return True
    return False if len(stop.word) == 1 and stop.word.isupper() else None


def _ends_an_era(stop: Stop) -> bool:
    return stop.before.endswith(("J.-C", "J.\u2011C", "J. -C"))
