"""Generated pages with difficult blocks: tables, lists, accordions, definitions, figures."""

from __future__ import annotations

from collections.abc import Callable

from ingest_documents import Numbers, cell, heading, item, says
from ingest_documents_html import Made


def table(n: Numbers) -> Made:
    rows = [(name, n.three(), n.decimal()) for name in ("Karsted", "Oslo", "Lima", "Rome")]
    cells = "".join(f"<tr><td>{x}</td><td>{y}</td><td>{z} km</td></tr>" for x, y, z in rows)
    body = (
        "<table><caption>Towns and roads</caption><tr><th>Town</th><th>People</th>"
        "<th>Road</th></tr>"
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
        "<table><thead><tr><th rowspan='2'>Ward</th><th rowspan='2'>Bed</th><th "
        "colspan='2'>Patients"
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
        f"<li>Say {dose + 1} twice.<ul><li>Wait here.</li></ul></li></ol></li><li>Go "
        "home.</li></ol>"
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


def accordions(n: Numbers) -> Made:
    a, b, c = n.two(), n.two(), n.year()
    body = (
        "<h2>Tablets</h2><h3><button aria-expanded='false'>How much may be taken?</button></h3>"
        f"<div><p>At most {a} mg a day.</p></div><h3><button>Who must not take it?</button></h3>"
        f"<div hidden='until-found'><p>Children under {b} months.</p></div>"
        f"<details><summary>Since when is it sold?</summary><p>Since {c} in all "
        "towns.</p></details>"
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
        f"<p>She said <q>take {a + 2} drops</q> and left.</p><pre>x = {b}\nif x &lt; "
        f"{a}:\n    y = 10"
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


def figures(n: Numbers) -> Made:
    a, b, c = n.two(), n.year(), n.three()
    body = (
        f"<h1>Bridges <small>{b}</small></h1><h2>1.{a % 9 + 1} Methods</h2><p>We saw {c} bridges."
        f"</p><figure><img src='x.png' alt='A bridge of {a} arches'><figcaption>"
        "Figure 1. The bridge "
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
        f"<h2>一、用法</h2><ol start='{a}'><li>每日服用{b}毫克。</li><li>"
        f"不得超过{b + 1}天。</li></ol>"
        "<h2>二、禁忌</h2><ol style='list-style-type: cjk-ideographic' type='A'><li>"
        "孕妇禁用。</li>"
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


BLOCKS: tuple[Callable[[Numbers], Made], ...] = (
    table,
    spans,
    marks_in_cells,
    ordered_lists,
    nested_lists,
    accordions,
    definitions,
    figures,
    table_zh,
    lists_zh,
    accordion_zh,
)
