"""What is inside a paragraph of a Word file: looks, signs, fields, changes, pictures, notes."""

from __future__ import annotations

import pytest
from docx_files import (
    alternate,
    control,
    drawing,
    embedded,
    field,
    make_docx,
    mark,
    note,
    para,
    refer,
    run,
    style,
)

from annotator.documents.readers.docx.reader import read_docx
from annotator.documents.readers.file_text import FileText

RAISED, LOWERED = '<w:vertAlign w:val="superscript"/>', '<w:vertAlign w:val="subscript"/>'
EQUATION = "<m:oMath><m:r><m:t>y=3</m:t></m:r></m:oMath>"


def read(body: str, **parts: str) -> FileText:
    return read_docx(make_docx(body, **parts), max_chars=10_000)


def text_of(*runs: str, **parts: str) -> str:
    return read(para(*runs), **parts).text


# Raised and lowered


def test_raised_digits_stay_raised():
    assert text_of("10", run("5", RAISED), " cells") == "10⁵ cells"


def test_a_character_style_raises_too():
    styles = style("Up", kind="character", r=RAISED) + style("Ref", kind="character", base="Up")
    assert text_of("10", run("5", '<w:rStyle w:val="Ref"/>'), styles=styles) == "10⁵"


def test_what_is_set_in_place_comes_before_the_style():
    styles = style("Up", kind="character", r=RAISED)
    looks = '<w:rStyle w:val="Up"/><w:vertAlign w:val="baseline"/>'
    assert text_of("10", run("5", looks), styles=styles) == "105"


def test_digits_moved_up_by_hand_are_raised():
    assert text_of("10", run("5", '<w:position w:val="6"/>'), " cells") == "10⁵ cells"


def test_digits_moved_down_by_hand_are_not_raised():
    lowered = text_of("x", run("2", '<w:position w:val="-6"/>'))
    assert lowered == text_of("x", run("2", LOWERED))


def test_a_line_moved_as_a_whole_is_not_raised():
    up, higher = '<w:position w:val="6"/>', '<w:position w:val="12"/>'
    assert text_of(run("105", up)) == "105"
    assert text_of(run("The 10", up), run("5", higher), run(" cells", up)) == "The 10⁵ cells"
    assert text_of("1", run("-12", up)) == "1⁻¹²"


def test_runs_of_one_look_are_one_text():
    assert text_of("1", run("0", "<w:b/>"), "5", " m", run("g", "<w:i/>")) == "105 mg"


# Characters


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ('<w:sym w:font="Symbol" w:char="F0B3"/>', "≥"),
        ('<w:sym w:font="Symbol" w:char="F0A3"/>', "≤"),
        ('<w:sym w:font="Symbol" w:char="F06D"/>', "µ"),
        ('<w:sym w:font="Symbol" w:char="B1"/>', "±"),
        ('<w:sym w:font="Wingdings" w:char="F0FC"/>', "✓"),
        ('<w:sym w:font="Times New Roman" w:char="2265"/>', "≥"),
        ("<w:noBreakHyphen/>", "-"),
        ("<w:softHyphen/>", ""),
        ("<w:tab/>", " "),
        ('<w:ptab w:alignment="right"/>', " "),
        ("<w:br/>", "\n"),
        ('<w:br w:type="page"/>', "\n"),
        ("<w:cr/>", "\n"),
        ("<w:lastRenderedPageBreak/>", ""),
    ],
)
def test_characters_that_are_elements(content: str, shown: str):
    assert text_of("a", run(content=content), "5") == f"a{shown}5"


@pytest.mark.parametrize(
    "content",
    [
        '<w:sym w:font="Own" w:char="F0B3"/>',
        '<w:sym w:font="Own" w:char="x"/>',
        "<w:t>\uf0b3</w:t>",
    ],
)
def test_a_sign_that_nobody_knows_is_marked_and_counted(content: str):
    found = read(para("a ", run(content=content), " 5"))
    assert found.text == "a [symbol] 5"
    assert found.not_read == {"symbols": 1}


@pytest.mark.parametrize("letter", ["m", "\uf06d"])
def test_micrograms_are_no_milligrams(letter: str):
    fonts = '<w:rFonts w:ascii="Symbol" w:hAnsi="Symbol"/>'
    assert text_of("5 ", run(letter, fonts), "g") == "5 µg"


def test_a_style_may_set_the_font_of_signs():
    styles = style("S", kind="character", r='<w:rFonts w:ascii="Symbol"/>')
    assert text_of("5 ", run("m", '<w:rStyle w:val="S"/>'), "g", styles=styles) == "5 µg"


def test_space_around_a_text_is_kept_only_where_it_is_shown():
    runs = "<w:r><w:t> 1\n </w:t></w:r><w:r><w:t>05</w:t></w:r><w:r><w:t> mg</w:t></w:r>"
    assert text_of(runs) == "105mg"
    assert read(para(runs), root='xml:space="preserve"').text == "1 05 mg"


def test_ruby_text_leaves_its_base():
    guide = f"<w:rt>{run('kan')}</w:rt>"
    ruby = f"<w:ruby><w:rubyPr/>{guide}<w:rubyBase>{run('漢')}</w:rubyBase></w:ruby>"
    assert text_of("a", run(content=ruby), "b") == "a漢b"


@pytest.mark.parametrize(
    "wrap",
    [
        "<w:hyperlink>{}</w:hyperlink>",
        '<w:hyperlink r:id="missing">{}</w:hyperlink>',
        "<w:smartTag><w:smartTagPr/>{}</w:smartTag>",
        '<w:fldSimple w:instr="PAGE">{}</w:fldSimple>',
        control("{}"),
        '<w:customXml w:element="x">{}</w:customXml>',
        '<w:dir w:val="rtl">{}</w:dir>',
        '<w:bdo w:val="ltr">{}</w:bdo>',
        "<w:ins>{}</w:ins>",
        "<w:moveTo>{}</w:moveTo>",
        "<w:ofTheFuture>{}</w:ofTheFuture>",
        alternate("{}", "{}"),
    ],
)
def test_text_in_any_container_is_read_once(wrap: str):
    found = read(para("a ", wrap.replace("{}", run("5")), " mg"))
    assert (found.text, found.not_read) == ("a 5 mg", {})


def test_the_older_form_counts_where_the_newer_is_unknown():
    emoji = alternate("<w14:sign/>", "<w:t>☺</w:t>")
    assert text_of("a", run(content=emoji)) == "a☺"


def test_text_of_an_element_nobody_knows_is_counted():
    found = read(para("a", "<w14:new>5 mg</w14:new>"))
    assert (found.text, found.not_read) == ("a", {"unrecognised": 1})


# Changes, comments, hidden and struck out text


def test_deleted_text_is_left_out_and_counted():
    gone = "<w:del><w:r><w:delText>20</w:delText></w:r></w:del>"
    found = read(para("Take ", gone, f"<w:ins>{run('10')}</w:ins>", " mg"))
    assert (found.text, found.not_read) == ("Take 10 mg", {"tracked_deletions": 1})


def test_text_inserted_and_deleted_again_is_left_out():
    gone = "<w:ins><w:del><w:r><w:delText>20</w:delText></w:r></w:del></w:ins>"
    assert text_of("Take 10", gone, " mg") == "Take 10 mg"


def test_moved_text_is_read_where_it_went():
    moved = para("<w:moveFrom>" + run("five") + "</w:moveFrom>", "one")
    found = read(moved + para("<w:moveTo>" + run("five") + "</w:moveTo>"))
    assert (found.text, found.not_read) == ("one\n\nfive", {})


def test_a_deleted_paragraph_mark_joins_two_paragraphs():
    body = para("Take 1", properties="<w:rPr><w:del/></w:rPr>") + para("0 mg")
    assert read(body).text == "Take 10 mg"


def test_a_deleted_paragraph_mark_at_the_end_loses_nothing():
    assert read(para("Take 10", properties="<w:rPr><w:del/></w:rPr>")).text == "Take 10"


def test_comments_are_no_text_and_are_counted():
    body = para("a", run(content='<w:commentReference w:id="1"/>'), "b")
    found = read(
        body, comments=note("comment", 1, para("Is it so?")) + note("comment", 2, para(""))
    )
    assert (found.text, found.not_read) == ("ab", {"comments": 1})


def test_hidden_text_is_left_out_and_counted():
    found = read(para("a ", run("b ", "<w:vanish/>"), run("c", '<w:vanish w:val="0"/>')))
    assert (found.text, found.not_read) == ("a c", {"hidden_text": 1})


def test_a_style_may_hide_text():
    styles = style("No", kind="character", r="<w:vanish/>")
    assert text_of("a", run("b", '<w:rStyle w:val="No"/>'), styles=styles) == "a"


@pytest.mark.parametrize("tag", ["strike", "dstrike"])
def test_struck_out_text_is_counted(tag: str):
    found = read(para("a ", run("b", f"<w:{tag}/>"), run("c ", f"<w:{tag}/>"), "d"))
    assert found.not_read == {"struck_out": 1}
    assert "bc" not in found.text


# Fields


def test_of_a_field_the_result_is_read_and_not_the_instruction():
    assert text_of("See table ", field(" REF tab ", run("3")), ".") == "See table 3."


def test_of_a_field_inside_an_instruction_nothing_is_read():
    inner = field(" MERGEFIELD x ", run("7"))
    outer = mark("begin") + run(content="<w:instrText> IF </w:instrText>") + inner
    runs = [outer, run("typed"), mark("separate"), run("yes"), mark("end")]
    assert text_of("a ", *runs, " b") == "a yes b"


def test_a_field_may_end_in_a_later_paragraph():
    body = para(mark("begin"), run(content="<w:instrText>TOC</w:instrText>"), mark("separate"), "1")
    assert read(body + para("2", mark("end")) + para("3")).text == "1\n\n2\n\n3"


@pytest.mark.parametrize("lone", ["begin", "separate", "end"])
def test_a_lone_mark_of_a_field_hides_nothing(lone: str):
    assert read(para("a", mark(lone), "b") + para("c")).text == "ab\n\nc"


CHECKED = "<w:ffData><w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox></w:ffData>"
UNCHECKED = "<w:ffData><w:checkBox><w:default w:val='0'/></w:checkBox></w:ffData>"
CHOICES = (
    '<w:ffData><w:ddList><w:result w:val="1"/>'
    '<w:listEntry w:val="no"/><w:listEntry w:val="yes"/></w:ddList></w:ffData>'
)


@pytest.mark.parametrize(
    ("code", "begin", "shown", "not_read"),
    [
        ("FORMCHECKBOX", CHECKED, "☒", {}),
        ("FORMCHECKBOX", UNCHECKED, "☐", {}),
        ("FORMDROPDOWN", CHOICES, "yes", {}),
        ('SYMBOL 179 \\f "Symbol"', "", "≥", {}),
        ("MACROBUTTON NoMacro Click here", "", "Click here", {}),
        ("EQ \\f(1,2)", "", "[equation]", {"equations": 1}),
        ("LISTNUM", "", "[number]", {"automatic_numbers": 1}),
        ('XE "salt"', "", "", {}),
    ],
)
def test_fields_without_a_result(code: str, begin: str, shown: str, not_read: dict[str, int]):
    found = read(para("a ", field(code, begin=begin), "; 5"))
    assert found.text == f"a {shown}; 5"
    assert found.not_read == not_read


def test_a_stored_result_comes_before_what_the_field_would_show():
    assert text_of(field("EQ \\f(1,2)", run("½"))) == "½"


# Equations and pictures


def test_an_equation_is_marked_and_counted():
    found = read(
        para("x is", EQUATION, "mg and", EQUATION, ".")
        + para(f"<m:oMathPara>{EQUATION}</m:oMathPara>")
    )
    assert found.text == "x is [equation] mg and [equation].\n\n[equation]"
    assert found.not_read == {"equations": 3}


def test_an_equation_outside_of_paragraphs_is_marked():
    assert read(para("a") + f"<m:oMathPara>{EQUATION}</m:oMathPara>").text == "a\n\n[equation]"


def test_an_equation_of_an_older_program_is_one():
    found = read(para("x is ", embedded("Equation.3"), " mg"))
    assert (found.text, found.not_read) == ("x is [equation] mg", {"equations": 1})


def test_an_embedded_file_is_counted_once():
    assert read(para("a", embedded("Excel.Sheet.12"))).not_read == {"objects": 1}


def test_a_picture_inside_a_sentence_is_marked():
    found = read(para("x is ", drawing(), " mg"))
    assert (found.text, found.not_read) == ("x is [image] mg", {"images": 1})


def test_a_picture_beside_a_text_is_counted():
    found = read(para(drawing(), "Fig. 1") + para(drawing()))
    assert (found.text, found.not_read) == ("Fig. 1", {"images": 2})


def test_the_description_of_a_picture_is_text():
    assert text_of("x is ", drawing(alt="5 > 3"), " mg") == "x is 5 > 3 mg"


def test_the_description_of_a_floating_picture_follows_the_paragraph():
    assert text_of("a", drawing(alt="A graph", kind="anchor"), "b") == "ab\n\nA graph"


@pytest.mark.parametrize(
    "alt",
    [
        "A cat\n\nDescription automatically generated",
        "A cat AI-generated content may be incorrect.",
        "image1.png",
    ],
)
def test_a_description_that_nobody_wrote_is_no_text(alt: str):
    assert text_of("x is ", drawing(alt=alt), " mg") == "x is [image] mg"


def test_a_decorative_picture_is_nothing():
    says_so = '<a:extLst><adec:decorative val="1"/></a:extLst></wp:docPr>'
    shape = drawing(alt="swirl").replace("/><a:graphic>", f">{says_so}<a:graphic>")
    found = read(para("a ", shape, "b"))
    assert (found.text, found.not_read) == ("a b", {})


def test_charts_and_diagrams_are_counted():
    found = read(para("a", drawing("<c:chart/>"), drawing("<dgm:relIds/>")))
    assert found.not_read == {"charts": 1, "diagrams": 1}


def test_an_older_picture_is_counted_with_its_description():
    old = '<w:pict><v:shape alt="A map"><v:imagedata r:id="x"/></v:shape></w:pict>'
    found = read(para("a ", run(content=old)))
    assert (found.text, found.not_read) == ("a A map", {"images": 1})


def test_words_drawn_as_a_picture_are_text():
    art = '<w:pict><v:shape><v:textpath string="DRAFT 3"/></v:shape></w:pict>'
    assert text_of("a", run(content=art)) == "a\n\nDRAFT 3"
    shape = drawing("<a:p><a:r><a:t>Dose </a:t></a:r><a:r><a:t>5</a:t></a:r></a:p>")
    assert text_of("a", shape) == "a\n\nDose 5"


# Notes


def test_notes_are_numbered_by_their_place_and_follow_the_text():
    body = para("One", refer("footnote", 5), ". Two.", refer("footnote", 3), refer("endnote", 3))
    footnotes = note("footnote", 3, para("Late.")) + note("footnote", 5, para("Early."))
    found = read(body, footnotes=footnotes, endnotes=note("endnote", 3, para("Last.")))
    assert found.text == "One [1]. Two.[2][i]\n\n[1] Early.\n\n[2] Late.\n\n[i] Last."


def test_a_mark_of_a_note_never_joins_a_number():
    body = para("5", refer("footnote", 1), "mg")
    assert read(body, footnotes=note("footnote", 1, para("x"))).text.startswith("5 [1] mg\n")


def test_notes_may_be_numbered_as_the_file_says():
    section = '<w:sectPr><w:footnotePr><w:numFmt w:val="lowerLetter"/></w:footnotePr></w:sectPr>'
    settings = '<w:footnotePr><w:numStart w:val="3"/></w:footnotePr>'
    body = para("x", refer("footnote", 1)) + section
    found = read(body, footnotes=note("footnote", 1, para("n")), settings=settings)
    assert found.text == "x [c]\n\n[c] n"


def test_a_note_with_a_mark_of_its_own_is_not_numbered():
    own = refer("footnote", 1, 'w:customMarkFollows="1"') + run("*", RAISED)
    body = para("x", own, " y", refer("footnote", 2))
    footnotes = note("footnote", 1, para("* own")) + note("footnote", 2, para("n"))
    assert read(body, footnotes=footnotes).text == "x* y [1]\n\n* own\n\n[1] n"


def test_a_note_nobody_refers_to_is_not_shown():
    footnotes = note("footnote", 1, para("n")) + note("footnote", 9, para("separator"))
    body = para("x", refer("footnote", 1), refer("footnote", 7))
    assert read(body, footnotes=footnotes).text == "x [1][2]\n\n[1] n"
