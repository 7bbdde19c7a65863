"""Generated pages with difficult text: raised and lowered marks, formulas, comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ingest_documents import (
    Document,
    Fact,
    Numbers,
    as_html,
    heading,
    item,
    matches,
    says,
)

# Pages have more text than the planted facts, because extractors reject very short pages.
_MORE = {
    "en": "The boats went north in the spring and came back with salt, as they did in every year. "
    "Nobody in the town had seen such a ship before that winter, and few have seen one since then. "
    "The council paid for the road and for the wall by the sea, which stand there to this day.",
    "zh": "春天的时候船队向北航行，带回了许多盐和木材，每一年都是如此。"
    "那年冬天以前，镇上没有人见过这样的大船，"
    ""
    "后来也很少有人再见到。议会出钱修了海边的路和墙，至今仍在使用，人们常常在傍晚来这里散步。",
}

Made: TypeAlias = tuple[str, list[Fact]]


def make_html_documents(seed: int) -> list[Document]:
    """All pages, with numbers from the seed."""
    from ingest_documents_html_blocks import BLOCKS

    return [make_page(maker, seed) for maker in (*PAGES, *BLOCKS)]


def make_page(maker: Callable[[Numbers], Made], seed: int) -> Document:
    """One page with its body, and the usual elements around it."""
    name = maker.__name__.replace("_", "-")
    body, facts = maker(Numbers(f"{seed} html {name}"))
    language = "zh" if name.endswith("-zh") else "en"
    more = "".join(f"<p>{_MORE[language]}</p>" for _ in range(2))
    page = (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>'
        f"{name}</title>"
        "<style>p { margin: 3em }</style></head><body><nav><a href='/'>Home</a></nav>"
        f"<main><article>\n{body}\n{more}\n</article></main></body></html>\n"
    )
    return Document(name=name, format_name="html", data=page.encode(), facts=tuple(facts))


def paragraphs(*templates: str) -> str:
    """Each template as a paragraph."""
    return "\n".join(f"<p>{as_html(template)}</p>" for template in templates)


def citations(n: Numbers) -> Made:
    town, left, people = n.year(), n.year(), n.thousands()
    texts = [
        f"The town of Karsted was founded in {town}{{[1,2]}} by people from the coast.",
        f"Most of them left in {left}{{[3–5]}}, when the harbour silted up.",
        f"It had {people}{{[14]}} people then, and {(m := n.three())}{{[15 16]}} houses.",
        f"The dose was {(d := n.two())} mg{{[7]}} and the mean was "
        f"{(x := n.decimal())}{{[8,9]}} days.",
    ]
    return f"<h1>Karsted</h1>{paragraphs(*texts)}", [
        heading("Karsted"),
        says(f"founded in {town}{{[1,2]}} by people"),
        says(f"left in {left}{{[3–5]}}, when"),
        says(f"had {people}{{[14]}} people"),
        says(f"{m}{{[15 16]}} houses"),
        says(f"was {d} mg{{[7]}} and"),
        says(f"mean was {x}{{[8,9]}} days"),
    ]


def linked_citations(n: Numbers) -> Made:
    year, share, count = n.year(), n.two(), n.three()

    def link(number: int) -> str:
        return f'<sup id="r{number}"><a href="#c{number}">[{number}]</a></sup>'

    body = (
        f"<h1>Salt</h1><p>Salt was mined from {year}{link(1)}{link(2)} on, in "
        f"{count}{link(3)} pits "
        f"near the old road to the sea.</p><p>About {share}%{link(4)} of it went north by boat.</p>"
        f'<h2>Notes</h2><ol><li id="c1">Mira, {year - 3}, page 12.</li><li id="c2">Ada, page '
        f'{share + 100}.</li><li id="c3">Olaf.</li><li id="c4">Ida, {year + 5}.</li></ol>'
    )
    return body, [
        says(f"mined from {year}{{[1,2]}} on"),
        says(f"in {count}{{[3]}} pits"),
        says(f"About {share}%{{[4]}} of it"),
        heading("Notes"),
        item(1, f"Mira, {year - 3}"),
        item(4, f"Ida, {year + 5}"),
    ]


def powers(n: Numbers) -> Made:
    a, b, c = n.digit(), n.decimal(), n.two()
    k, e = n.decimal(), n.digit()
    lines = [
        f"The sample held about 10{{^{a}}} cells, and the second one about 10{{^{b}}} cells.",
        f"A search of 2{{^k}} states took {c} seconds; the mass is {k} × 10{{^−{e}}} kg.",
        f"The field is {c + 1} m{{^2~}} wide and the tank holds {c + 2} m{{^3~}} of water.",
        f"The sum grows as n{{^{a + 1}}} while the other grows as x{{^n+1}} only.",
        f"It ran at {c + 3} m s{{^−1~}} in (a + b){{^2}} tests.",
    ]
    return paragraphs(*lines), [
        says(f"about 10{{^{a}}} cells, and"),
        says(f"one about 10{{^{b}}} cells"),
        says("of 2{^k} states"),
        says(f"is {k} × 10{{^−{e}}} kg"),
        says(f"is {c + 1} m{{^2~}} wide"),
        says(f"holds {c + 2} m{{^3~}} of water"),
        says(f"as n{{^{a + 1}}} while"),
        says("as x{^n+1} only"),
        says(f"at {c + 3} m s{{^−1~}} in"),
        says("(a + b){^2} tests"),
    ]


def lowered(n: Numbers) -> Made:
    a, b = n.two(), n.three()
    lines = [
        f"The value of log{{_2}}{a} is below that of log{{_10}}{b}.",
        f"In base two, 101{{_2}} is five, and {b + 1}{{_8}} is an octal number.",
        "Water is H{_2~}O, the acid is H{_2~}SO{_4~} and the gas is CO{_2~} here.",
        f"The term x{{_1}} is {a + 1} and a{{_n+1}} is {a + 2}.",
    ]
    return f"<h2>Logarithms</h2>{paragraphs(*lines)}", [
        heading("Logarithms"),
        says(f"of log{{_2}}{a} is"),
        says(f"of log{{_10}}{b}"),
        says("two, 101{_2} is five"),
        says(f"and {b + 1}{{_8}} is"),
        says("acid is H{_2~}SO{_4~} and"),
        says("gas is CO{_2~} here"),
        says(f"a{{_n+1}} is {a + 2}"),
    ]


def chemistry(n: Numbers) -> Made:
    a, b, c = n.decimal(), n.decimal(), n.two()
    lines = [
        f"It held {a} mmol/L of Ca{{^2+~}} and {b} mmol/L of SO{{_4~}}{{^2−}} ions.",
        f"After {c} days the {{^14~}}C dating gave an age; {{^235~}}U was not found.",
        f"The pH rose to {c % 9 + 1}.4, and 2 H{{_2~}} + O{{_2~}} → 2 H{{_2~}}O gives heat.",
        f"A solution of {c}% NaCl at −{c + 4} °C froze within {c + 7} µm of the wall.",
    ]
    return paragraphs(*lines), [
        says(f"held {a} mmol/L of Ca{{^2+~}} and"),
        says(f"{b} mmol/L of SO{{_4~}}{{^2−}} ions"),
        says("the {^14~}C dating"),
        says("age; {^235~}U was"),
        says(f"pH rose to {c % 9 + 1}.4"),
        says("O{_2~} → 2 H{_2~}O gives", also="O_?2 -> 2 H_?2O gives"),
        says(f"{c}% NaCl at −{c + 4} °C froze"),
        says(f"{c + 7} μm of"),
    ]


def mathml(n: Numbers) -> Made:
    a, b, c, d = n.digit(), n.two(), n.digit(), n.three()

    def math(inner: str) -> str:
        return f"<math xmlns='http://www.w3.org/1998/Math/MathML'>{inner}</math>"

    power = f"<msup><mn>10</mn><mn>{a}</mn></msup>"
    index = f"<msub><mi>x</mi><mn>{c}</mn></msub>"
    both = f"<msubsup><mn>{b}</mn><mn>{c}</mn><mn>{a}</mn></msubsup>"
    fraction = f"<mfrac><mn>{c}</mn><mn>{b}</mn></mfrac>"
    root = f"<msqrt><mn>{d}</mn></msqrt>"
    body = (
        f"<p>The star emits {math(power)} watts over {math(index)} miles, at "
        f"{math(fraction)} of it."
        f"</p><p>The root is {math(root)} of all, and {math(both)} is odd.</p>"
        f"<p>It was {math(f'<mi>p</mi><mo>&lt;</mo><mn>0.0{b}</mn>')} there.</p>"
    )
    sub_sup = rf"{b} ?(?:_\{{?{c}\}}?|{_low(c)}) ?(?:\^\{{?{a}\}}?|{_high(a)}) is odd"
    return body, [
        says(f"emits 10{{^{a}}} watts"),
        says(f"over x{{_{c}}} miles"),
        says(f"at {{/{c}|{b}}} of it"),
        matches(f"root of {d}", rf"(?:√|\\sqrt|sqrt) ?[({{]? ?{d} ?[)}}]? ?of all", rf"is {d} of"),
        matches(f"{b} with {c} below, {a} above", sub_sup, rf"{b} ?{c} ?{a} is odd"),
        matches(f"p < 0.0{b}", rf"was p ?(?:\\?<|&lt;) ?0\.0{b} there"),
    ]


def _low(digit: int) -> str:
    return "₀₁₂₃₄₅₆₇₈₉"[digit]


def _high(digit: int) -> str:
    return "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]


def tex(n: Numbers) -> Made:
    a, b, c = n.digit(), n.two(), n.digit()
    source = (
        f"<math alttext='x^{{{b}}} + {c}'><msup><mi>x</mi><mn>{b}</mn></msup><mo>+</mo>"
        f"<mn>{c}</mn></math>"
    )
    body = (
        f"<p>The energy is \\(E = {a}mc^2\\) in all, and {source} is a sum.</p>"
        f'<p>The picture <img src="f.png" alt="\\frac{{{a}}}{{{b}}}"> shows a share.</p>'
        f"<p>In display: $$\\sum_{{i={c}}}^{{{b + 1}}} i^2$$</p>"
    )
    return body, [
        matches(f"E = {a}mc^2", rf"E ?= ?{a} ?mc(?:\\?\^\{{?2\}}?|²)"),
        matches(
            f"x^{b} + {c}", rf"x(?:\\?\^\{{? ?{b} ?\}}?) ?\+ ?{c} ?\$? is a sum", f"x ?{b} ?\\+"
        ),
        matches(f"{a}/{b}", rf"\\frac ?\{{ ?{a} ?\}} ?\{{ ?{b} ?\}}|{a}/{b}"),
        matches("sum bounds", rf"\\?_\{{i={c}\}}\\?\^\{{{b + 1}\}}"),
    ]


def comparisons(n: Numbers) -> Made:
    a, b, c = n.two(), n.two(), n.decimal()
    lines = [
        f"The result was p<0.0{a} and q>{b} in all groups.",
        f"Give <{b + 1} mg to a child, and >{b + 2} mg to nobody.",
        f"We saw a < b > c, and {c} ≤ x ≤ {b + 20}, but y ≠ {a + 3}.",
        f"Use the <dose> and 2*{a + 4}*{b + 5} units of var_{a}_max & co.",
    ]
    return paragraphs(*lines), [
        says(f"p<0.0{a} and q>{b} in"),
        says(f"Give <{b + 1} mg to"),
        says(f"and >{b + 2} mg to"),
        says("saw a < b > c, and"),
        says(f"and {c} ≤ x ≤ {b + 20}, but"),
        says(f"y ≠ {a + 3}"),
        says("the <dose> and"),
        says(f"and 2*{a + 4}*{b + 5} units"),
        says(f"var_{a}_max & co"),
    ]


def edits_and_units(n: Numbers) -> Made:
    a, b, c, d = n.two(), n.two(), n.thousands(), n.decimal()
    body = (
        f"<p>The dose is <del>{a} mg</del><ins>{b} mg</ins> a day.</p>"
        f"<p>It costs {c}&nbsp;€ or {d}&thinsp;%, at {a + 1}&#8239;°C, from "
        f"{b + 1}–{b + 9}&nbsp;kg.</p>"
        f"<p>A long<wbr>word and 5&shy;mg, and ½ cup, ±{d}, 1:{a + 3} and {a}′{b}″ north.</p>"
        f"<p>Part one<br>{b + 11} pages<br>{b + 12} maps</p><p>No.&nbsp;{a + 5}<!-- "
        "77 --> is kept.</p>"
    )
    return body, [
        says(f"{b} mg a day", never=[f"{a} mg{b} mg"]),
        says(f"costs {c} € or"),
        says(f"or {d} %, at", also=f"or {d}%, at"),
        says(f"at {a + 1} °C", also=f"at {a + 1}°C"),
        says(f"from {b + 1}–{b + 9} kg"),
        says(f"±{d}, 1:{a + 3} and"),
        says(f"{b + 11} pages {b + 12} maps", never=[f"pages{b + 12}", f"one{b + 11}"]),
        says(f"No. {a + 5} is kept"),
    ]


def citations_zh(n: Numbers) -> Made:
    a, b, c = n.year(), n.thousands(), n.digit()
    lines = [
        f"卡斯特德镇建于{a}年{{[1,2]}}，当时有{b}{{[3]}}人。",
        f"样本含有约10{{^{c}}}个细胞，面积为{c + 20} m{{^2~}}。",
        f"其浓度为{c}.5%，pH值<{c + 1}，温度为−{c + 12}℃。",
    ]
    return f"<h1>卡斯特德</h1>{paragraphs(*lines)}", [
        heading("卡斯特德"),
        says(f"建于{a}年{{[1,2]}}，当时"),
        says(f"有{b}{{[3]}}人"),
        says(f"约10{{^{c}}}个细胞"),
        says(f"为{c + 20} m{{^2~}}"),
        says(f"浓度为{c}.5%"),
        says(f"pH值<{c + 1}，"),
        says(f"为−{c + 12}℃"),
    ]


def mixed_zh(n: Numbers) -> Made:
    a, b, c = n.two(), n.year(), n.decimal()
    lines = [
        f"研究者（Smith et al., {b}{{[6–8]}}）报告BMI≥{a}的患者占{c}%。",
        f"COVID-19期间，IL-6水平为{a + 1} pg/mL（P<0.0{a % 9 + 1}）。",
        f"第{a + 2}章：共{a + 3}×10{{^{a % 8 + 2}}}/L。",
    ]
    return paragraphs(*lines), [
        says(f"{b}{{[6–8]}}）报告"),
        says(f"BMI≥{a}的"),
        says(f"占{c}%"),
        says("COVID-19期间"),
        says(f"IL-6水平为{a + 1} pg/mL"),
        says(f"P<0.0{a % 9 + 1}）"),
        says(f"第{a + 2}章"),
        says(f"共{a + 3}×10{{^{a % 8 + 2}}}/L"),
    ]


PAGES: tuple[Callable[[Numbers], Made], ...] = (
    citations,
    linked_citations,
    powers,
    lowered,
    chemistry,
    mathml,
    tex,
    comparisons,
    edits_and_units,
    citations_zh,
    mixed_zh,
)
