"""Words without a checkable meaning, by language.

The rule: a word is listed only when it has no content in any common use. A language without a list
has no such words; callers use the length of words instead.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS = {
    "en": _words("""
        a about after again all also although am among an and any are around as at be because been
        before being between both but by can could did do does doing during each either else even
        ever every for from further had has have having he her here hers him himself his how
        however i if in including into is it its itself just like may me might more most much must
        my n't near no nor not now of off on once one ones only onto or other others our out over
        own per rather s same she should since so some such t than that the their theirs them then
        there these they this those though through thus to together too towards under until up
        upon us very via was we well were what when where whether which while who whom whose why
        will with within without would yet you your yours
    """),
    "de": _words("""
        aber als am an auch auf aus bei bis da das dass dem den der des die doch durch ein eine
        einem einen einer eines er es für hat hatte ich ihr ihre im in ist ja kein keine man mit
        nach nicht noch nur ob oder ohne sein seine sich sie sind so über um und unter vom von vor
        war waren was wenn werden wie wird wir wurde wurden zu zum zur
    """),
    "fr": _words("""
        a au aux avec avait ce ces cet cette dans de des du elle elles en est et eu il ils je la le
        les leur leurs lui mais même n ne nous on ont ou où par pas plus pour qu que qui s sa sans
        se ses si son sont sur un une vous y était étaient été être d l c j
    """),
    "es": _words("""
        a al como con de del el ella en entre era es ese esta este está fue ha han hay la las le
        les lo los más me mi no nos o para pero por que qué se ser si sin sobre son su sus también
        un una uno y ya
    """),
    "it": _words("""
        a ad ai al alla alle anche che chi ci come con da dal dalla degli dei del della delle di e
        ed era fu gli ha hanno i il in la le lo loro ma nel nella no non o per più quale questa
        questo se si sono su sua sul sulla suo tra un una uno è l d
    """),
    "pt": _words("""
        a ao aos as com como da das de do dos e ela ele em era essa esse esta este está eu foi há
        isso mais mas na nas no nos não o os ou para pela pelo por que se sem ser seu sua são também
        tem um uma à é
    """),
    "nl": _words("""
        aan al als bij dat de der deze die dit door een en er had heeft het hij hun ik in is kan
        maar met naar niet nog of om ook op over te tot uit van voor waren was wat werd wordt ze
        zich zij zijn zo
    """),
    "ru": _words("""
        а без бы был была были было в во вы для до его ее её если еще же за и из или им их к как
        когда который которая которые ли мы на над не него но о об он она они оно от по под при с
        со так также то только у что чтобы это этот эта я
    """),
}
# The same for characters of Chinese and Japanese text; hiragana are all of this kind.
FUNCTION_CHARACTERS = frozenset(
    "的了是在和与也就都而及着一个于为之有被将不没未无非或但并其该此这那他她它们我你从到对以把由等中上下"
    "年月日号時时"
)
_MONTHS = _words("""
    january february march april may june july august september october november december jan feb
    mar apr jun jul aug sep sept oct nov dec januar februar märz mai juni juli oktober dezember
    janvier février mars avril juin juillet août septembre octobre novembre décembre
    monday tuesday wednesday thursday friday saturday sunday th st nd rd
""")
_MIN_LETTERS_WITHOUT_LIST = 4


def is_function_word(word: str, language: str) -> bool:
    """Whether a casefolded word has no content in `language` (ISO 639, or '')."""
    listed = FUNCTION_WORDS.get(language)
    if listed is not None:
        return word in listed
    has_latin_length = word < "\u0590"  # Latin, Greek, Cyrillic, Armenian
    return has_latin_length and len(word) < _MIN_LETTERS_WITHOUT_LIST


def is_date_word(word: str) -> bool:
    """Whether a casefolded word is part of a bare date: a month, a day of the week."""
    return word in _MONTHS
