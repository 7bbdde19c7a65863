"""The words that change the meaning of a question, and numbers in all their written forms.

The rule: forms of one word have one sign ("north" and "northern"), and two words of opposite
sense never do. A sign begins with a mark that no word has: `#` a number, `!` any other.
"""

from __future__ import annotations

import re

NUMBER, TURNING = "#", "!"
NUMERALS_ZH = "〇零一二三四五六七八九十百千万亿两"

# The words between two slashes mean the same and have one sign.
_FORMS = """
not no never without nor neither none non nothing nobody cannot nicht kein keine keinen keiner nie
ohne pas jamais sans aucun aucune nunca sin ni 不 没 未 无 非 勿 / except excluding besides unless
ausser sauf salvo / north northern northward northwards norden nördlich nördliche nord norte 北 /
south southern southward southwards süden südlich südliche sud 南 / east eastern eastward
eastwards osten östlich östliche este 东 東 / west western westward westwards westen westlich
westliche ouest oeste 西 / northeast northeastern / northwest northwestern / southeast
southeastern / southwest southwestern / left leftmost links gauche izquierda 左 / right rightmost
rechts droite derecha 右 / upper top uppermost 上 / lower bottom lowermost 下 / inner internal
inside interior 内 / outer external outside exterior 外 / front anterior 前 / back rear posterior
后 後 / below under beneath underneath / up upward upwards upstream / down downward downwards
downstream / before prior vor avant antes ante pre / after nach après después post / previous
preceding vorige précédent / next following subsequent nächste suivant / former formerly / first
首 / last letzte dernier último / begin begins began beginning start starts started starting 始 /
end ends ended ending finish finishes finished 末 终 / open opens opened opening 开 / close closes
closed closing shut 关 闭 / old alt alte vieux viejo 旧 老 / new neu neue nouveau nuevo 新 / older
elder / oldest eldest / more mehr plus más 多 / less fewer weniger moins menos 少 / most meist /
least fewest / maximum max maximal / minimum min minimal / main primary chief / total overall /
average mean median / annual yearly / high hoch haut alto 高 / low tief bas bajo 低 / large gross
grosse grosser grand grande big great 大 / small little klein kleine petit petite pequeño 小 /
larger bigger greater / smaller lesser / largest biggest greatest grösste grössten / smallest
kleinste kleinsten / long lang 长 長 / short kurz corto 短 / longest längste / shortest kürzeste /
deep 深 / shallow 浅 / wide 宽 / narrow 窄 / fast quick rapid 快 / slow 慢 / faster quicker /
heavy 重 / light 轻 / strong 强 / weak 弱 / near 近 / far 远 / nearer closer / farther further /
nearest closest / farthest furthest / hot 热 / cold 冷 / colder cooler / hottest warmest / good 好
优 / bad 坏 劣 / better besser / worse schlechter / best beste / worst schlechteste / true 真 /
false 假 / incorrect wrong / unsafe dangerous / acute 急 / male men man boys 男 / female women
woman girls 女 / father 父 / mother 母 / allowed permitted / forbidden prohibited banned 禁 /
rarely seldom / often frequently / increase increases increased increasing rise rises rose risen
rising raise raises raised raising grow grows grew grown growing gain gains gained gaining 增 升 /
decrease decreases decreased decreasing fall falls fell fallen falling reduce reduces reduced
reducing decline declines declined drop drops dropped shrink shrinks shrank lose loses losing 减
降 / import imports imported importing importer 进 / export exports exported exporting exporter 出
/ buy buys bought buying 买 / sell sells sold selling 卖 / win wins won winning winner 赢 胜 /
defeat defeats defeated loser 输 败 / enter enters entered entering 入 / leave leaves leaving
depart departs departed departure / arrive arrives arrived arrival / add adds added adding /
remove removes removed removing subtract / join joins joined / quit quits / cause causes caused
causing / prevent prevents prevented preventing / born 生 / died dies death 死 / accept accepts
accepted / reject rejects rejected refuse refused / support supports supported / oppose opposes
opposed / pass passes passed / fail fails failed / double twice / triple thrice
/ benefit benefits / risk risks / induce induces induced / inhibit inhibits inhibited / succeed
succeeds succeeded / precede precedes preceded / winter winters 冬 / summer summers 夏 / spring 春 /
autumn 秋 / morning mornings / evening evenings / malignant 恶
"""
# Each of these has its own.
_SINGLE = """
including inbound outbound ventral dorsal proximal distal medial lateral superior inferior above
over latter early earlier earliest late later latest initial final younger youngest young ancient
modern major minor secondary only monthly weekly daily hourly higher highest lowest longer shorter
tall taller tallest deeper deepest wider narrower slower fastest slowest heavier lighter heaviest
lightest stronger weaker strongest weakest rich poor richest poorest warm cool warmer coldest
fresh raw positive negative minus correct safe alive dead chronic benign systolic
diastolic arterial venous oral free husband wife son daughter brother sister king queen public
private domestic foreign local global always sometimes all both either 加 先 早 晚 夜 古 今 最 总
正 反 负 阳 阴 雌 雄 良 甲 乙 丙 丁 单 双 奇 偶 利 弊 宜 忌 主 次 副 half once dozen plaintiff
defendant systole diastole boiling freezing melting off contra anti hypo hyper intra inter
extra
"""
SIGNS = {word: f"{TURNING}{word}" for word in _SINGLE.split()} | {
    word: f"{TURNING}{forms.split()[0]}"
    for forms in reversed(_FORMS.split("/"))
    for word in forms.split()
}
_SUPERLATIVE = re.compile(r"[a-z]{3,}est")

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_LARGE = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9}
TENS = {word: 10 * place for place, word in enumerate(_TENS, 2)}
UNITS = {word: place for place, word in enumerate(_ONES)}
_NUMBERS = UNITS | TENS | _LARGE
_NTH = {word: place for place, word in enumerate(_ORDINALS)} | {
    "thirtieth": 30,
    "fortieth": 40,
    "fiftieth": 50,
    "hundredth": 100,
}
# Above 39 only those that are neither a word nor a unit ("di", "mix", "cm").
_ROMAN = re.compile("x{0,3}(?:ix|iv|v?i{0,3})|(?=.{4})c{0,3}(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_DIGITS_ZH = {one: place for place, one in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_SMALL_ZH = {"十": 10, "百": 100, "千": 1_000}
_LARGE_ZH = {"万": 10_000, "亿": 10**8}


def sign_of(word: str) -> str:
    """The sign of a folded word that changes a question's meaning or is a number.

    Else the word itself.
    """
    number = _number(word)
    if number:
        return f"{NUMBER}{number}"
    return SIGNS.get(word) or (f"{TURNING}{word}" if _SUPERLATIVE.fullmatch(word) else word)


def _number(word: str) -> str:
    """`3` of a number, `3th` of a place in an order; "" of another word."""
    nth, value = _nth(word), _NUMBERS.get(word)
    if nth is not None:
        return f"{nth}th"
    if all(one in NUMERALS_ZH for one in word):
        value = _read_zh(word)
    elif word == "i" or (len(word) > 1 and _ROMAN.fullmatch(word)):
        value = _read_roman(word)
    elif word.isdecimal():
        value = int(word)
    if value is None and any(map(str.isdecimal, word)):
        return word
    return "" if value is None else str(value)


def _nth(word: str) -> int | None:
    if word in _NTH:
        return _NTH[word]
    if word[0] == "第" and len(word) > 1:  # alone as in 第几, which asks for a number
        rest = word[1:].strip()
        return int(rest) if rest.isdecimal() else _read_zh(rest)
    match = _ORDINAL.fullmatch(word)
    return int(match[1]) if match else None


def _read_roman(word: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in word]
    return sum(
        -value if any(value < later for later in values[place + 1 :]) else value
        for place, value in enumerate(values)
    )


def _read_zh(text: str) -> int:
    """`一九零三` is read digit by digit, `一千九百零三` by its places."""
    if all(one in _DIGITS_ZH for one in text):
        return int("".join(str(_DIGITS_ZH[one]) for one in text))
    total = part = digit = 0
    for one in text:
        if one in _DIGITS_ZH:
            digit = _DIGITS_ZH[one]
        elif one in _SMALL_ZH:
            part += (digit or 1) * _SMALL_ZH[one]
            digit = 0
        else:
            total = (total + part + digit or 1) * _LARGE_ZH[one]
            part = digit = 0
    return total + part + digit
