"""Made pages: marks raised and lowered, tables, lists, formulas, and what interactive pages hide."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ingest_documents import (
    Document,
    Fact,
    Numbers,
    as_html,
    cell,
    heading,
    item,
    matches,
    says,
)

Made: TypeAlias = tuple[str, list[Fact]]


def make_html_documents(seed: int) -> list[Document]:
    """All pages, with numbers from the seed."""
    return [make_page(maker, seed) for maker in PAGES]


def make_page(maker: Callable[[Numbers], Made], seed: int) -> Document:
    """One page about its body, with what a page has around it."""
    name = maker.__name__.replace("_", "-")
    body, facts = maker(Numbers(f"{seed} html {name}"))
    language = "zh" if name.endswith("-zh") else "en"
    page = (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{name}</title>'
        "<style>p { margin: 3em }</style></head><body><nav><a href='/'>Home</a></nav>"
        f"<main><article>\n{body}\n</article></main></body></html>\n"
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
        f"The dose was {(d := n.two())} mg{{[7]}} and the mean was {(x := n.decimal())}{{[8,9]}} days.",
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
        f"<h1>Salt</h1><p>Salt was mined from {year}{link(1)}{link(2)} on, in {count}{link(3)} pits "
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
        f"<p>The star emits {math(power)} watts over {math(index)} miles, at {math(fraction)} of it."
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
    source = f"<math alttext='x^{{{b}}} + {c}'><msup><mi>x</mi><mn>{b}</mn></msup><mo>+</mo><mn>{c}</mn></math>"
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


def table(n: Numbers) -> Made:
    rows = [(name, n.three(), n.decimal()) for name in ("Karsted", "Oslo", "Lima", "Rome")]
    cells = "".join(f"<tr><td>{x}</td><td>{y}</td><td>{z} km</td></tr>" for x, y, z in rows)
    body = (
        "<table><caption>Towns and roads</caption><tr><th>Town</th><th>People</th><th>Road</th></tr>"
        f"{cells}</table>"
    )
    facts = [cell(x, f"{y}", "People") for x, y, _ in rows]
    return body, [
        *facts,
        *(cell(x, f"{z} km", "Road") for x, _, z in rows),
        says("Towns and roads"),
    ]


def spans(n: Numbers) -> Made:
    a, b, c, d, e = (n.three() for _ in range(5))
    body = (
        "<table><thead><tr><th rowspan='2'>Ward</th><th rowspan='2'>Bed</th><th colspan='2'>Patients"
        "</th></tr><tr><th>Day</th><th>Night</th></tr></thead><tbody>"
        f"<tr><td rowspan='2'>North</td><td>Alpha</td><td>{a}</td><td>{b}</td></tr>"
        f"<tr><td>Beta</td><td>{c}</td><td>{d}</td></tr>"
        f"<tr><td>South</td><td>Gamma</td><td colspan='2'>{e}</td></tr></tbody></table>"
    )
    return body, [
        cell("Alpha", f"{a}", "Day"),
        cell("Alpha", f"{b}", "Night"),
        cell("Beta", f"{c}", "Day"),
        cell("Beta", f"{d}", "Night"),
        cell("Gamma", f"{e}"),
        cell("Alpha", "North"),
    ]


def marks_in_cells(n: Numbers) -> Made:
    a, b, c, d = n.two(), n.two(), n.three(), n.digit()
    body = (
        "<table><tr><th>Rule</th><th>Form</th><th>Count</th></tr>"
        f"<tr><td>Either</td><td>{a} | {b}</td><td>{c}</td></tr>"
        f"<tr><td>Power</td><td>10<sup>{d}</sup></td><td>{c + 1}<sup>a</sup></td></tr>"
        f"<tr><td>Below</td><td>&lt; {a + 1} mg</td><td>{c + 2}</td></tr>"
        f"<tr><td>Lines</td><td>{b + 2} mg<br>{b + 3} ml</td><td>{c + 3}</td></tr></table>"
    )
    return body, [
        cell("Either", f"{a} | {b}", never=[f"{a}{b}"]),
        cell("Either", f"{c}", "Count"),
        cell("Power", f"10{{^{d}}}"),
        cell("Power", f"{c + 1}{{[a]}}"),
        cell("Below", f"< {a + 1} mg", "Form"),
        cell("Below", f"{c + 2}", "Count"),
        says(f"{b + 2} mg", never=[f"mg{b + 3} ml"]),
        cell("Lines", f"{c + 3}", "Count"),
    ]


def ordered_lists(n: Numbers) -> Made:
    start, value = n.two(), n.three()
    body = (
        f"<p>Places.</p><ol start='{start}'><li>Lima came here.</li><li>Oslo came next.</li>"
        f"<li value='{value}'>Rome came late.</li><li>Bonn came last.</li></ol>"
        "<p>Down.</p><ol reversed><li>Gold is best.</li><li>Silver is good.</li><li>Bronze is fair."
        "</li></ol><p>Letters.</p><ol type='a' start='3'><li>Bread is made.</li><li>Salt is sold."
        "</li></ol><p>Roman.</p><ol type='I'><li>Kings rule.</li><li>Queens rule.</li>"
        "<li>Nobody rules.</li><li>Towns rule.</li></ol>"
    )
    return body, [
        item(start, "Lima came"),
        item(start + 1, "Oslo came"),
        item(value, "Rome came"),
        item(value + 1, "Bonn came"),
        item(3, "Gold is"),
        item(1, "Bronze is"),
        item("c", "Bread is"),
        item("d", "Salt is"),
        item("I", "Kings rule"),
        item("IV", "Towns rule"),
    ]


def nested_lists(n: Numbers) -> Made:
    start, dose = n.two(), n.three()
    body = (
        f"<ol><li>Prepare the ward.<ol type='i' start='4'><li>Wash with {dose} ml.</li>"
        f"<li>Dry it.</li></ol></li><li>Call the doctor.<ol start='{start}'><li>Say the name.</li>"
        f"<li>Say {dose + 1} twice.<ul><li>Wait here.</li></ul></li></ol></li><li>Go home.</li></ol>"
    )
    return body, [
        item(1, "Prepare the"),
        item("iv", f"Wash with {dose} ml"),
        item("v", "Dry it"),
        item(2, "Call the"),
        item(start, "Say the"),
        item(start + 1, f"Say {dose + 1} twice"),
        item(3, "Go home"),
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


def accordions(n: Numbers) -> Made:
    a, b, c = n.two(), n.two(), n.year()
    body = (
        "<h2>Tablets</h2><h3><button aria-expanded='false'>How much may be taken?</button></h3>"
        f"<div><p>At most {a} mg a day.</p></div><h3><button>Who must not take it?</button></h3>"
        f"<div hidden='until-found'><p>Children under {b} months.</p></div>"
        f"<details><summary>Since when is it sold?</summary><p>Since {c} in all towns.</p></details>"
        "<details open><summary>Where is it made?</summary><p>In Karsted only.</p></details>"
    )
    return body, [
        heading("Tablets"),
        heading("How much may be taken?"),
        heading("Who must not take it?"),
        says(f"most {a} mg a day"),
        says(f"under {b} months"),
        says("Since when is it sold?"),
        says(f"Since {c} in all"),
        says("Where is it made?"),
    ]


def definitions(n: Numbers) -> Made:
    a, b, c = n.two(), n.three(), n.decimal()
    body = (
        f"<dl><dt>Half-life</dt><dd>{a} hours at rest.</dd><dt>Clearance</dt><dd>{b} ml/min, in "
        f"health.</dd><dd>Lower, {c} ml/min, in age.</dd></dl>"
        f"<blockquote><p>We gave {a + 1} mg twice.</p></blockquote>"
        f"<p>She said <q>take {a + 2} drops</q> and left.</p><pre>x = {b}\nif x &lt; {a}:\n    y = 10"
        f"<sup>{a}</sup></pre><p>Call <code>f({a}, {b})</code> once.</p>"
    )
    return body, [
        says("Half-life"),
        says(f"{a} hours at rest", never=[f"life{a} hours"]),
        says(f"{b} ml/min, in health"),
        says(f"Lower, {c} ml/min"),
        says(f"gave {a + 1} mg twice"),
        says(f"take {a + 2} drops"),
        says(f"if x < {a}:"),
        says(f"y = 10{{^{a}}}"),
        says(f"f({a}, {b})"),
    ]


def edits_and_units(n: Numbers) -> Made:
    a, b, c, d = n.two(), n.two(), n.thousands(), n.decimal()
    body = (
        f"<p>The dose is <del>{a} mg</del><ins>{b} mg</ins> a day.</p>"
        f"<p>It costs {c}&nbsp;€ or {d}&thinsp;%, at {a + 1}&#8239;°C, from {b + 1}–{b + 9}&nbsp;kg.</p>"
        f"<p>A long<wbr>word and 5&shy;mg, and ½ cup, ±{d}, 1:{a + 3} and {a}′{b}″ north.</p>"
        f"<p>Part one<br>{b + 11} pages<br>{b + 12} maps</p><p>No.&nbsp;{a + 5}<!-- 77 --> is kept.</p>"
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


def figures(n: Numbers) -> Made:
    a, b, c = n.two(), n.year(), n.three()
    body = (
        f"<h1>Bridges <small>{b}</small></h1><h2>1.{a % 9 + 1} Methods</h2><p>We saw {c} bridges."
        f"</p><figure><img src='x.png' alt='A bridge of {a} arches'><figcaption>Figure 1. The bridge "
        f"of {b + 1}.</figcaption></figure><h2>Article {a}</h2><p>It holds.</p><h3>{b + 2}</h3>"
        f"<p>Nothing was built.</p><aside><p>Note: {c + 1} arches fell.</p></aside>"
    )
    return body, [
        heading(f"Bridges {b}"),
        heading(f"1.{a % 9 + 1} Methods"),
        says(f"saw {c} bridges"),
        says(f"Figure 1. The bridge of {b + 1}"),
        heading(f"Article {a}"),
        heading(f"{b + 2}"),
        says(f"Note: {c + 1} arches"),
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


def table_zh(n: Numbers) -> Made:
    rows = [(name, n.three(), n.decimal()) for name in ("北京", "上海", "广州")]
    cells = "".join(f"<tr><td>{x}</td><td>{y}万</td><td>{z}％</td></tr>" for x, y, z in rows)
    body = (
        f"<h2>二、人口</h2><table><tr><th>城市</th><th>人口</th><th>增长率</th></tr>{cells}</table>"
    )
    facts = [heading("二、人口")]
    for x, y, z in rows:
        facts += [cell(x, f"{y}万", "人口"), cell(x, f"{z}％", "增长率")]
    return body, facts


def lists_zh(n: Numbers) -> Made:
    a, b = n.two(), n.two()
    body = (
        f"<h2>一、用法</h2><ol start='{a}'><li>每日服用{b}毫克。</li><li>不得超过{b + 1}天。</li></ol>"
        f"<h2>二、禁忌</h2><ol style='list-style-type: cjk-ideographic' type='A'><li>孕妇禁用。</li>"
        "<li>儿童慎用。</li></ol><h3>（三）第十二条</h3><p>本条例自二〇二一年起施行。</p>"
        "<p>电话：０１０－１２３４，编号Ａ７。</p>"
    )
    return body, [
        heading("一、用法"),
        item(a, f"每日服用{b}毫克"),
        item(a + 1, f"不得超过{b + 1}天"),
        heading("二、禁忌"),
        heading("（三）第十二条"),
        says("自二〇二一年起"),
        says("０１０－１２３４", also="010[-－]1234"),
        says("编号Ａ７", also="编号A7"),
    ]


def accordion_zh(n: Numbers) -> Made:
    a, b = n.two(), n.digit()
    body = (
        f"<h3><button>每天可以吃多少？</button></h3><div>最多{a}毫克。</div>"
        f"<details><summary>何时停药？</summary>服用{b}天之后。</details>"
        f"<p>水是H<sub>2</sub>O，log<sub>2</sub>{a}小于{b}，即x&lt;{b}且y&gt;{a}。</p>"
        "<p><ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字。</p>"
    )
    return body, [
        heading("每天可以吃多少？"),
        says(f"最多{a}毫克"),
        says("何时停药？"),
        says(f"服用{b}天之后"),
        says("水是H{_2~}O，"),
        says(f"log{{_2}}{a}小于"),
        says(f"即x<{b}且y>{a}。"),
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
    table,
    spans,
    marks_in_cells,
    ordered_lists,
    nested_lists,
    comparisons,
    accordions,
    definitions,
    edits_and_units,
    figures,
    citations_zh,
    table_zh,
    lists_zh,
    accordion_zh,
    mixed_zh,
)
