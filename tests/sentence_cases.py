"""Hard cases for sentence splitting, English, Chinese and Markdown, with their right answers.

A case is one string in which `¦` marks where one sentence ends and the next one starts; the text
given to a splitter is the string without the marks.
"""

from __future__ import annotations

from schemas.spans import Offsets, trim

MARK = "¦"

ENGLISH = {
    "titles": "Dr. Smith met Mrs. Jones.¦ They talked.",
    "initials": "J. K. Rowling wrote seven books.¦ They sold well.",
    "middle initial": "George W. Bush won in 2000.¦ He served two terms.",
    "country inside": "The U.S. Senate has 100 members.¦ Each state sends two.",
    "country last": "She moved to the U.S.¦ Her brother stayed.",
    "latin": "Use a fruit, e.g. an apple, i.e. something sweet.¦ Then cook it.",
    "et al": "Vaswani et al. proposed attention in 2017.¦ It is used everywhere.",
    "number sign": "Symphony No. 5 is by Beethoven.¦ It opens in C minor.",
    "no as a word": "Is it true?¦ No.¦ It is a myth.",
    "decimals": "It costs $3.14 or 2.5 euros.¦ Version 1.2.3 is newer.",
    "time of day": "Doors open at 5 p.m. on Friday.¦ Bring a ticket.",
    "time of day last": "Doors open at 5 p.m.¦ Bring a ticket.",
    "company": "Apple Inc. was founded in 1976.¦ It makes phones.",
    "saint": "He visited St. Petersburg in May.¦ It rained.",
    "figure": "See Fig. 3 and Eq. 2 for details.¦ They agree.",
    "url": "Read https://example.com/a.b?c=1.2 first.¦ Then write.",
    "url last": "Read https://example.com/a.html.¦ Then write.",
    "domain": "Visit example.com today.¦ It is free.",
    "stop in quotes": 'She said "I am here."¦ Then she left.',
    "curly quotes": "She said “I am here.”¦ Then she left.",
    "question in quotes": '"Are you sure?" he asked.¦ She nodded.',
    "apostrophes": "It's the '90s.¦ He's young.¦ The dogs' bowls are full.",
    "feet and inches": "He is 5' 10\" tall.¦ She is taller.",
    "ellipsis inside": "Well... it depends on the day.¦ Ask me later.",
    "ellipsis last": "I do not know…¦ Ask me later.",
    "many stops": "Really?!¦ Yes!!¦ Fine.",
    "bracket": "He was born in Ulm (Germany).¦ He died in Princeton.",
    "bracketed sentence": "He moved to Bern.¦ (He was 16.)¦ He studied there.",
    "reference": "The Nile is long.[1][2]¦ The Amazon is longer [3].¦ Both are rivers.",
    "emphasis": "**Paris is the capital.**¦ *It is large.*¦ __Yes, very.__",
    "inline code": "Call `a.b(). C` once.¦ Then stop.",
    "hard wrap": "This line was wrapped\nby an editor.¦ So\nwas this.",
    "single letter": "Take vitamin C.¦ It helps.",
    "emoji": "Great news! 🎉¦ We won. 😀",
    "month": "He was born on Jan. 5, 1900, in Rome.¦ He died in 1950.",
    "degree": "She has a Ph.D. in physics.¦ She teaches.",
    "dotted name": "It is part of the .NET platform.¦ It is free.",
    "letters in brackets": "The bases are **adenine (A)** and **thymine (T)**.¦ They pair.",
    "small letters": "it rains.¦ we stay in.",
}

CHINESE = {
    "full stops": "北京是中国的首都。¦上海是最大的城市。",
    "question and exclamation": "你是谁？¦我不知道！¦真的吗？！",
    "semicolon": "甲队得了三分；¦乙队得了两分。",
    "quotation last": "他说：“我来了。”¦然后他走了。",
    "quotation inside": "他把“你好。再见。”写在纸上。¦纸很白。",
    "corner quotation": "他說：「我來了。」¦然後他走了。",
    "brackets": "他生于1879年（见附录。也见下文。），卒于1955年。¦他是物理学家。",
    "decimal": "圆周率约为3.14，误差很小。¦增长率是5.5%。",
    "latin inside": "爱因斯坦（Albert Einstein）生于Ulm。¦他用E. coli做实验。",
    "half-width marks": "你是谁?¦我不知道!¦好吧。",
    "ellipsis": "他等了很久……终于走了。¦天黑了。",
    "title marks": "他读过《你好吗？》这本书。¦书很厚。",
    "stops in a row": "太好了！！！¦真的？？¦真的。",
    "spaces between": "第一句。¦ 第二句。",
    "indented paragraphs": "\u3000\u3000【标题】\n¦\u3000\u3000正文开始。",
    "no stop at the end": "这是第一句。¦这是第二句",
    "two languages": "GPT-4由OpenAI发布。¦It is large.¦ 它很大。",
    "initials": "法官T.S.塔库尔宣布禁令。¦他很严厉。",
    "indented after a quotation": "他说：“好。”\n¦  1949年，他来了。",
    "url": "请看https://example.com/a.b。¦很有用。",
}

MARKDOWN = {
    "bullets": "Three kinds:\n¦- one. ¦Red.\n¦- two\n¦* three",
    "bullet wrapped": "- a long item\n  goes on\n¦- next",
    "numbers": "1. Paris\n¦2. London. ¦Big.\n¦10) Rome",
    "bold numbers": "**1. Paris**\n¦**2. London** is big.",
    "nested": "- a\n¦  1. b\n¦  2. c",
    "year at a line's start": "He was born in\n1999. ¦Then he left.",
    "chinese numbers": "一、历史\n¦1、古代。\n¦（二）现代。¦很长。",
    "heading": "# What is it? A guide\n¦It is this.",
    "heading without a space": "##标题\n¦正文。",
    "bold line": "**History**\n¦It was founded in 1900.",
    "rule": "One.\n\n---\n\n¦Two.",
    "table": "| a. b | c |\n|---|---|\n¦| 1. d | 2 |\n¦| 3 | 4 |\n\n¦End.",
    "open table": "a | b\n--|--\n¦1 | 2\n\n¦End.",
    "code": "Run:\n¦```py\nx = 1. y\n\n# no heading. None\n```\n¦Done.",
    "code cut off": "Run:\n¦~~~\na. B\n\nc",
    "code in an item": "- ```\n  a. B\n  ```\n¦- b",
    "quotation": "> A line\n> wrapped. ¦Next\n> one.\n>\n¦> Last.\n\n¦End.",
    "windows line ends": "One\r\nline.\r\n\r\n¦Two",
    "blank line": "no stop\n \n¦next",
    "indented text": "    Not code. ¦Prose.",
    "setext": "Text. ¦More.\n---\n¦After.",
    "invisible": "\ufeff# Title\n¦Text.\u200b¦ More.",
    "right to left": "שלום עולם. ¦מה שלומך? ¦טוב.",
}


def parse_case(case: str) -> tuple[str, list[Offsets]]:
    """The text of a case and its sentences, trimmed."""
    text = case.replace(MARK, "")
    sentences, start = [], 0
    for piece in case.split(MARK):
        span = trim(text, start, start + len(piece))
        assert span is not None, f"a case has an empty sentence: {case!r}"
        sentences.append(span)
        start += len(piece)
    return text, sentences
