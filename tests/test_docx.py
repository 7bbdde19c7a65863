"""Word files as a whole: paragraphs, headings, tables, text boxes, what the file states, faults."""

from __future__ import annotations

import io
import zipfile

import pytest
from docx_files import (
    NAMESPACES,
    alternate,
    cell,
    control,
    definition,
    drawing,
    item,
    level,
    make_docx,
    merged,
    num,
    pack,
    para,
    run,
    style,
    table,
    xml,
)

from annotator.documents.readers.docx.package import MAX_XML_BYTES
from annotator.documents.readers.docx.reader import read_docx
from annotator.documents.readers.file_text import FileText, UnreadableError
from annotator.documents.readers.read import find_format, read_bytes
from annotator.documents.readers.worker import ReaderProcess


def read(body: str, **parts: str) -> FileText:
    return read_docx(make_docx(body, **parts), max_chars=100_000)


def fault_of(data: bytes, max_chars: int = 100_000) -> UnreadableError:
    with pytest.raises(UnreadableError) as caught:
        read_docx(data, max_chars=max_chars)
    return caught.value


# Paragraphs and headings


def test_the_ending_names_the_format():
    assert find_format("a/Report.DOCX") == "docx"
    assert find_format("old.doc") is None
    data = make_docx(para("Salt."))
    assert read_bytes(data, format_name="docx", max_chars=100).text == "Salt."


def test_paragraphs_are_parted_and_empty_ones_left_out():
    assert read(para("a") + para() + para("b")).text == "a\n\nb"


def test_headings_are_found_by_name_and_not_by_id():
    styles = style("berschrift2", "heading 2") + style("X", base="berschrift2")
    body = para("a", style="berschrift2") + para("b", style="X") + para("c", style="Heading1")
    assert read(body, styles=styles).text == "## a\n\n## b\n\nc"


def test_an_outline_level_makes_a_heading_and_body_text_none():
    styles = style("H", "heading 1") + style("T", base="H", p='<w:outlineLvl w:val="9"/>')
    styles += style("O", p='<w:outlineLvl w:val="2"/>')
    body = para("a", style="T") + para("b", style="O")
    body += para("c", properties='<w:outlineLvl w:val="8"/>')
    assert read(body, styles=styles).text == "a\n\n### b\n\n###### c"


def test_a_heading_is_one_line():
    body = para("Salt", run(content="<w:br/>"), "and water", style="H")
    assert read(body, styles=style("H", "heading 1")).text == "# Salt and water"


def test_styles_that_are_based_on_each_other_end():
    styles = style("A", base="B") + style("B", base="A")
    assert read(para("a", style="A"), styles=styles).text == "a"


def test_the_default_style_holds_for_paragraphs_without_one():
    styles = style("N", p='<w:outlineLvl w:val="1"/>').replace(
        "<w:style ", '<w:style w:default="1" '
    )
    assert read(para("a"), styles=styles).text == "## a"


def test_a_drop_cap_is_the_first_letter_of_its_word():
    cap = para(run("5", '<w:position w:val="9"/>'), properties='<w:framePr w:dropCap="drop"/>')
    assert read(cap + para("0 mg a day")).text == "50 mg a day"


def test_blocks_in_any_container_are_read():
    body = (
        control(para("a"))
        + f"<w:customXml>{para('b')}</w:customXml><w:ins>{para('c')}</w:ins>{run('d')}"
    )
    assert read(body).text == "a\n\nb\n\nc\n\nd"


def test_the_prompt_of_an_empty_control_is_no_text():
    body = para("a") + control(para("Click"), "<w:showingPlcHdr/>")
    assert read(body).text == "a"


def test_deleted_blocks_are_left_out_and_counted():
    found = read(para("a") + f"<w:del>{para('b')}</w:del><w:moveFrom>{para('c')}</w:moveFrom>")
    assert (found.text, found.not_read) == ("a", {"tracked_deletions": 1})


def test_files_inside_the_file_are_counted():
    assert read(para("a") + '<w:altChunk r:id="x"/>').not_read == {"embedded_files": 1}


def test_markup_in_the_text_stays_text():
    assert read(para("if a<b & c>5: </w:t> &amp;")).text == "if a<b & c>5: </w:t> &amp;"


# Tables


def test_a_table_is_rows_and_a_cell_of_several_paragraphs_is_one():
    body = table(["Drug", "Dose"], ["Mirol", para("5 mg") + para() + para("(3–7)")])
    assert read(body).text == "| Drug | Dose |\n| --- | --- |\n| Mirol | 5 mg (3–7) |"


def test_merged_cells_keep_values_in_their_columns():
    body = table(
        [merged(2) + para("Doses"), "Unit"],
        [merged(1, "restart") + para("low"), "5", "mg"],
        [merged(1, "continue") + para(""), "6", "g"],
    )
    rows = read(body).text.split("\n")
    assert [row.split("|")[3].strip() for row in rows] == [
        "Unit",
        "---",
        "mg",
        "g",
    ]
    assert rows[3].startswith("| low | 6 |")


def test_cells_that_older_files_merge_span_columns():
    old = '<w:tcPr><w:hMerge w:val="{}"/></w:tcPr>'
    body = table(
        [old.format("restart") + para("a"), old.format("continue") + para("x"), "b"],
        ["1", "2", "3"],
    )
    first, _, last = read(body).text.split("\n")
    assert [text.strip() for text in first.split("|")[1:4]] == ["a x", "", "b"]
    assert last.split("|")[3].strip() == "3"


def test_a_row_that_starts_later_keeps_its_columns():
    late = f'<w:tr><w:trPr><w:gridBefore w:val="1"/></w:trPr>{cell("x")}{cell("y")}</w:tr>'
    body = table(["a", "b", "c"]).replace("</w:tbl>", late + "</w:tbl>")
    assert read(body).text.endswith("|  | x | y |")


def test_rows_and_cells_in_containers_are_read_and_deleted_ones_are_not():
    rows = (
        f"<w:tr><w:trPr><w:del/></w:trPr>{cell('gone')}</w:tr>"
        f"<w:ins><w:tr>{cell('a')}<w:tc><w:tcPr><w:cellDel/></w:tcPr>{para('gone')}</w:tc>"
        f"<w:sdt><w:sdtContent>{cell('b')}</w:sdtContent></w:sdt></w:tr></w:ins>"
    )
    found = read(f"<w:tbl>{rows}</w:tbl>")
    assert "gone" not in found.text
    assert "a | b" in found.text
    assert found.not_read == {"tracked_deletions": 2}


def test_a_heading_in_a_row_is_a_cell():
    body = table([para("Dose", style="H"), "5 mg"], ["x", "y"])
    assert read(body, styles=style("H", "heading 2")).text.startswith("| Dose | 5 mg |")


def test_a_table_that_arranges_a_page_is_read_as_paragraphs():
    long = "Salt is good. " * 100
    text = read(table([para(long) + para("End."), "side"])).text
    assert text == f"{long.strip()}\n\nEnd.\n\nside"


def test_a_table_in_a_table_loses_nothing():
    inner = table(["1", "2"])
    assert read(table([para("a") + inner + para("b"), "c"])).text == "a\n\n| 1 | 2 |\n\nb\n\nc"


def test_tables_nested_deep_lose_nothing():
    body = para("core")
    for number in range(60):
        body = table([para(str(number)) + body + para("")])
    words = read(body).text.split()
    assert {"core", "0", "59"} <= set(words)


# Text boxes


BOX = "<wps:wsp><wps:txbx><w:txbxContent>{}</w:txbxContent></wps:txbx></wps:wsp>"


def test_a_text_box_follows_its_paragraph_once():
    new = (
        drawing(BOX.format(para("in")), kind="anchor").removeprefix("<w:r>").removesuffix("</w:r>")
    )
    box = f"<v:textbox><w:txbxContent>{para('in')}</w:txbxContent></v:textbox>"
    old = f"<w:pict><v:shape>{box}</v:shape></w:pict>"
    both = alternate(new, old)
    assert read(para("a", run(content=both), "b") + para("c")).text == "ab\n\nin\n\nc"
    assert read(para("a", run(content=new))).text == "a\n\nin"
    assert read(para("a", run(content=old))).text == "a\n\nin"


def test_a_text_box_with_a_table_and_another_box_loses_nothing():
    inner = para("in", drawing(BOX.format(para("deep"))))
    found = read(para("a", drawing(BOX.format(inner + table(["1", "2"])))))
    assert found.text == "a\n\nin\n\ndeep\n\n| 1 | 2 |"


def test_a_text_box_counts_its_own_list():
    numbering = definition(level(0)) + num()
    body = item("a") + para("x", drawing(BOX.format(item("in")))) + item("b")
    assert read(body, numbering=numbering).text == "1. a\n\nx\n\n1. in\n\n2. b"


# What the file states


CORE = "<dc:title>{}</dc:title><dc:language>de-AT</dc:language><dc:rights>CC BY 4.0</dc:rights>"


def test_title_language_and_licence_of_the_properties():
    found = read(para("a"), core=CORE.format("On salt"))
    assert (found.title, found.language, found.license) == ("On salt", "de", "CC BY 4.0")


@pytest.mark.parametrize("title", ["", "Untitled", "Document1", "Microsoft Word - x", "a b.docx"])
def test_a_title_that_says_nothing_is_none(title: str):
    assert read(para("a"), core=CORE.format(title)).title == ""


def test_a_title_in_the_text_comes_before_that_of_the_properties():
    styles = style("T", "Title") + style("H", "heading 1")
    body = para("On salt", style="T") + para("One", style="H") + para("Two", style="H")
    found = read(body, styles=styles, core=CORE.format("Template"))
    assert found.title == "On salt"
    assert found.text.startswith("# On salt\n\n# One")
    assert read(para("One", style="H"), styles=styles, core=CORE.format("x")).title == "One"


def test_headers_and_footers_are_counted_where_they_hold_words():
    found = read(para("a"), header=para("Draft"), footer=para("7"))
    assert (found.text, found.not_read) == ("a", {"headers_and_footers": 1})


# Other forms of the format


def test_the_strict_form_is_read():
    spaces = NAMESPACES.replace(
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "http://purl.oclc.org/ooxml/wordprocessingml/main",
    )
    document = f"<w:document {spaces}><w:body>{para('a')}</w:body></w:document>"
    assert read_docx(pack({"word/document.xml": document}), max_chars=9).text == "a"


def test_parts_may_have_other_names():
    kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    links = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
    main = f'<Relationship Type="{kinds}officeDocument" Target="/x/Main2.xml"/>'
    styles = f'<Relationship Type="{kinds}styles" Target="../y/s.xml"/>'
    files = {
        "_rels/.rels": links.format(main),
        "x\\main2.xml": xml("document", f"<w:body>{para('a', style='H')}</w:body>"),
        "x/_rels/main2.xml.rels": links.format(styles),
        "y/s.xml": xml("styles", style("H", "heading 3")),
    }
    assert read_docx(pack(files), max_chars=99).text == "### a"


def test_utf_16_is_read():
    document = xml("document", f"<w:body>{para('盐 5 mg')}</w:body>")
    data = ('<?xml version="1.0" encoding="UTF-16"?>' + document).encode("utf-16")
    assert read_docx(pack({"word/document.xml": data}), max_chars=99).text == "盐 5 mg"


# Faults


def test_what_is_no_word_file_is_broken():
    assert fault_of(b"").reason == "broken"
    assert fault_of(b"PK\x03\x04 and no more").reason == "broken"
    assert fault_of(pack({"xl/workbook.xml": "<x/>"})).reason == "broken"
    assert fault_of(pack({"word/document.xml": "<x/>"})).reason == "broken"
    assert fault_of(pack({"word/document.xml": xml("document", "")})).reason == "broken"
    assert fault_of(pack({"word/document.xml": "<w:document"})).reason == "broken"
    cut = bytearray(make_docx(para("a" * 5000)))
    at = cut.index(b"word/document.xml") + len("word/document.xml")
    cut[at : at + 60] = b"\xff" * 60
    assert fault_of(bytes(cut)).reason == "broken"


def test_a_file_with_a_password_is_encrypted():
    assert fault_of(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600).reason == "encrypted"
    locked = bytearray(make_docx(para("a")))
    for entry in zipfile.ZipFile(io.BytesIO(bytes(locked))).infolist():
        locked[entry.header_offset + 6] |= 1
    start = 0
    while (start := locked.find(b"PK\x01\x02", start)) >= 0:
        locked[start + 8] |= 1
        start += 4
    assert fault_of(bytes(locked)).reason == "encrypted"


def test_a_file_without_text_says_what_it_holds():
    fault = fault_of(make_docx(para(drawing()) + para(drawing())))
    assert fault.reason == "no_text"
    assert "2 images" in fault.detail
    equation = fault_of(make_docx("<m:oMathPara><m:oMath/></m:oMathPara>"))
    assert (equation.reason, "1 equations" in equation.detail) == ("no_text", True)
    assert fault_of(make_docx(para())).reason == "empty"


def test_a_text_that_is_too_long_is_refused():
    assert fault_of(make_docx(para("a" * 60) + para("b" * 60)), max_chars=100).reason == "too_large"


def test_xml_that_unpacks_to_too_much_is_not_unpacked():
    # Unpacked, it would be no XML: "broken".
    bomb = pack({"word/document.xml": b"x" * (MAX_XML_BYTES + 1)})
    assert len(bomb) < MAX_XML_BYTES // 100
    assert fault_of(bomb).reason == "too_large"


def test_the_parts_are_bounded_together():
    document = xml("document", f"<w:body>{para('a')}</w:body>")
    bomb = pack({"word/document.xml": document, "word/styles.xml": b"x" * (MAX_XML_BYTES - 99)})
    assert fault_of(bomb).reason == "too_large"


def test_pictures_are_not_unpacked():
    document = xml("document", f"<w:body>{para('a')}</w:body>")
    files = {"word/document.xml": document, "word/media/1.png": b"x" * (MAX_XML_BYTES + 1)}
    assert read_docx(pack(files), max_chars=9).text == "a"


@pytest.mark.parametrize("part", ["document", "styles"])
def test_entities_are_refused(part: str):
    bomb = (
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        + xml("styles", "<w:style>&b;</w:style>")
    )  # fmt: skip
    files = {"word/document.xml": xml("document", f"<w:body>{para('a')}</w:body>")}
    assert fault_of(pack(files | {f"word/{part}.xml": bomb})).reason == "broken"


def test_a_part_nested_without_end_is_refused():
    deep = "<w:sdt>" * 50_000 + "</w:sdt>" * 50_000
    fault = fault_of(make_docx(para("a") + deep))
    assert fault.reason == "broken"
    assert "nested deeper than 200" in fault.detail


def test_in_the_reader_process_a_large_file_is_read():
    rows = "".join(
        para(f"Row {index}: ", run("5", '<w:vertAlign w:val="superscript"/>'), " mg", run(" a day"))
        for index in range(2_000)
    )
    with ReaderProcess(memory_mb=2048, seconds=100) as reader:
        found = reader.read(make_docx(rows), format_name="docx", max_chars=10**7)
    assert found.text.endswith("Row 1999: ⁵ mg a day")
