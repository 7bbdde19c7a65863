"""Front matter: values as typed, in Markdown and plain text; control characters in text."""

import pytest

from annotator.documents.readers.read import read_bytes


def read(text, format_name="md"):
    return read_bytes(text.encode(), format_name=format_name, max_chars=10**6)


@pytest.mark.parametrize("format_name", ["md", "txt"])
@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("007", "007"),
        ("no", "no"),
        ("yes", "yes"),
        ("1.10", "1.10"),
        ("12:30", "12:30"),
        ("2020-01-05", "2020-01-05"),
        ("null", "null"),
        ("0x10", "0x10"),
        ('"1.0"', "1.0"),
        ("|\n  a\n  b", "a b"),
        ("Salt: a history", "Salt: a history"),
        ("'x' # note", "x"),
        ("@5 percent", "@5 percent"),
    ],
)
def test_values_are_text_as_typed(typed, value, format_name):
    found = read(f"---\ntitle: {typed}\nlang: no\n---\nBody.", format_name)
    assert (found.title, found.language, found.text) == (value, "no", "Body.")


@pytest.mark.parametrize("end", ["---", "..."])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends_and_both_ends_of_the_block(end, line_end):
    text = "\ufeff" + line_end.join(["---", "Title: A", "title: B", end, "Body."])
    assert (read(text, "txt").title, read(text, "txt").text) == ("A", "Body.")


@pytest.mark.parametrize(
    ("text", "format_name"),
    [
        ("---\nTake 5 mg daily.\n---\nBody.", "txt"),
        ("---\ndose: 5 mg\n---\nBody.", "txt"),
        ("---\nWarning: 5 mg\n---\nBody.", "md"),
        ("---\ntitle: a\ntake 5 mg: [\n---\nBody.", "md"),
        ("---\n5 mg\n\nBody.", "md"),
    ],
)
def test_what_is_no_front_matter_stays(text, format_name):
    found = read(text, format_name)
    assert "5 mg" in found.text and "Body." in found.text and not found.topic


def test_a_program_s_front_matter_goes_from_markdown():
    assert read("---\nlayout: post\nsidebar_position: 5\n---\nBody.").text == "Body."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The years 1990\x1f2001 are here.", "The years 1990 2001 are here."),
        ("The sizes are 5\x0010 in all.", "The sizes are 5 10 in all."),
        (
            "It was part one.\x07\x08Part two it was, all in all.",
            "It was part one. Part two it was, all in all.",
        ),
        ("It is 5 \x0710 and no more.", "It is 5 10 and no more."),
        ("It is 5\ufffe10 and no more.", "It is 5 10 and no more."),
        ("soft\xadware is 5\xad10", "software is 5 10"),
        ("It is red: \x1b[31m5\x1b[0m10 in all", "It is red: 5 10 in all"),
        ("5\x0c10\x0b20", "5\n10\n20"),
    ],
)
def test_a_control_character_parts_what_it_stands_between(text, shown):
    assert read(text, "txt").text == shown
