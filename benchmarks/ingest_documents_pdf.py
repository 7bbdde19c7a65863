"""Generated PDFs: columns, slides, running heads, hyphens at line ends, raised digits, tables.

The rule: lines are placed one by one, as in typesetting; the same seed gives the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence

from ingest_documents import Document, Fact, Numbers, as_runs, cell, heading, item, says

FONT, CHINESE = "Helvetica", "STSong-Light"
LEFT, TOP, WIDTH, STEP = 72.0, 760.0, 450.0, 15.0
_PIECES = re.compile(r"[^\s-]+-(?=\S)|\S+ ?")
_CHINESE_PIECES = re.compile(r"[A-Za-z0-9.,%<>=+-]+[，。；：、）]*|.[，。；：、）]*")


class Paper:
    """A PDF that is being written: lines are drawn from the top downwards."""

    def __init__(self, *, font: str = FONT, size: float = 11) -> None:
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont
        from reportlab.pdfgen.canvas import Canvas

        if font == CHINESE:
            pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))
        self._out = io.BytesIO()
        self._canvas = Canvas(self._out, pagesize=(595, 842), invariant=1)
        self.font, self.size, self.y = font, size, TOP

    def put(self, template: str, x: float, y: float, *, size: float = 0) -> None:
        """A line at a place, its raised and lowered pieces smaller."""
        size = size or self.size
        for kind, text in as_runs(template):
            own = size * 0.65 if kind else size
            rise = {"^": 0.4, "_": -0.18}.get(kind, 0) * size
            self._canvas.setFont(self.font, own)
            self._canvas.drawString(x, y + rise, text)
            x += self._canvas.stringWidth(text, self.font, own)

    def lines(self, *templates: str, x: float = LEFT, size: float = 0, step: float = STEP) -> None:
        """Lines below each other."""
        for template in templates:
            self.put(template, x, self.y, size=size)
            self.y -= step

    def head(self, text: str) -> None:
        """A heading in larger type, with space around it."""
        self.y -= 10
        self.lines(text, size=self.size * 1.5)
        self.y -= 10

    def wrap(self, text: str, width: float = WIDTH) -> list[str]:
        """Plain text as lines of at most that width."""
        lines = [""]
        pieces = _CHINESE_PIECES if self.font == CHINESE else _PIECES
        for piece in pieces.findall(text):
            longer = lines[-1] + piece
            if lines[-1] and self._canvas.stringWidth(longer.strip(), self.font, self.size) > width:
                lines.append("")
            lines[-1] += piece
        return [line.strip() for line in lines]

    def prose(self, text: str, **where: float) -> None:
        """A paragraph, with space below it."""
        self.lines(*self.wrap(text), **where)
        self.y -= STEP

    def row(self, *cells: str, at: Sequence[float] = (0, 150, 270, 380)) -> None:
        """A row of a table."""
        for text, x in zip(cells, at, strict=False):
            self.put(text, LEFT + x, self.y)
        self.y -= STEP + 3

    def turn(self) -> None:
        """The next page."""
        self._canvas.showPage()
        self.y = TOP

    def finish(self) -> bytes:
        """The file."""
        self._canvas.showPage()
        self._canvas.save()
        return self._out.getvalue()


def make_pdf_documents(seed: int) -> list[Document]:
    """All PDFs, with numbers from the seed."""
    from ingest_documents_pdf_pages import PAGES

    return [make_pdf(maker, seed) for maker in (*PDFS, *PAGES)]


def make_pdf(maker: Callable[[Paper, Numbers], list[Fact]], seed: int) -> Document:
    """One PDF with its facts."""
    name = maker.__name__.replace("_", "-")
    paper = Paper(font=CHINESE if name.endswith("-zh") else FONT)
    facts = maker(paper, Numbers(f"{seed} pdf {name}"))
    return Document(name=name, format_name="pdf", data=paper.finish(), facts=tuple(facts))


def raised_marks(paper: Paper, n: Numbers) -> list[Fact]:
    a, b, c, d = n.year(), n.thousands(), n.two(), n.digit()
    paper.head("Karsted")
    paper.lines(
        f"The town was founded in {a}{{[12]}} by people from the coast, and",
        f"it had {b}{{[3,4]}} people when the harbour silted up{{[5]}} in the north.",
        f"The dose was {c} mg{{[7–9]}} a day, which gave about 10{{^{d}}} cells in",
        f"each sample; the second had 10{{^−{d}}} of them, or 2{{^{c}}} in all.",
    )
    return [
        heading("Karsted"),
        says(f"in {a}{{[12]}} by"),
        says(f"had {b}{{[3,4]}} people"),
        says("silted up{[5]} in"),
        says(f"was {c} mg{{[7–9]}} a"),
        says(f"about 10{{^{d}}} cells"),
        says(f"had 10{{^−{d}}} of", never=[f"had 10−{d} of"]),
        says(f"or 2{{^{c}}} in all"),
    ]


def lowered_marks(paper: Paper, n: Numbers) -> list[Fact]:
    a, b, c = n.two(), n.three(), n.decimal()
    paper.lines(
        f"The value of log{{_2}}{a} is below that of log{{_10}}{b} in all cases.",
        f"In base two, 101{{_2}} is five; the water (H{{_2~}}O) holds {c} mmol of",
        f"Ca{{^2+~}} per litre, and {c[0]} mg of CO{{_2~}} in {a + 1} m{{^3~}} of air.",
        f"The field is {a + 2} km{{^2~}} and the isotope {{^14~}}C was found.",
    )
    return [
        says(f"of log{{_2}}{a} is"),
        says(f"of log{{_10}}{b} in"),
        says("two, 101{_2} is five"),
        says("water (H{_2~}O) holds"),
        says(f"{c} mmol of Ca{{^2+~}} per"),
        says(f"mg of CO{{_2~}} in {a + 1} m{{^3~}} of"),
        says(f"is {a + 2} km{{^2~}} and"),
        says("isotope {^14~}C was"),
    ]


def hyphens(paper: Paper, n: Numbers) -> list[Fact]:
    a, b = n.two(), n.two()
    paper.lines(
        "The information came from a well-",
        "known doctor in the north, and an anti-",
        f"inflammatory dose of {a} mg was a {b}-",
        "month course for COVID-",
        "19 and for IL-",
        "6 levels. More infor-",
        "mation is in the anti-inflammatory guide of the non-",
        "small-cell group, which twenty-",
        "five wards took. It is known and they did well.",
    )
    return [
        says("a well-known doctor", never=["wellknown"]),
        says("an anti-inflammatory dose", never=["antiinflammatory"]),
        says(f"a {b}-month course", never=[f"{b}month"]),
        says("for COVID-19 and", never=["COVID19"]),
        says("for IL-6 levels", never=["IL6 levels"]),
        says("More information is", never=["infor-mation"], also="More infor-\u2060mation is"),
        says("the non-small-cell group"),
        says("which twenty-five wards", never=["twentyfive"]),
    ]


def wrapped_numbers(paper: Paper, n: Numbers) -> list[Fact]:
    a, b, c, d = n.year(), n.two(), n.three(), n.thousands()
    paper.lines(
        f"The harbour of the old town by the sea was built in {a}",
        f"{b} people at a time worked on it, from the years {a + 3}-",
        f"{a + 9} on, and the whole of it cost the town council {d}",
        f"{c} of them in gold. The pressure was found to be below <",
        f"{b + 1} kPa, and the temperature of the water fell to −",
        f"{b + 2} °C in the winter, in ward {b + 3}/",
        f"{b + 4} of the north side, where p = 0.0{b + 5}",
        f"{c + 1} patients had it.",
    )
    return [
        says(f"built in {a} {b} people", never=[f"{a}{b} people"]),
        says(f"years {a + 3}-{a + 9} on", never=[f"{a + 3}{a + 9}"], also=f"{a + 3}- {a + 9} on"),
        says(f"council {d} {c} of them", never=[f"{d}{c} of"]),
        says(f"below < {b + 1} kPa", also=f"below <{b + 1} kPa"),
        says(f"to −{b + 2} °C", also=f"to − {b + 2} °C"),
        says(f"ward {b + 3}/{b + 4} of", also=f"ward {b + 3}/ {b + 4} of"),
        says(f"p = 0.0{b + 5} {c + 1} patients", never=[f"0.0{b + 5}{c + 1} patients"]),
    ]


def table(paper: Paper, n: Numbers) -> list[Fact]:
    rows = [(name, n.three(), n.decimal()) for name in ("Karsted", "Oslo", "Lima", "Rome", "Bonn")]
    paper.prose("The roads of five towns were counted, and the people who live near each of them.")
    paper.row("Town", "People", "Road")
    for name, people, road in rows:
        paper.row(name, f"{people}", f"{road} km")
    paper.y -= STEP
    paper.prose(f"In all there were {rows[0][1] + 1} roads.")
    facts = [cell(name, f"{people}") for name, people, _ in rows]
    return [
        *facts,
        *(cell(name, f"{r} km") for name, _, r in rows),
        says(f"{rows[0][1] + 1} roads"),
    ]


def numeric_table(paper: Paper, n: Numbers) -> list[Fact]:
    a, b, c, d = n.digit(), n.two(), n.two(), n.decimal()
    paper.row("Group", "Dose", "p", "Cells")
    paper.row("Alpha", f"<{b} mg", f"0.0{c}", f"10{{^{a}}}")
    paper.row("Beta", f">{b + 1} mg", f"<0.0{c + 1}", f"{b}{{[a]}}")
    paper.row("Gamma", f"{d} ± 0.{a}", f"0.0{c + 2}", f"{b + 2} ({c}%)")
    return [
        cell("Alpha", f"<{b} mg"),
        cell("Alpha", f"0.0{c}"),
        cell("Alpha", f"10{{^{a}}}"),
        cell("Beta", f">{b + 1} mg"),
        cell("Beta", f"<0.0{c + 1}"),
        cell("Beta", f"{b}{{[a]}}"),
        cell("Gamma", f"{d} ± 0.{a}"),
        cell("Gamma", f"{b + 2} ({c}%)"),
    ]


def lists(paper: Paper, n: Numbers) -> list[Fact]:
    a, b = n.two(), n.two()
    paper.head("Steps")
    items = [
        (
            f"{a}.",
            f"Wash the hands with {b} ml of the liquid that is by the door, and do so twice a",
        ),
        ("", "day at least."),
        (f"{a + 2}.", f"Take {b + 1} mg of it."),
        ("(c)", "Call the ward."),
        ("iv.", f"Write {b + 2} in the book."),
        ("•", f"Never more than {b + 3} mg."),
    ]
    for mark, text in items:
        paper.put(mark, LEFT, paper.y)
        paper.put(text, LEFT + 24, paper.y)
        paper.y -= STEP
    return [
        heading("Steps"),
        item(a, f"Wash the hands with {b} ml"),
        says("so twice a day at least"),
        item(a + 2, f"Take {b + 1} mg"),
        item("c", "Call the ward"),
        item("iv", f"Write {b + 2} in"),
        says(f"more than {b + 3} mg"),
    ]


def comparisons(paper: Paper, n: Numbers) -> list[Fact]:
    a, b = n.two(), n.decimal()
    paper.prose(
        f"The result was p<0.0{a} and q>{b} in all groups, with a < b > c in {a + 1} cases."
    )
    paper.prose(f"Use the <dose> of 2*{a + 2}*3 units, and var_{a}_max at most [{a + 3}, {a + 4}).")
    paper.prose(f"It cost £{a},250 or ±{b} %; the ratio is 1:{a + 5} and x = -{a + 6}.")
    return [
        says(f"p<0.0{a} and q>{b} in"),
        says(f"a < b > c in {a + 1} cases"),
        says("the <dose> of"),
        says(f"of 2*{a + 2}*3 units"),
        says(f"var_{a}_max at"),
        says(f"[{a + 3}, {a + 4})"),
        says(f"£{a},250 or ±{b} %"),
        says(f"1:{a + 5} and x = -{a + 6}"),
    ]


def prose_zh(paper: Paper, n: Numbers) -> list[Fact]:
    a, b, c, d = n.year(), n.two(), n.digit(), n.three()
    paper.head("一、沿革")
    first = (
        f"卡斯特德大桥于{a}年建成通车，全长{d}米，高{b}米，是当时北方最长的桥梁之一，"
        "每天有许多人经过。"
    )
    paper.prose(first)
    paper.lines(f"样本含有约10{{^{c}}}个细胞{{[12]}}，占全部的{b}.5%{{[3]}}。")
    paper.y -= STEP
    paper.prose(f"剂量<{b + 1} mg时，温度为-{b + 2}度，第{b + 3}条适用。")
    return [
        heading("一、沿革"),
        says(first),
        says(f"约10{{^{c}}}个"),
        says("个细胞{[12]}，占"),
        says(f"的{b}.5%{{[3]}}"),
        says(f"剂量<{b + 1} mg时"),
        says(f"第{b + 3}条适用"),
    ]


def table_zh(paper: Paper, n: Numbers) -> list[Fact]:
    rows = [(name, n.three(), n.decimal()) for name in ("北京", "上海", "广州", "西安")]
    paper.row("城市", "人口", "比例")
    for name, people, share in rows:
        paper.row(name, f"{people}万", f"{share}%")
    facts = [cell(name, f"{people}万") for name, people, _ in rows]
    return [*facts, *(cell(name, f"{share}%") for name, _, share in rows)]


def lists_zh(paper: Paper, n: Numbers) -> list[Fact]:
    a, b = n.two(), n.two()
    paper.head("第二章")
    paper.lines(
        f"一、每日服用{a}毫克。", f"二、不得超过{a + 1}天。", f"（三）孕妇减为{a + 2}毫克。"
    )
    paper.y -= STEP
    paper.lines(f"{b}．编号为Ａ１２。", f"{b + 1}、电话为０１０。")
    return [
        heading("第二章"),
        item("一", f"每日服用{a}毫克"),
        item("二", f"不得超过{a + 1}天"),
        says(f"（三）孕妇减为{a + 2}毫克"),
        says(f"{b}．编号为Ａ１２", also=f"{b}[.．] ?编号为A12"),
        says(f"{b + 1}、电话为０１０", also=f"{b + 1}、电话为010"),
    ]


PDFS: tuple[Callable[[Paper, Numbers], list[Fact]], ...] = (
    raised_marks,
    lowered_marks,
    hyphens,
    wrapped_numbers,
    table,
    numeric_table,
    lists,
    comparisons,
    prose_zh,
    table_zh,
    lists_zh,
)
