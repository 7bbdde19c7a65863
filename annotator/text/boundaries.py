"""The exact place of a proposed sentence end, wrong proposals, and missing ends.

The rule: these rules look at a few characters around one place, never at the whole text, so their
cost does not depend on its length; and they apply to every library. Rules that depend on a language
are in `annotator.text.rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from annotator.text.rules.languages import Rules
from schemas.spans import Offsets
from schemas.text.scripts import HAN

# Characters that still belong to a sentence after its full stop: more stops, closing quotes and
# brackets, emphasis, references such as [3], emoticons, and invisible characters. French has a
# space before », and in German “ and « close a quotation.
_TAIL = re.compile(
    r"(?:[.!?。！？｡…‼⁇⁈⁉;；]|[\"'”’»」』）)\]】》〉〕*~]|__|\[\d[\d,;–\- ]{0,30}\]"
    r"|[\u200b\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff\u202c\u2069]"
    r"|[ \t]?[\u2600-\u27bf\U0001f000-\U0001faff]"
    r"|[ \u00a0\u202f]»(?=[\s,.;:!?)]|\Z)|(?<=\S)[“«](?=[\s,.;:!?)]|\Z)"
    r"|[ \t][:;=]['-]?[)(DPp](?=\s|\Z)){0,64}"
)
_EMOTICON_END = re.compile(r"\s[:;=]['-]?[)(DPp]\Z")
_OPENERS = frozenset("“‘„‚«「『（(《【〈〔[{")
_EITHER_WAY = frozenset("\"'")
_AFTER = re.compile(r"\s*[\"'“‘(\[]?(.)?", re.DOTALL)
_QUOTED_END = re.compile(r"[.!?…][ \u00a0\u202f]?[\"'”’»“«]+\Z")

_OWN_END = re.compile(
    r"[。！？｡；][。！？｡；?!…]*"
    rf"|(?<=[{HAN}])[?!]+(?=[{HAN}“「『（《])"
    r"|…(?=\s+[A-Z])"
    rf"|(?<=[{HAN}])…{{1,4}}(?=“[^“”]{{0,100}}[。！？]”)"  # then direct speech follows
    r"|(?<=[a-z0-9][.!?])[)\]](?=\s+[A-Z])"  # (A sentence in brackets.)
    r"|(?<=[!?])[!?](?=\s+[a-z])"  # chat without capitals
    r"|(?<=[a-z][!?])(?=[A-Z][a-z]*[ ,])"  # He left!She stayed.
    r"|(?<=\w[ \t])[:;=]-?[)(DP](?=\s+[A-Z][a-z])"  # an emoticon in place of a full stop
)
_FULL_STOP = re.compile(r"\.(?![.…])")
_PAIR = r"“[^“”]{0,400}”|「[^「」]{0,400}」|『[^『』]{0,400}』|（[^（）]{0,400}）"
_PAIR_OF_ANY = re.compile(
    rf"{_PAIR}|\"[^\"]{{0,400}}\"|\([^()]{{0,400}}\)|«[^«»]{{0,400}}»|„[^„“”]{{0,400}}[“”]"
)
_WIDE_PAIR = re.compile(_PAIR)
_EMBEDDED = re.compile(
    rf"(?<=\w)(?:{_PAIR})(?=[\w，、])|(?<=[\w》”])（[^（）]{{0,400}}）(?=[\w，、。；！？])|《[^《》]{{0,400}}》"
)
_WIDE_CLOSERS = re.compile(r"[”」』）’\"'*_~\s]*")


def settle(text: str, view: str, end: int, *, start: int, limit: int) -> int:
    """The exact place of a sentence end that is proposed near `end` in the block [start, limit).

    First back over white space, so that the next text begins the next sentence; then forward over
    the marks that close the sentence. `view` is the view of `text` (see `annotator.text.blocks`).
    """
    end = min(end, limit)
    while end > start and (view[end - 1].isspace() or _opens(view, end - 1, start)):
        end -= 1
    tail = _TAIL.match(text, end, limit)
    return tail.end() if tail else end


def _opens(view: str, index: int, start: int) -> bool:
    """Whether the character opens a quotation or bracket, and so begins the next sentence."""
    if view[index] in _OPENERS:
        return True
    return view[index] in _EITHER_WAY and (index == start or view[index - 1].isspace())


def is_sentence_end(view: str, end: int, *, start: int, limit: int, rules: Rules) -> bool:
    """False for an end that is certainly wrong: after a title, in a decimal, before `?" he
    said`."""
    stop = end
    while stop > start and view[stop - 1] == " ":  # emphasis, which is blanked in the view
        stop -= 1
    if _EMOTICON_END.search(view[max(start, stop - 4) : stop]):
        return True
    last = view[stop - 1 : stop] if stop > start else ""
    if last in (",", "，", "、") or (last.isascii() and last.isalnum()):
        return False  # no stop here: sentencex reads "thymine (T)" as a list
    if view[end : end + 1] in (",", "，", "、"):
        return False  # „Hilfe!“, rief er
    after = _AFTER.match(view, end, limit)
    following = (after.group(1) if after else None) or ""
    if _QUOTED_END.search(view[max(start, stop - 8) : stop]) and following.islower():
        return False
    if rules.has_speaker_after(view, end, start=start, limit=limit):
        return False
    return last != "." or rules.judge_full_stop(view, stop, start=start, limit=limit) is not False


def find_missed_ends(view: str, *, start: int, limit: int, rules: Rules) -> Iterator[int]:
    """Full stops that certainly end a sentence, whether or not a library proposes them.

    Inside a quotation or a bracket the library decides: many keep a quotation whole.
    """
    pairs = _PAIR_OF_ANY.finditer(view, start, limit)
    inside = next(pairs, None)
    for match in _FULL_STOP.finditer(view, start, limit):
        while inside is not None and inside.end() <= match.end() + 1:
            inside = next(pairs, None)
        if inside is not None and inside.start() < match.start():
            continue
        if rules.judge_full_stop(view, match.end(), start=start, limit=limit):
            yield match.end()


def find_own_ends(view: str, *, start: int, limit: int) -> Iterator[int]:
    """Ends that do not need a library: mostly CJK full stops, outside quotations and brackets.

    The full-width semicolon counts: in Chinese it separates independent statements. A full stop
    that closes a quotation ends the sentence after the closing mark.
    """
    pairs = _WIDE_PAIR.finditer(view, start, limit)
    inside = next(pairs, None)
    for match in _OWN_END.finditer(view, start, limit):
        while inside is not None and inside.end() <= match.start():
            inside = next(pairs, None)
        if inside is None or match.start() < inside.start():
            yield match.end()
        elif view[inside.end() - 1] != "）" and _WIDE_CLOSERS.fullmatch(
            view, match.end(), inside.end()
        ):
            yield inside.end()


def find_embedded(view: str, *, start: int, limit: int) -> list[Offsets]:
    """Quotations and brackets inside a CJK clause, and titles: no sentence ends in (start, end].

    Direct speech follows a colon, a comma or nothing, and is not embedded; a quotation between two
    words (他把“你好。再见。”写在纸上) is part of its clause.
    """
    return [match.span() for match in _EMBEDDED.finditer(view, start, limit)]
