"""Chinese and Japanese: a speaker named after a quotation belongs to the quotation's sentence.

The rule: only a short clause with a verb of speech counts, and not after a colon, since a quotation
after a colon already has its speaker. The English rules decide about full stops of Latin words.
"""

from __future__ import annotations

import re

# Verbs of speech at the end of a clause. 道 alone also ends 知道, 街道, 报道: it needs a verb or a
# pronoun before it.
_SAYS = (
    r"(?:[說说問问答喊叫笑喝写寫骂罵叹嘆吼嚷哭赞讚怒忙急劝勸解回补補反追嘲]道|(?<=[他她我你们們])道"
    r"|告[诉訴][^，。！？；：“”\s]{0,6}|回答|解[释釋]|[补補]充|感[叹嘆]|低[语語]|嘟囔|[叹嘆]了一?口[气氣]|[说說][过過]?"
    r"|[问問答喊叫嚷吼喝骂罵劝勸])"
)
# News continues with these (王强表示，明年……): before a comma they count only where a
# quotation continues.
_STATES = r"(?:表示|指出|[强強][调調]|坦言|透露|宣布|承[认認]|[认認][为為])"
# Not words that begin a separate sentence, nor those meaning that no one spoke.
_WHO = (
    r"(?!然[后後]|[后後][来來]|接[着著]|但|可是|不[过過]|[于於]是)"
    r"(?:[^没沒不无無，。！？；：“”‘’「」『』《》（）…\s]){0,12}?"
)
_CHINESE = re.compile(
    rf"[ \t]?{_WHO}(?:{_SAYS}[着著了]?(?:[他她我你][们們]?)?(?:[。！？；，,]|\Z)"
    rf"|{_STATES}(?:[。！？；]|[，,](?=[“「])|\Z))"
)
# と and って quote the text before them; the excluded words begin sentences (とても, ところが).
_JAPANESE = re.compile(
    r"、?(?:と(?!ても|ころ|りあえず|もかく|にかく|うとう|きどき|もに)|って|などと|という|とか|を)"
    r"|(?:[^、。！？「」『』\s]{1,8}[はが])(?:[^、。！？「」『』\s]{0,6})"
    r"(?:言|云|述べ|話|語|叫|答|尋ね|聞|訊|問|囁|呟|つぶや|ささや|怒鳴|笑|返)[^、。！？「」『』]{0,6}[。！？]"
)
_SPEAKERS = {"zh": _CHINESE, "ja": _JAPANESE}
_QUOTATION_END = re.compile(r"[。！？!?…｡][”’」』\"]\Z")
_OPENS = {"”": "“", "’": "‘", "」": "「", "』": "『", '"': '"'}
_MAX_QUOTATION = 400
_MAX_CLAUSE = 40


def has_speaker_after(view: str, end: int, *, start: int, limit: int, language: str) -> bool:
    """Whether a quotation ends at `end` and who said it follows: “我来了。”他说。"""
    speaker = _SPEAKERS.get(language)
    if speaker is None or not _QUOTATION_END.search(view[max(start, end - 2) : end]):
        return False
    if not speaker.match(view, end, min(end + _MAX_CLAUSE, limit)):
        return False
    opening = view.rfind(_OPENS[view[end - 1]], max(start, end - _MAX_QUOTATION), end - 1)
    before = view[max(start, opening - 3) : max(start, opening)]
    return not before.rstrip().endswith(("：", ":"))
