"""Generated Word documents: numbering, marks, tables, tracked changes, fields, equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ingest_documents import Document, Fact, Numbers, cell, heading, item, matches, says
from ingest_documents_docx_parts import (
    BULLETS,
    CHAPTERS,
    CHINESE,
    LETTERS,
    ROMAN,
    STARTED,
    STEPS,
    Body,
    pack,
    para,
    raw,
    run,
    table,
    title,
)

Made: TypeAlias = tuple[Body, list[Fact]]


def make_docx_documents(seed: int) -> list[Document]:
    """All Word documents, with numbers from the seed."""
    return [make_docx(maker, seed) for maker in DOCUMENTS]


def make_docx(maker: Callable[[Numbers], Made], seed: int) -> Document:
    """One Word document with its facts."""
    name = maker.__name__.replace("_", "-")
    body, facts = maker(Numbers(f"{seed} docx {name}"))
    return Document(name=name, format_name="docx", data=pack(body), facts=tuple(facts))


def numbered_headings(n: Numbers) -> Made:
    a, b = n.three(), n.year()
    body = Body(
        title("Introduction"),
        para(f"It began in {b}."),
        title("Aims", 2),
        title("Methods", 2),
        para(f"We saw {a} boats."),
        title("Results"),
        title(f"Boats of {b + 1}", 2),
        title(f"Appendix {b + 2}", kind=0),
    )
    return body, [
        heading("1 Introduction"),
        heading("1.1 Aims"),
        heading("1.2 Methods", never=["2 Methods"]),
        says(f"saw {a} boats"),
        heading("2 Results"),
        heading(f"2.1 Boats of {b + 1}"),
        heading(f"Appendix {b + 2}"),
    ]


def marks(n: Numbers) -> Made:
    a, b, c, d = n.year(), n.thousands(), n.digit(), n.two()
    body = Body(
        para(f"The town was founded in {a}{{[1,2]}} and had {b}{{[3–5]}} people."),
        para(
            f"It held about 10{{^{c}}} cells, 2{{^k}} states and 10{{^−{c}}} mol of "
            f"SO{{_4~}}{{^2−}}."
        ),
        para(
            f"The value of log{{_2}}{d} is below {d + 1} m{{^3~}} of H{{_2~}}O in base 101{{_2}}."
        ),
    )
    return body, [
        says(f"in {a}{{[1,2]}} and"),
        says(f"had {b}{{[3–5]}} people"),
        says(f"about 10{{^{c}}} cells"),
        says("2{^k} states"),
        says(f"and 10{{^−{c}}} mol"),
        says("of SO{_4~}{^2−}"),
        says(f"log{{_2}}{d} is"),
        says(f"below {d + 1} m{{^3~}} of H{{_2~}}O"),
        says("base 101{_2}"),
    ]


def lists(n: Numbers) -> Made:
    start, dose = n.two(), n.three()
    body = Body(
        para("Prepare the ward.", kind=STEPS),
        para(f"Wash with {dose} ml.", kind=STEPS, level=1),
        para("Dry it.", kind=STEPS, level=1),
        para("Open the door.", kind=STEPS, level=2),
        para("Call the doctor.", kind=STEPS),
        para(f"Say {dose + 1} twice.", kind=STEPS, level=1),
        para("Between the lists."),
        para("Lima came here.", kind=STARTED),
        para("Oslo came next.", kind=STARTED),
        para("Kings rule.", kind=ROMAN),
        para("Queens rule.", kind=ROMAN),
        para(f"At most {dose + 2} mg.", kind=BULLETS),
        para("Bread is made.", kind=LETTERS),
        para(f"{start + 9}. Typed by hand."),
        start=start,
    )
    return body, [
        item(1, "Prepare the"),
        item("a", f"Wash with {dose} ml"),
        item("b", "Dry it"),
        item("i", "Open the"),
        item(2, "Call the"),
        item("a", f"Say {dose + 1} twice"),
        item(start, "Lima came"),
        item(start + 1, "Oslo came"),
        item("II", "Queens rule"),
        says(f"At most {dose + 2} mg"),
        item("a", "Bread is"),
        item(start + 9, "Typed by"),
    ]


def merged_cells(n: Numbers) -> Made:
    a, b, c, d, e = (n.three() for _ in range(5))
    goes_on, begins = "<w:vMerge/>", '<w:vMerge w:val="restart"/>'
    body = Body(
        table(
            ["Ward", "Bed", "Day", "Night"],
            [("North", begins), "Alpha", f"{a}", f"{b}"],
            [("", goes_on), "Beta", f"{c}", f"{d}"],
            ["South", ("Gamma", '<w:gridSpan w:val="2"/>'), f"{e}"],
        )
    )
    return body, [
        cell("Alpha", f"{a}", "Day"),
        cell("Alpha", f"{b}", "Night"),
        cell("Beta", f"{c}", "Day"),
        cell("Beta", f"{d}", "Night"),
        cell("Gamma", f"{e}", "Night"),
        cell("Alpha", "North"),
    ]


def cells(n: Numbers) -> Made:
    a, b, c, d = n.two(), n.three(), n.digit(), n.decimal()
    body = Body(
        para(f"Table {c}. Doses of {b + 9} people"),
        table(
            ["Rule", "Form", "Count"],
            ["Either", f"{a} | {a + 1}", f"{b}"],
            ["Power", f"10{{^{c}}}", f"{b + 1}{{[a]}}"],
            ["Below", f"<{a + 2} mg", f"{d}"],
            ["Lines", f"{a + 4} mg\n{a + 5} ml", f"{b + 2}"],
        ),
    )
    return body, [
        says(f"Table {c}. Doses of {b + 9} people"),
        cell("Either", f"{a} | {a + 1}"),
        cell("Either", f"{b}", "Count"),
        cell("Power", f"10{{^{c}}}", "Form"),
        cell("Power", f"{b + 1}{{[a]}}", "Count"),
        cell("Below", f"<{a + 2} mg", "Form"),
        cell("Below", d, "Count"),
        cell("Lines", f"{b + 2}", "Count"),
        says(f"{a + 5} ml", never=[f"{a + 4} mg{a + 5} ml"]),
    ]


def tracked_changes(n: Numbers) -> Made:
    a, b, c, d = n.two(), n.two(), n.year(), n.three()
    who = 'w:id="1" w:author="Mira" w:date="2020-01-01T00:00:00Z"'
    removed = f"<w:del {who}>{run(f'{a}', tag='delText')}</w:del>"
    moved = f"<w:moveFrom {who}>{run(f'{d} boats')}</w:moveFrom>"
    body = Body(
        raw(
            run("The dose is ")
            + removed
            + f"<w:ins {who}>{run(f'{b}')}</w:ins>"
            + run(" mg a day.")
        ),
        raw(run("It was sold in ") + f"<w:ins {who}>{run(f'{c} by ')}</w:ins>" + run("Ada.")),
        raw(
            run("First ")
            + moved
            + run("and last ")
            + f"<w:moveTo {who}>{run(f'{d} boats')}</w:moveTo>"
        ),
    )
    return body, [
        says(f"is {b} mg a day", never=[f"{a}{b} mg", f"is {a} mg", f"is {a} {b} mg"]),
        says(f"sold in {c} by Ada"),
        says(f"last {d} boats", never=[f"First {d} boats"]),
    ]


def footnotes(n: Numbers) -> Made:
    a, b, c = n.year(), n.thousands(), n.two()

    def mark(number: int) -> str:
        return (
            '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr>'
            f'<w:footnoteReference w:id="{number}"/></w:r>'
        )

    body = Body(
        raw(
            run(f"The town was built in {a}")
            + mark(2)
            + run(f" by {b}")
            + mark(3)
            + run(" people.")
        ),
        notes=[f"Mira, page {c}.", f"Counted in {a + 4}, with 10{{^{c}}} lost."],
    )
    return body, [
        matches(f"built in {a}, with a mark", rf"built in {a}(?!\d)(?! \d)", rf"in {a} ?\d"),
        matches(f"by {b} people", rf"by {b}(?:(?! ?\d)\S{{0,30}}| \S{{1,30}}) people", rf"{b} ?\d"),
        says(f"Mira, page {c}"),
        says(f"Counted in {a + 4}, with 10{{^{c}}} lost"),
    ]


def controls(n: Numbers) -> Made:
    a, b, c, d = n.two(), n.three(), n.year(), n.two()

    def control(inner: str) -> str:
        return f"<w:sdt><w:sdtPr/><w:sdtContent>{inner}</w:sdtContent></w:sdt>"

    code = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'
    complex_field = (
        code.format("begin") + run(" PAGEREF x ", tag="instrText") + code.format("separate")
        + run(f"{d}") + code.format("end")
    )  # fmt: skip
    body = Body(
        control(para(f"In a control: {a} mg.")),
        raw(run("The patient took ") + control(run(f"{b} drops")) + run(" daily.")),
        raw(run("See page ") + complex_field + run(" and the ")
            + f'<w:hyperlink w:anchor="x">{run(f"list of {c}")}</w:hyperlink>' + run(".")),
        raw(run("Total ") + f'<w:fldSimple w:instr="=1">{run(f"{b + 1}")}</w:fldSimple>'
            + run(" beds.")),
        raw(run("Now ") + f"<w:smartTag>{run(f'{a + 1} wells')}</w:smartTag>"),
    )  # fmt: skip
    return body, [
        says(f"In a control: {a} mg"),
        says(f"took {b} drops daily"),
        says(f"See page {d} and", never=["PAGEREF"]),
        says(f"list of {c}"),
        says(f"Total {b + 1} beds"),
        says(f"Now {a + 1} wells"),
    ]


def characters(n: Numbers) -> Made:
    a, b, c = n.two(), n.two(), n.three()

    def mark(name: str) -> str:
        return f"<w:r><w:{name}/></w:r>"

    body = Body(
        raw(run("For COVID") + mark("noBreakHyphen") + run("19 and ") + run(f"{a}")
            + mark("noBreakHyphen") + run(f"{b + 100} kg.")),
        raw(run("Alpha") + mark("tab") + run(f"{c}") + mark("tab") + run(f"{c + 1} mg")),
        raw(run("Line one") + mark("br") + run(f"{b} lines") + mark("cr") + run(f"{b + 1} maps")),
        raw(run("An in") + mark("softHyphen") + run(f"formation of {a + 1} p") + run("ages.")),
        raw(run("19") + run(f"{a}", "<w:b/>") + run(f" was the year; {c}") + run(",5", "<w:i/>")
            + run("00 boats.")),
        para(f"The result was p<0.0{a} & q>{b}, the <dose> of 2*{a}*3 and x_{a}_y."),
    )  # fmt: skip
    return body, [
        says("For COVID-19 and", never=["COVID19"]),
        says(f"and {a}-{b + 100} kg", never=[f"{a}{b + 100} kg"]),
        says(f"Alpha {c} {c + 1} mg", also=rf"Alpha\W+{c}\W+{c + 1} mg", never=[f"{c}{c + 1} mg"]),
        says(f"{b} lines", never=[f"one{b} lines"]),
        says(f"{b + 1} maps", never=[f"lines{b + 1} maps"]),
        says(f"An information of {a + 1} pages"),
        says(f"19{a} was the year", also=rf"19[*_]*{a}[*_]* was the year"),
        says(f"{c},500 boats", also=rf"{c}[*_]*,5[*_]*00 boats"),
        says(f"p<0.0{a} & q>{b}, the"),
        says(f"the <dose> of 2*{a}*3 and x_{a}_y"),
    ]


def equations(n: Numbers) -> Made:
    a, b, c, d = n.digit(), n.two(), n.digit(), n.two()

    def atom(text: object) -> str:
        return f"<m:r><m:t>{text}</m:t></m:r>"

    power = f"<m:sSup><m:e>{atom(10)}</m:e><m:sup>{atom(a)}</m:sup></m:sSup>"
    index = f"<m:sSub><m:e>{atom('x')}</m:e><m:sub>{atom(c)}</m:sub></m:sSub>"
    share = f"<m:f><m:num>{atom(c)}</m:num><m:den>{atom(b)}</m:den></m:f>"
    body = Body(
        raw(run("The star emits ") + f"<m:oMath>{power}</m:oMath>" + run(" watts.")),
        raw(run("A share of ") + f"<m:oMath>{share}</m:oMath>" + run(" of all.")),
        raw(run("Here ") + f"<m:oMath>{index}{atom('=')}{atom(d)}</m:oMath>" + run(" holds.")),
    )
    # An equation that a reader cannot read counts as right if its place is marked.
    place = r"\[equation\]"
    return body, [
        says(
            f"emits 10{{^{a}}} watts",
            also=rf"emits \$?10\^\{{? ?{a} ?\}}?\$? watts|emits {place} watts",
        ),
        says(
            f"of {{/{c}|{b}}} of all",
            also=rf"of \$?\\frac\{{ ?{c} ?\}}\{{ ?{b} ?\}}\$? of all|of {place} of all",
        ),
        matches(
            f"x{c} = {d}",
            rf"Here (?:\$?x(?:_\{{? ?{c} ?\}}?|{'₀₁₂₃₄₅₆₇₈₉'[c]}) ?= ?{d} ?\$?|{place}) holds",
            rf"Here x ?{c} ?= ?{d}",
        ),
    ]


def chapters_zh(n: Numbers) -> Made:
    a, b = n.year(), n.two()
    body = Body(
        title("总则", kind=CHAPTERS),
        para(f"本条例自{a}年起施行，费用为{b},000元。", kind=CHINESE),
        para(f"剂量<{b + 1}毫克。", kind=CHINESE, level=1),
        para(f"温度≥{b + 2}℃。", kind=CHINESE),
        title("附则", kind=CHAPTERS),
        para("第十二条 编号为Ａ１２。"),
    )
    return body, [
        heading("第一章总则"),
        item("一", f"本条例自{a}年起施行"),
        says(f"费用为{b},000元"),
        matches(f"（一）剂量<{b + 1}毫克", rf"[（(]一[）)] ?剂量\\?<{b + 1}毫克"),
        item("二", f"温度≥{b + 2}℃"),
        heading("第二章附则"),
        says("编号为Ａ１２", also="编号为A12"),
    ]


def table_zh(n: Numbers) -> Made:
    rows = [(name, n.three(), n.decimal()) for name in ("北京", "上海", "广州")]
    body = Body(
        title("人口", kind=0),
        table(["城市", "人口", "比例"], *([x, f"{y}万", f"<{z}%"] for x, y, z in rows)),
    )
    facts = [heading("人口")]
    for name, people, share in rows:
        facts += [cell(name, f"{people}万", "人口"), cell(name, f"<{share}%", "比例")]
    return body, facts


def mixed_zh(n: Numbers) -> Made:
    a, b, c = n.year(), n.two(), n.digit()
    body = Body(
        para(f"研究（Smith, {a}{{[6–8]}}）报告BMI≥{b}的患者占{c}.5%{{[9]}}。"),
        para(f"样本含约10{{^{c}}}个细胞，水为H{{_2~}}O，log{{_2}}{b}小于{b + 1}。"),
        raw(run("COVID") + "<w:r><w:noBreakHyphen/></w:r>" + run(f"19期间为{b + 2} pg/mL。")),
    )
    return body, [
        says(f"{a}{{[6–8]}}）报告"),
        says(f"BMI≥{b}的"),
        says(f"占{c}.5%{{[9]}}。"),
        says(f"约10{{^{c}}}个"),
        says("水为H{_2~}O，"),
        says(f"log{{_2}}{b}小于{b + 1}。"),
        says(f"COVID-19期间为{b + 2} pg/mL", never=["COVID19期间"]),
    ]


DOCUMENTS: tuple[Callable[[Numbers], Made], ...] = (
    numbered_headings,
    marks,
    lists,
    merged_cells,
    cells,
    tracked_changes,
    footnotes,
    controls,
    characters,
    equations,
    chapters_zh,
    table_zh,
    mixed_zh,
)
