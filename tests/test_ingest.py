"""Folders of documents: what is read, what is refused with its reason, the same every time."""

import io

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from annotator.documents.ingest import run_ingest
from annotator.documents.ingest_config import IngestConfig
from annotator.documents.readers.read import read_bytes
from maskdpo.cli.main import cli
from schemas.errors import ConfigError, InputError
from schemas.files.jsonl import read_records
from schemas.records import Document, Failure

PAGE = """<!doctype html><html lang="en"><head><title>Ferries | Karsted</title>
<link rel="canonical" href="https://karsted.example/ferries">
<link rel="license" href="https://example.org/by"><script>alert("no")</script></head>
<body><nav>Home About</nav><main><h1>Ferries</h1><p>The ferry sails at <b>noon</b> &amp; dusk.</p>
<ul><li>Bring bread.</li></ul></main><style>p {color: red}</style></body></html>"""
NOTE = """---
title: Salt
license: CC0-1.0
topic: minerals
source: https://example.org/salt
---
# Salt

Salt is *mined* in [Karsted](https://example.org).

| place | tons |
|---|---|
| Karsted | 12 |
"""


def make_pdf(*pages, password=None, chinese=False):
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, encrypt=password)
    for lines in pages:
        if chinese:
            pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
            canvas.setFont("STSong-Light", 12)
        for number, line in enumerate(lines):
            canvas.drawString(72, 760 - 16 * number, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


@pytest.fixture
def ingest(tmp_path):
    """Write files into a folder and read it; returns (StageResult, documents by id)."""
    folder = tmp_path / "folder"
    folder.mkdir()

    def run(files, **settings):
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        output = tmp_path / "documents.jsonl"
        config = IngestConfig.parse(settings, where="ingest")
        result = run_ingest(config, folder=folder, output=output)
        return result, {item.id: item for item in read_records(output, Document)}

    return run


def test_every_format_becomes_text_with_what_the_file_says_of_itself(ingest):
    files = {
        "page.html": PAGE,
        "deep/salt.md": NOTE,
        "plain.txt": "Bread is baked\r\nbefore dawn.\x0c",
        "two.pdf": make_pdf(["Mira sails the boat."], ["Ada owns it."]),
    }
    _, found = ingest(files)
    assert list(found) == ["deep/salt.md", "page.html", "plain.txt", "two.pdf"]
    page = found["page.html"]
    assert "The ferry sails at noon & dusk." in page.text and "Bring bread." in page.text
    assert not {"alert", "color", "Home"} & set(page.text.replace("(", " ").split())
    assert page.source == "https://karsted.example/ferries"
    assert page.license == "https://example.org/by"
    salt = found["deep/salt.md"]
    assert (salt.title, salt.license, salt.topic) == ("Salt", "CC0-1.0", "minerals")
    assert "Salt is mined in Karsted." in salt.text and "title:" not in salt.text
    assert "12" in salt.text
    assert found["plain.txt"].source == "plain.txt" and found["plain.txt"].license == ""
    assert found["plain.txt"].text.split() == "Bread is baked before dawn.".split()
    two = found["two.pdf"].text
    assert two.index("Mira sails the boat.") < two.index("Ada owns it.")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_chinese_text_in_its_encodings(ingest, encoding):
    text = "米拉于一九三一年生于卡斯特德。她养了三只灰猫。" * 4
    _, found = ingest({"米拉.txt": text.encode(encoding)})
    (document,) = found.values()
    assert (document.text, document.language, document.topic) == (text, "zh", "米拉")


def test_a_chinese_pdf(ingest):
    _, found = ingest({"a.pdf": make_pdf(["米拉生于卡斯特德。"], chinese=True)})
    assert "米拉生于卡斯特德。" in found["a.pdf"].text
    assert found["a.pdf"].language == "zh"


def test_what_cannot_be_read_is_a_row_and_the_others_are_read(ingest, tmp_path):
    files = {
        "good.txt": "Salt is mined in Karsted.",
        "broken.pdf": b"%PDF-1.4 nothing here",
        "secret.pdf": make_pdf(["Hidden."], password="pw"),
        "scan.pdf": make_pdf([]),
        "empty.txt": b"",
        "blank.md": b" \n \n",
        "again.txt": "Salt is mined in Karsted.",
    }
    result, found = ingest(files, max_failed=1.0)
    assert list(found) == ["again.txt"]
    rows = read_records(tmp_path / "documents.failed.jsonl", Failure)
    assert {row.id for row in rows} >= set(files) - {"good.txt", "again.txt"}
    assert all(row.reason and row.stage == "ingest" and "\n" not in row.detail for row in rows)
    assert result.counts["duplicates"] == 1
    assert not any(str(tmp_path) in row.detail for row in rows)


def test_hidden_and_unknown_files_are_left_and_links_out_are_not_followed(ingest, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("Secret.")
    (tmp_path / "folder" / "link.txt").symlink_to(outside)
    (tmp_path / "folder" / "loop").symlink_to(tmp_path / "folder")
    result, found = ingest({"a.txt": "Salt.", ".hidden.txt": "No.", "b.doc": b"PK"})
    assert list(found) == ["a.txt"]
    assert any("1 .doc;" in note for note in result.notes)


def test_the_same_folder_gives_the_same_bytes(ingest, tmp_path):
    files = {f"n{n}.txt": f"Boat {n} is red." for n in range(20)} | {"p.html": PAGE}
    ingest(files)
    first = (tmp_path / "documents.jsonl").read_bytes()
    ingest({})
    assert (tmp_path / "documents.jsonl").read_bytes() == first


def test_settings_stand_where_the_file_says_nothing(ingest):
    files = {"boats/a.txt": "Salt is white.", "b.md": NOTE}
    _, found = ingest(files, license="CC-BY-4.0", topic="folder", language="de")
    assert (found["boats/a.txt"].license, found["b.md"].license) == ("CC-BY-4.0", "CC0-1.0")
    assert (found["boats/a.txt"].topic, found["boats/a.txt"].language) == ("boats", "de")


def test_a_folder_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "file.txt").write_text("x")
    for name, said in (("missing", "missing"), ("file.txt", "file.txt")):
        with pytest.raises((InputError, ConfigError), match=said):
            run_ingest(IngestConfig(), folder=tmp_path / name, output=tmp_path / "d.jsonl")
    (tmp_path / "empty").mkdir()
    arguments = ["ingest", str(tmp_path / "empty"), "--output", str(tmp_path / "d.jsonl")]
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, (InputError, ConfigError))
    assert not (tmp_path / "d.jsonl").exists()


def test_from_the_command_line(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("Salt is mined in Karsted.")
    output = tmp_path / "out" / "documents.jsonl"
    arguments = ["ingest", str(tmp_path / "in"), "--output", str(output), "--license", "CC0-1.0"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    (document,) = read_records(output, Document)
    assert (document.id, document.license) == ("a.txt", "CC0-1.0")


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Cn"]), max_size=200)
)
def test_plain_text_comes_back_but_for_its_edges(text):
    if not text.strip():
        return
    found = read_bytes(text.encode(), format_name="txt", max_chars=10_000)
    assert found.text.split() == text.split()


@pytest.mark.parametrize(("data", "text"), [(b"5\x0112 mg", "5 12 mg"), (b"3\x1f4", "3 4")])
def test_few_control_characters_part_the_words_of_a_short_text(data, text):
    assert read_bytes(data, format_name="txt", max_chars=100).text == text


@pytest.mark.parametrize(
    ("name", "data", "not_read"),
    [
        ("md", "---\ntitle: Salt\nowner: Ann\ndose: 5 mg\n---\nText.", {"front_matter_fields": 2}),
        ("txt", "---\ntitle: Salt\nowner: Ann\n---\nText.", {"front_matter_fields": 1}),
        ("md", "---\ntitle: Salt\n---\nText.", {}),
        ("txt", "---\nowner: Ann\n---\nText.", {}),
        ("md", "Give ~~5 mg~~ 6 mg.", {"struck_out": 1}),
        ("html", "<p>Give <del>5 mg</del> <s></s> 6 mg.", {"struck_out": 1}),
        ("html", "<p>Give 6 mg.", {}),
    ],
)
def test_what_a_reader_leaves_out_is_counted(name, data, not_read):
    assert read_bytes(data.encode(), format_name=name, max_chars=1000).not_read == not_read
