"""Generated Markdown and text files: typed numbers, comparisons, placeholders, front matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ingest_documents import (
    Document,
    Fact,
    Numbers,
    as_html,
    cell,
    field,
    heading,
    item,
    matches,
    says,
)

Made: TypeAlias = tuple[str, list[Fact]]


def make_markdown_documents(seed: int) -> list[Document]:
    """All Markdown files, with numbers from the seed."""
    return [make_file(maker, "md", seed) for maker in MARKDOWN]


def make_text_documents(seed: int) -> list[Document]:
    """All text files, with numbers from the seed."""
    return [make_file(maker, "txt", seed) for maker in TEXTS]


def make_file(maker: Callable[[Numbers], Made], format_name: str, seed: int) -> Document:
    """One file with its facts."""
    name = maker.__name__.replace("_", "-")
    text, facts = maker(Numbers(f"{seed} {format_name} {name}"))
    return Document(name=name, format_name=format_name, data=text.encode(), facts=tuple(facts))


def years_as_items(n: Numbers) -> Made:
    a, b, c, d = sorted(n.year() for _ in range(4))
    text = (
        f"# The Karsted bridge\n\n{a}. The bridge opened.\n{b}. The bridge closed.\n"
        f"{c}. The bridge was sold.\n\nIt fell in\n{d}. Nobody was hurt.\n"
    )
    return text, [
        heading("The Karsted bridge"),
        item(a, "The bridge opened"),
        item(b, "The bridge closed"),
        item(c, "The bridge was"),
        says(f"fell in {d}. Nobody was"),
    ]


def typed_numbers(n: Numbers) -> Made:
    a, b, c = n.two(), n.two(), n.digit()
    text = (
        f"Steps:\n\n{a}. Wash the hands.\n{a + 2}. Open the box.\n{a + 3}. Take {b} mg.\n\n"
        f"## Other\n\n{c}) Call the ward.\n{c + 4}) Say {b + 1} twice.\n\n1. One.\n1. Two again.\n"
        f"   {a + 40}. Inner step.\n   {a + 42}. Last step.\n"
    )
    return text, [
        item(a, "Wash the"),
        item(a + 2, "Open the"),
        item(a + 3, f"Take {b} mg"),
        heading("Other"),
        item(c, "Call the"),
        item(c + 4, f"Say {b + 1} twice"),
        item(a + 40, "Inner step"),
        item(a + 42, "Last step"),
    ]


def comparisons(n: Numbers) -> Made:
    a, b, c = n.digit(), n.two(), n.two()
    text = (
        f"Let p<q and q>r{a} hold; if x<y then z>w by {b}.\n\n"
        f"We saw a <b and c> d in {b + 1} cases, p<0.0{a} and n > {c}.\n\n"
        f"Use the <dose> of <{c + 1} mg, at <{c + 2}/min> or <b>{b + 3}</b> mg.\n\n"
        f"> {c + 4} patients < {c + 5} mg\n"
    )
    return text, [
        says(f"Let p<q and q>r{a} hold"),
        says(f"if x<y then z>w by {b}"),
        says(f"saw a <b and c> d in {b + 1} cases"),
        says(f"p<0.0{a} and n > {c}"),
        says("the <dose> of"),
        says(f"of <{c + 1} mg"),
        says(f"at <{c + 2}/min> or"),
        says(f"{b + 3} mg", also=rf"<b>{b + 3}</b> mg"),
        says(f"{c + 4} patients < {c + 5} mg"),
    ]


def stars_and_underscores(n: Numbers) -> Made:
    a, b, c = n.digit(), n.two(), n.two()
    text = (
        f"The volume is 2*{a}*4 cubic metres, or 2 * {b} * 3 litres.\n\n"
        f"Set max_dose_mg to {b + 1} and __init__{c} to ~{c + 1} ml, not ~{c + 2} ml.\n\n"
        f"It is *{c + 3}* times **{b + 4}.5** mg; see a_{{{a}}} and `x*{c}*y`.\n\n"
        f"A *{a}-fold* rise & a 5\\*{b} cut; C:\\new\\{b + 6} is the folder.\n"
    )
    return text, [
        says(f"is 2*{a}*4 cubic"),
        says(f"or 2 * {b} * 3 litres"),
        says(f"max_dose_mg to {b + 1} and"),
        says(f"to ~{c + 1} ml, not ~{c + 2} ml"),
        says(f"{c + 3} times {b + 4}.5 mg"),
        says(f"x*{c}*y"),
        says(f"{a}-fold rise & a 5*{b} cut"),
        says(f"C:\\new\\{b + 6} is"),
    ]


def front_matter(n: Numbers) -> Made:
    year, a = n.year(), n.two()
    text = (
        f"---\ntitle: 00{a}\ntopic: yes\nlanguage: no\nlicense: 1.{a}0\nsource: {year}-01-02\n---\n"
        f"# Agenten\n\nAgenten kom i {year}. Han ble her i {a} år.\n\n---\n\nHan fikk "
        f"{a + 1} kroner.\n"
    )
    return text, [
        field("title", f"00{a}"),
        field("topic", "yes"),
        field("language", "no"),
        field("license", f"1.{a}0"),
        field("source", f"{year}-01-02"),
        heading("Agenten"),
        says(f"kom i {year}. Han"),
        says(f"fikk {a + 1} kroner"),
    ]


def broken_front_matter(n: Numbers) -> Made:
    a, b = n.three(), n.two()
    text = (
        f"---\nThe rule of {a} holds: it is old.\n---\n\nThe town has {b} wells.\n\n"
        f"Dose: {b + 1} mg\nTime: {b % 9 + 1}:30\n"
    )
    return text, [
        says(f"rule of {a} holds: it is old"),
        says(f"has {b} wells"),
        says(f"Dose: {b + 1} mg"),
        says(f"Time: {b % 9 + 1}:30"),
    ]


def formulas(n: Numbers) -> Made:
    a, b, c = n.digit(), n.two(), n.digit()
    text = (
        f"The energy is $E = {a}mc^2$ and 10^{c}^ or $10^{{{b}}}$ cells.\n\n$$\n"
        f"\\frac{{{a}}}{{{b}}} * x_{{{c}}} * 2\n$$\n\nIt costs ${b} or ${b + 1} each, "
        f"at x^{a} rates.\n\n"
        f"10<sup>{c}</sup> cells of H<sub>2</sub>O in {b + 2}<sup>3,4</sup> cups.\n"
    )
    return text, [
        matches(f"E = {a}mc^2", rf"E = {a}mc\\?\^2"),
        matches(f"10^{b}", rf"10\\?\^(?:\{{{b}\}}|{b})", rf"10{b} cells"),
        matches(f"{a}/{b} * x_{c} * 2", rf"\\frac\{{{a}\}}\{{{b}\}} \\?\* x\\?_\{{{c}\}} \\?\* 2"),
        says(f"costs ${b} or ${b + 1} each"),
        matches(f"x^{a}", rf"at x\\?\^{a} rates"),
        says(f"10{{^{c}}} cells of H{{_2~}}O"),
        says(f"in {b + 2}{{[3,4]}} cups"),
    ]


def tables(n: Numbers) -> Made:
    a, b, c, d = n.two(), n.three(), n.three(), n.decimal()
    text = (
        "| Rule | Form | Count |\n|:---|:---:|---:|\n"
        f"| Either | {a} \\| {a + 1} | {b} |\n| Below | <{a + 2} mg | {c} |\n"
        f"| Code | `{a}\\|7` | {b + 1} |\n| None | | {c + 1} |\n\nName | Value\n--- | ---\n"
        f"Mass | {d} kg\nRate | 2*{a}*3\n"
    )
    return text, [
        cell("Either", f"{a} | {a + 1}"),
        cell("Either", f"{b}", "Count"),
        cell("Below", f"<{a + 2} mg", "Form"),
        cell("Below", f"{c}", "Count"),
        cell("Code", f"{b + 1}", "Count"),
        cell("None", f"{c + 1}", "Count"),
        cell("Mass", f"{d} kg"),
        cell("Rate", f"2*{a}*3"),
    ]


def footnotes(n: Numbers) -> Made:
    a, b, c = n.year(), n.thousands(), n.two()
    text = (
        f"The town was built in {a}[^1] by {b}[^note] people.\n\n[^1]: Mira, page {c}.\n"
        f"[^note]: Counted in {a + 4}, with {c + 1} lost.\n\nSee [the list][list] of {c + 2}.\n\n"
        "[list]: https://example.org/list\n"
    )
    return text, [
        matches(f"built in {a}", rf"built in {a}(?!\d)(?! \d)"),
        matches(f"by {b} people", rf"by {b}(?!\d)\W*\S{{1,9}} people|by {b} people"),
        says(f"Mira, page {c}"),
        says(f"Counted in {a + 4}, with {c + 1} lost"),
        says(f"of {c + 2}"),
    ]


def headings(n: Numbers) -> Made:
    a, b, c = n.digit(), n.year(), n.two()
    text = (
        f"Report {b}\n===========\n\n## 1.{a} Methods\n\nWe used {c} boats.\n\n"
        f"{a}. Results\n----------\n\nAll {c + 1} sank.\n\n### Article {c + 2} ###\n\nIt holds.\n\n"
        f"#{c + 5} is a number, not a heading.\n\n#### {b + 1}\n\nNothing.\n"
    )
    return text, [
        heading(f"Report {b}"),
        heading(f"1.{a} Methods"),
        says(f"used {c} boats"),
        heading(f"{a}. Results"),
        heading(f"Article {c + 2}"),
        says(f"#{c + 5} is a number"),
        heading(f"{b + 1}"),
    ]


def code_and_quotes(n: Numbers) -> Made:
    a, b, c = n.two(), n.three(), n.two()
    text = (
        f"Run `f(a_{a}, {b})` once.\n\n```python\nx = 2**{a}\nif x < {b}: y = x_1_{c}\n```\n\n"
        f"    {c}. an indented line of {b + 1}\n\n> {a + 1}. Mira took the boat.\n> "
        f"{a + 3}. Ada too.\n\n"
        f"- [ ] {c + 1} mg\n- [x] {c + 2} mg\n+ −{c + 3} °C\n\nA line that ends "
        f"in\n+{c + 4} units.\n"
    )
    return text, [
        says(f"f(a_{a}, {b})"),
        says(f"x = 2**{a}"),
        says(f"if x < {b}: y = x_1_{c}"),
        says(f"{c}. an indented line of {b + 1}"),
        item(a + 1, "Mira took"),
        item(a + 3, "Ada too"),
        says(f"{c + 1} mg"),
        says(f"−{c + 3} °C"),
        says(f"{c + 4} units"),
    ]


def html_inside(n: Numbers) -> Made:
    a, b, c = n.two(), n.three(), n.two()
    text = (
        f"<table><tr><th>Town</th><th>People</th></tr><tr><td>Oslo</td><td>{b}</td>"
        "</tr></table>\n\n"
        f"<details><summary>How much?</summary>\n\nAt most {a} mg.\n\n</details>\n\n"
        f"Line one<br>{c} lines, and {c + 1}&nbsp;kg &lt; {c + 2} kg, at {a + 1} &amp; {a + 2}.\n\n"
        f"<!-- {b + 1} -->It was {as_html(f'10{{^{a}}}')} of <div>{c + 5} things</div>\n"
    )
    return text, [
        cell("Oslo", f"{b}", "People"),
        says("How much?"),
        says(f"most {a} mg"),
        says(f"{c} lines", never=[f"one{c} lines"]),
        says(f"{c + 1} kg < {c + 2} kg"),
        says(f"at {a + 1} & {a + 2}"),
        says(f"was 10{{^{a}}} of"),
        says(f"{c + 5} things"),
    ]


def list_zh(n: Numbers) -> Made:
    a, b, c = n.year(), n.two(), n.digit()
    text = (
        f"# 一、沿革\n\n{a}. 大桥通车。\n{a + 7}. 大桥关闭。\n\n## 二、用法\n\n1. 每日{b}毫克。\n"
        f"3. 不超过{b + 1}天，且x<{c}。\n\n（{c}）第{b + 2}条 2*{b}*3 = 不变。\n"
    )
    return text, [
        heading("一、沿革"),
        item(a, "大桥通车"),
        item(a + 7, "大桥关闭"),
        heading("二、用法"),
        item(1, f"每日{b}毫克"),
        item(3, f"不超过{b + 1}天，且x<{c}。"),
        says(f"（{c}）第{b + 2}条"),
        says(f"2*{b}*3 = 不变"),
    ]


def table_zh(n: Numbers) -> Made:
    a, b, c, d = n.three(), n.three(), n.decimal(), n.two()
    text = (
        f"---\ntitle: 第{d}号\nlanguage: zh\n---\n\n| 城市 | 人口 | 比例 |\n|---|---|---|\n"
        f"| 北京 | {a}万 | <{c}% |\n| 上海 | {b}万 | ≥{d}% |\n\n温度**低于**{d}℃时使用<剂量>，"
        f"约10<sup>{d}</sup>个。\n"
    )
    return text, [
        field("title", f"第{d}号"),
        cell("北京", f"{a}万", "人口"),
        cell("北京", f"<{c}%", "比例"),
        cell("上海", f"{b}万", "人口"),
        cell("上海", f"≥{d}%", "比例"),
        matches(f"低于{d}℃", rf"低于[*]{{0,2}} ?{d} ?℃"),
        says("使用<剂量>，"),
        says(f"约10{{^{d}}}个"),
    ]


def mixed_zh(n: Numbers) -> Made:
    a, b = n.two(), n.year()
    text = (
        f"{b}年，BMI>{a}且p<0.0{a % 9 + 1}的患者\n占{a + 1}%。\n\nIL-6_max为{a + 2}*{a + 3}，"
        f"见[^1]。\n\n[^1]: 《报告》第{a + 4}页。\n\n- 剂量：<{a + 5} mg\n- 编号：Ａ１２\n"
    )
    return text, [
        says(f"{b}年，BMI>{a}且p<0.0{a % 9 + 1}的患者占{a + 1}%"),
        says(f"IL-6_max为{a + 2}*{a + 3}，"),
        says(f"《报告》第{a + 4}页"),
        says(f"剂量：<{a + 5} mg"),
        says("编号：Ａ１２", also="编号：A12"),
    ]


def control_characters(n: Numbers) -> Made:
    a, b, c, d = n.year(), n.year(), n.two(), n.two()
    text = (
        f"The years were {a}\x01{b} and the sizes {c}\x1f{d} in all of the old books here.\r\n"
        f"Part one.\x0bPart two has {c + 1}\x07 pages\x85{d + 1} of them are blank and lost.\n"
    )
    gap = r"[\s\x00-\x1f\x7f-\x9f]+"
    return text, [
        matches(f"{a} and {b}", f"were {a}{gap}{b} and", f"{a}{b}"),
        matches(f"{c} and {d}", f"sizes {c}{gap}{d} in", f"sizes {c}{d}"),
        matches("Part one. Part two", f"Part one\\.{gap}Part two"),
        matches(f"{d + 1} of them", f"pages{gap}{d + 1} of", f"pages{d + 1}"),
    ]


def text_front_matter(n: Numbers) -> Made:
    a, b = n.year(), n.two()
    text = (
        f"---\ntitle: {a}\ntopic: no\n---\nOn {a + 1}-02-03 it was <{b} °C.\n\n{b}. A line\n"
        f"{b + 2}. Another line of 2*{b}*3\n\n# {b + 3} is kept\n"
    )
    return text, [
        field("title", f"{a}"),
        field("topic", "no"),
        says(f"On {a + 1}-02-03 it was <{b} °C"),
        item(b, "A line"),
        item(b + 2, "Another line"),
        says(f"2*{b}*3"),
        says(f"# {b + 3} is kept"),
    ]


def text_zh(n: Numbers) -> Made:
    a, b = n.year(), n.two()
    text = (
        f"一、总则\n\n{a}年建成，高１２３米，温度<{b}℃。\n（二）费用：￥{b + 1},000元\n"
        f"{b + 2}．附则\x02{b + 3}条\n"
    )
    return text, [
        heading("一、总则"),
        says(f"{a}年建成"),
        says("高１２３米"),
        says(f"温度<{b}℃"),
        says(f"（二）费用：￥{b + 1},000元"),
        matches(f"附则 {b + 3}条", rf"附则[\s\x02]*{b + 3}条"),
    ]


MARKDOWN: tuple[Callable[[Numbers], Made], ...] = (
    years_as_items,
    typed_numbers,
    comparisons,
    stars_and_underscores,
    front_matter,
    broken_front_matter,
    formulas,
    tables,
    footnotes,
    headings,
    code_and_quotes,
    html_inside,
    list_zh,
    table_zh,
    mixed_zh,
)
TEXTS: tuple[Callable[[Numbers], Made], ...] = (
    control_characters,
    text_front_matter,
    text_zh,
)
