"""The numbers of Word's lists, counted as Word counts."""

from __future__ import annotations

import pytest
from docx_files import definition, item, level, make_docx, num, para, run, style, table

from annotator.documents.readers.docx.labels import write_number
from annotator.documents.readers.docx.reader import read_docx
from annotator.text.blocks import find_blocks


def lines(body: str, numbering: str, **parts: str) -> list[str]:
    text = read_docx(make_docx(body, numbering=numbering, **parts), max_chars=10_000).text
    return [line for line in text.split("\n") if line]


ONE = definition(level(0)) + num()
THREE = (
    definition(level(0), level(1, text="%1.%2"), level(2, "lowerLetter", text="%1.%2(%3)")) + num()
)


def test_items_are_numbered_in_order():
    assert lines(item("a") + item("b") + item("c"), ONE) == ["1. a", "2. b", "3. c"]


def test_a_list_goes_on_after_other_text():
    assert lines(item("a") + para("between") + item("b"), ONE) == ["1. a", "between", "2. b"]


def test_a_list_starts_where_it_says():
    assert lines(item("a") + item("b"), definition(level(0, start=7)) + num()) == ["7. a", "8. b"]


def test_levels_below_start_again_after_an_item():
    body = (
        item("a") + item("b", level=1) + item("c", level=1) + item("d", level=2)
        + item("e") + item("f", level=1) + item("g", level=2)
    )  # fmt: skip
    assert lines(body, THREE) == [
        "1. a", "1.1 b", "1.2 c", "1.2(a) d", "2. e", "2.1 f", "2.1(a) g",
    ]  # fmt: skip


def test_the_level_above_counts_on_after_a_level_below():
    body = item("a", level=1) + item("b", level=2) + item("c", level=1)
    assert lines(body, THREE) == ["1.1 a", "1.1(a) b", "1.2 c"]


def test_a_level_passed_over_counts_as_used():
    assert lines(item("a", level=1) + item("b"), THREE) == ["1.1 a", "2. b"]


def test_a_level_that_never_starts_again_counts_on():
    numbering = definition(level(0), level(1, more='<w:lvlRestart w:val="0"/>')) + num()
    body = item("a") + item("b", level=1) + item("c") + item("d", level=1)
    assert lines(body, numbering) == ["1. a", "1. b", "2. c", "2. d"]


def test_a_level_may_start_again_only_after_a_higher_one():
    third = level(2, more='<w:lvlRestart w:val="1"/>')
    numbering = definition(level(0), level(1), third) + num()
    body = "".join(item(f"x{index}", level=index) for index in (0, 1, 2, 1, 2, 0, 2))
    assert lines(body, numbering)[2::2] == ["1. x2", "2. x2", "1. x2"]


def test_lists_of_one_definition_continue_each_other():
    assert lines(item("a") + item("b", num=2), ONE + num(2)) == ["1. a", "2. b"]


def test_lists_of_two_definitions_count_apart():
    numbering = ONE + definition(level(0), key=1) + num(2, of=1)
    assert lines(item("a") + item("b", num=2) + item("c"), numbering) == ["1. a", "1. b", "2. c"]


def test_a_list_with_a_start_of_its_own_starts_anew_once():
    override = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>'
    body = item("a") + item("b", num=2) + item("c", num=2) + item("d")
    assert lines(body, ONE + num(2, overrides=override)) == ["1. a", "5. b", "6. c", "7. d"]


def test_a_list_may_have_a_level_of_its_own():
    override = f'<w:lvlOverride w:ilvl="0">{level(0, "upperRoman", "Part %1:")}</w:lvlOverride>'
    body = item("a") + item("b", num=2)
    assert lines(body, ONE + num(2, overrides=override)) == ["1. a", "Part II: b"]


def test_legal_numbers_are_decimal_at_all_levels():
    legal = level(1, text="%1.%2", more='<w:isLgl w:val="1"/>')
    numbering = definition(level(0, "upperRoman", "Article %1"), legal) + num()
    assert lines(item("a") + item("b", level=1), numbering) == ["Article I a", "1.1 b"]


def test_numbers_of_levels_above_keep_their_form():
    numbering = definition(level(0, "upperRoman"), level(1, text="%1-%2")) + num()
    assert lines(item("a") + item("b", level=1), numbering) == ["I. a", "I-1 b"]


def test_bullets_are_dashes_whatever_their_sign():
    numbering = definition(level(0, "bullet", "\uf0b7"), level(1, "bullet", "o")) + num()
    assert lines(item("a") + item("b", level=1), numbering) == ["- a", "- b"]


def test_a_bullet_of_words_keeps_them():
    assert lines(item("a"), definition(level(0, "bullet", "Note")) + num()) == ["Note a"]


def test_blocks_find_the_items():
    text = read_docx(
        make_docx(
            item("Take it.") + item("Rest.") + item("Eat.", num=2),
            numbering=ONE + definition(level(0, "bullet", "•"), key=1) + num(2, of=1),
        ),
        max_chars=100,
    ).text
    blocks, view = find_blocks(text)
    assert [view[block.start : block.end].strip() for block in blocks] == [
        "Take it.", "Rest.", "Eat.",
    ]  # fmt: skip


def test_headings_are_numbered_by_their_styles():
    ref = '<w:numPr><w:numId w:val="1"/></w:numPr>'
    styles = style("A", "heading 1", p=ref) + style("B", "heading 2", p=ref)
    numbering = (
        definition(
            level(0, text="%1", more='<w:pStyle w:val="A"/>'),
            level(1, text="%1.%2", more='<w:pStyle w:val="B"/>'),
        )
        + num()
    )
    body = para("Aim", style="A") + para("Goal", style="B") + para("Way", style="B")
    assert lines(body, numbering, styles=styles) == ["# 1 Aim", "## 1.1 Goal", "## 1.2 Way"]


def test_a_style_takes_the_list_of_the_style_it_is_based_on():
    ref = '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr>'
    styles = style("A", p=ref) + style("B", base="A")
    assert lines(para("x", style="B"), THREE, styles=styles) == ["1.1 x"]


def test_a_paragraph_may_be_taken_out_of_its_styles_list():
    styles = style("A", p='<w:numPr><w:numId w:val="1"/></w:numPr>')
    out = '<w:numPr><w:numId w:val="0"/></w:numPr>'
    body = para("a", style="A") + para("b", style="A", properties=out) + para("c", style="A")
    assert lines(body, ONE + num(0), styles=styles) == ["1. a", "b", "2. c"]


def test_a_definition_may_point_to_a_list_style():
    numbering = (
        definition(more='<w:numStyleLink w:val="L"/>')
        + definition(level(0, text="§%1"), key=1)
        + num()
        + num(2, of=1)
    )
    styles = style("L", kind="numbering", p='<w:numPr><w:numId w:val="2"/></w:numPr>')
    assert lines(item("a"), numbering, styles=styles) == ["§1 a"]


def test_list_styles_that_point_to_each_other_end():
    numbering = definition(more='<w:numStyleLink w:val="L"/>') + num()
    styles = style("L", kind="numbering", p='<w:numPr><w:numId w:val="1"/></w:numPr>')
    assert lines(item("a"), numbering, styles=styles) == ["a"]


def test_an_item_without_text_is_counted():
    assert lines(item("a") + item("") + item("b"), ONE) == ["1. a", "3. b"]


def test_a_hidden_item_is_not_counted():
    ref = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr><w:rPr><w:vanish/></w:rPr>'
    hidden = para(run("no", "<w:vanish/>"), properties=ref)
    assert lines(item("a") + hidden + item("b"), ONE) == ["1. a", "2. b"]


def test_the_number_as_it_was_before_a_tracked_change_is_ignored():
    change = (
        f"<w:pPrChange>{item('x').split('</w:pPr>')[0].removeprefix('<w:p>')}</w:pPr></w:pPrChange>"
    )
    assert lines(item("a") + para("b", properties=change), ONE) == ["1. a", "b"]


def test_a_deleted_item_is_not_counted_and_its_rest_joins_the_next():
    ref = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    gone = para("half ", properties=ref + "<w:rPr><w:del/></w:rPr>")
    assert lines(item("a") + gone + item("b"), ONE) == ["1. a", "2. half b"]


@pytest.mark.parametrize(
    ("suffix", "text", "shown"),
    [
        ("nothing", "总则", "第1章总则"),
        ("space", "总则", "第1章 总则"),
    ],
)
def test_what_follows_a_number_is_as_set(suffix: str, text: str, shown: str):
    numbering = definition(level(0, text="第%1章", more=f'<w:suff w:val="{suffix}"/>')) + num()
    assert lines(item(text), numbering) == [shown]


def test_a_number_never_joins_the_number_that_follows_it():
    numbering = definition(level(0, text="%1", more='<w:suff w:val="nothing"/>')) + num()
    assert lines(item("5 mg"), numbering) == ["1 5 mg"]


def test_a_hidden_number_is_not_shown():
    numbering = definition(level(0, more="<w:rPr><w:vanish/></w:rPr>")) + num()
    assert lines(item("a"), numbering) == ["a"]


def test_numbers_in_a_table_count_on():
    body = item("a") + table([item("b"), "x"], ["y", item("c")])
    assert lines(body, ONE)[0] == "1. a"
    assert lines(body, ONE)[1] == "| 2. b | x |"
    assert lines(body, ONE)[3] == "| y | 3. c |"


def test_a_list_that_is_not_defined_gives_no_number():
    assert lines(item("a", num=9), ONE) == ["a"]


def test_a_number_format_of_its_own_pads_with_zeros():
    own = (
        '<mc:AlternateContent><mc:Choice Requires="w14"><w:numFmt w:val="custom" '
        'w:format="001, 002, 003, ..."/></mc:Choice><mc:Fallback/></mc:AlternateContent>'
    )
    numbering = definition(level(0, more=own, start=12)) + num()
    assert lines(item("a"), numbering) == ["012. a"]


@pytest.mark.parametrize(
    ("number", "style", "shown"),
    [
        (4, "lowerRoman", "iv"),
        (1994, "upperRoman", "MCMXCIV"),
        (3, "lowerLetter", "c"),
        (28, "lowerLetter", "bb"),
        (53, "upperLetter", "AAA"),
        (5, "decimalZero", "05"),
        (12, "decimalZero", "12"),
        (1, "ordinal", "1st"),
        (12, "ordinal", "12th"),
        (22, "ordinal", "22nd"),
        (21, "cardinalText", "Twenty-one"),
        (115, "cardinalText", "One hundred fifteen"),
        (12, "ordinalText", "Twelfth"),
        (20, "ordinalText", "Twentieth"),
        (12, "chineseCounting", "十二"),
        (105, "chineseCountingThousand", "一百零五"),
        (20, "japaneseCounting", "二十"),
        (3, "chineseLegalSimplified", "叁"),
        (12, "chineseLegalSimplified", "壹拾贰"),
        (10, "ideographDigital", "一〇"),
        (2, "ideographTraditional", "乙"),
        (3, "decimalEnclosedCircle", "③"),
        (21, "decimalEnclosedCircle", "21"),
        (15, "decimalFullWidth", "１５"),
        (255, "hex", "FF"),
        (7, "numberInDash", "- 7 -"),
        (7, "a format of the future", "7"),
        (7, "001, 002, ...", "007"),
        (5000, "upperRoman", "5000"),
        (0, "lowerLetter", "0"),
        (7, "none", ""),
    ],
)
def test_numbers_are_written_in_their_style(number: int, style: str, shown: str):
    assert write_number(number, style) == shown
