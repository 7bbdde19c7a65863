"""Closed lists of English words that the lexical judge treats separately."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words without a checkable meaning.
FUNCTION_WORDS = _words("""
    a about after again all also although am among an and any are around as at be became because
    become been before being between both but by can could did do does doing down during each
    either else etc even every few for from further get had has have having he her here hers him
    himself his how however i if in include including into is it its itself just like made make
    many may me might more most much must my near of off on once one only onto or other our out
    over own per rather s same she should since so some such t than that the their them then
    there these they this those through thus to together too towards under until up upon us use
    used using various very via was we well were what when where whether which while who whom
    whose why will with within would yet you your yours
""")
NEGATIONS = _words("""
    no not never none nobody nothing neither nor without cannot unable failed fails fail lacks
    lack false refused refuses denied denies unlikely
""")
PRONOUNS = _words("he she it they him her them his hers its their theirs")
# Pronouns for a thing, which any common word may name.
THINGS = _words("it its they them their 它 其")
ARTICLES = _words("a an the")
# A sentence that ends with one of these was cut off.
UNFINISHED_ENDS = _words("a an the and or")
# The same for single characters of Chinese text.
NEGATION_CHARACTERS = frozenset("不没未无非否")
PRONOUN_CHARACTERS = frozenset("他她它其")
FUNCTION_CHARACTERS = frozenset("的了是在和与也就都而及着一个于为之有被将")

_IRREGULAR = """
    began begun begin|broke broken break|brought bring|built build|bought buy|caught catch
    |chose chosen choose|came come|drew drawn draw|drove driven drive|ate eaten eat
    |fell fallen fall|fought fight|found find|flew flown fly|gave given give|went gone go
    |grew grown grow|held hold|kept keep|knew known know|led lead|left leave|lost lose|paid pay
    |ran run|rose risen rise|said say|saw seen see|sold sell|sent send|spoke spoken speak
    |spent spend|stood stand|stole stolen steal|swam swum swim|took taken take|taught teach
    |thought think|threw thrown throw|told tell|understood understand|won win|wore worn wear
    |wrote written write|met meet|sang sung sing|shot shoot|sank sunk sink|struck strike
    |sought seek|laid lay
"""
# Past forms that the stemmer's rules do not cover: `did not build` denies `built`. Only denials use
# them; in the overlap they reduce accuracy on human labels.
IRREGULAR = {form: verb.split()[-1] for verb in _IRREGULAR.split("|") for form in verb.split()[:-1]}
