"""Generated PDFs with difficult pages: columns, slides, running heads, numbered headings."""

from __future__ import annotations

from collections.abc import Callable

from ingest_documents import Fact, Numbers, cell, heading, says
from ingest_documents_pdf import LEFT, STEP, TOP, WIDTH, Paper

_WORDS = (
    "The boats went north in the spring and came back with salt.",
    "Nobody in the town had seen such a ship before that winter.",
    "The council paid for the road and for the wall by the sea.",
    "Bread was baked before dawn and sold at the old gate.",
    "Most of the wells were dug by hand and are dry today.",
    "The school stood open, and the bell rang twice an hour.",
)
_CHINESE = (
    "春天的时候船队向北航行，带回了许多盐和木材。",
    "那年冬天以前，镇上没有人见过这样的大船。",
    "议会出钱修了海边的路和墙，至今仍在使用。",
    "面包在天亮之前烤好，在老城门口出售给大家。",
)


def slides(paper: Paper, n: Numbers) -> list[Fact]:
    facts = []
    for page in range(1, 6):
        a, b = n.three(), n.two()
        paper.y = 520
        paper.lines(f"Results {page}", size=24, step=40)
        paper.lines(f"{a} patients were seen in ward {b}", f"Dose below {b + 1} mg", step=30)
        paper.turn()
        facts += [
            heading(f"Results {page}"),
            says(f"{a} patients were seen in ward {b}"),
            says(f"below {b + 1} mg"),
        ]
    return facts


def short_pages(paper: Paper, n: Numbers) -> list[Fact]:
    facts = []
    for page in range(1, 5):
        a = n.two()
        paper.lines(
            f"Paragraph of page {page} goes on with {a} boats.", f"Ward {page}: {a + 1} mg."
        )
        paper.turn()
        facts += [says(f"page {page} goes on with {a} boats"), says(f"Ward {page}: {a + 1} mg")]
    return facts


def articles(paper: Paper, n: Numbers) -> list[Fact]:
    return _counting_pages(paper, n, "Article {}")


def patients(paper: Paper, n: Numbers) -> list[Fact]:
    return _counting_pages(paper, n, "Patient {}")


def _counting_pages(paper: Paper, n: Numbers, form: str) -> list[Fact]:
    facts = []
    for page in range(1, 6):
        value = n.three()
        paper.lines(form.format(page), size=16, step=30)
        paper.prose(" ".join(_WORDS[:4]) + f" It counted {value} of them. " + " ".join(_WORDS[4:]))
        paper.put(f"{page}", 290, 40)
        paper.turn()
        facts += [heading(form.format(page)), says(f"It counted {value} of them.")]
    return facts


def running_heads(paper: Paper, n: Numbers) -> list[Fact]:
    year, number = n.year(), n.two()
    facts: list[Fact] = []
    sentence = ""
    for page in range(1, 9):
        value, other = n.three(), n.two()
        paper.put(f"Karsted Journal {year}, volume {number}", LEFT, 805, size=9)
        paper.put(f"Page {page} of 8", 270, 35, size=9)
        if sentence:
            paper.lines(sentence)
            paper.y -= STEP
        paper.prose(f"In part {page} there were {value} boats. " + " ".join(_WORDS))
        paper.head(f"Section {page + 2}")
        while paper.y > 110:
            paper.prose(" ".join(_WORDS))
        paper.lines(*paper.wrap(" ".join(_WORDS[:5]))[:2])
        last = (
            f"The count of the boats that came to the harbour in year {page} was then "
            f"{other} and it"
        )
        paper.lines(last)
        sentence = f"rose to {other + 100} in the year after."
        facts += [says(f"part {page} there were {value} boats."), heading(f"Section {page + 2}")]
        if page < 8:
            facts.append(says(f"{last} {sentence}"))
            paper.turn()
    return facts


def two_columns_by_row(paper: Paper, n: Numbers) -> list[Fact]:
    return _columns(paper, n, 2, by_row=True)


def two_columns(paper: Paper, n: Numbers) -> list[Fact]:
    return _columns(paper, n, 2, by_row=False)


def three_columns(paper: Paper, n: Numbers) -> list[Fact]:
    return _columns(paper, n, 3, by_row=True)


def _columns(paper: Paper, n: Numbers, count: int, *, by_row: bool) -> list[Fact]:
    """Columns under one heading; every column has sentences with its own numbers."""
    paper.head("The Salt Road")
    gap = 24.0
    width = (WIDTH - gap * (count - 1)) / count
    facts = [heading("The Salt Road")]
    columns = []
    for column in range(count):
        texts = []
        for word in _WORDS[:5]:
            sentence = (
                f"In {n.year()} column {column + 1} held {n.three()} boats of {n.two()} feet."
            )
            texts += [sentence, word]
            facts.append(says(sentence))
        columns.append(paper.wrap(" ".join(texts), width))
    _draw_columns(paper, columns, width + gap, by_row=by_row)
    return facts[: 1 + 8]


def _draw_columns(paper: Paper, columns: list[list[str]], step: float, *, by_row: bool) -> None:
    top = paper.y
    places = [
        (line, column) for line in range(max(map(len, columns))) for column in range(len(columns))
    ]
    if not by_row:
        places.sort(key=lambda place: place[1])
    for line, column in places:
        if line < len(columns[column]):
            paper.put(columns[column][line], LEFT + column * step, top - line * STEP)
    paper.y = top - max(map(len, columns)) * STEP


def columns_and_table(paper: Paper, n: Numbers) -> list[Fact]:
    facts = _columns(paper, n, 2, by_row=True)[1:6]
    paper.y -= 2 * STEP
    rows = [(name, n.three(), n.two()) for name in ("Alpha", "Beta", "Gamma")]
    paper.row("Group", "Boats", "Feet")
    for name, boats, feet in rows:
        paper.row(name, f"{boats}", f"{feet} ft")
        facts += [cell(name, f"{boats}"), cell(name, f"{feet} ft")]
    return facts


def footnotes(paper: Paper, n: Numbers) -> list[Fact]:
    a, b, c = n.year(), n.thousands(), n.two()
    paper.head(f"{a} and after")
    paper.lines(
        f"The town was built in {a + 1}{{[1]}} by {b}{{[2]}} people who came by boat from",
        "the coast, and who stayed there for the whole of the winter.",
    )
    paper.y = 120
    paper.lines(
        f"{{[1]}} Mira, page {c}.", f"{{[2]}} Counted in {a + 4}, with {c + 1} lost.", size=8
    )
    return [
        heading(f"{a} and after"),
        says(f"in {a + 1}{{[1]}} by"),
        says(f"by {b}{{[2]}} people"),
        says("boat from the coast, and who stayed"),
        says(f"Mira, page {c}"),
        says(f"Counted in {a + 4}, with {c + 1} lost"),
    ]


def two_columns_zh(paper: Paper, n: Numbers) -> list[Fact]:
    paper.head("盐路")
    facts = [heading("盐路")]
    columns = []
    for column in range(2):
        texts = []
        for word in _CHINESE:
            sentence = f"{n.year()}年第{column + 1}栏共有{n.three()}艘船，每艘长{n.two()}米。"
            texts += [sentence, word]
            facts.append(says(sentence))
        columns.append(paper.wrap("".join(texts), 210))
    _draw_columns(paper, columns, 234, by_row=True)
    return facts


def articles_zh(paper: Paper, n: Numbers) -> list[Fact]:
    facts = []
    for page, mark in enumerate("一二三四", start=1):
        a = n.three()
        paper.put("卡斯特德条例", LEFT, 805, size=9)
        paper.put(f"- {page} -", 280, 35, size=9)
        paper.lines(f"第{mark}条", size=16, step=30)
        paper.prose(f"本条适用于{a}人。" + "".join(_CHINESE * 2))
        paper.y = min(paper.y, TOP - 200)
        paper.turn()
        facts += [heading(f"第{mark}条"), says(f"本条适用于{a}人。")]
    return facts


PAGES: tuple[Callable[[Paper, Numbers], list[Fact]], ...] = (
    slides,
    short_pages,
    articles,
    patients,
    running_heads,
    two_columns_by_row,
    two_columns,
    three_columns,
    columns_and_table,
    footnotes,
    two_columns_zh,
    articles_zh,
)
