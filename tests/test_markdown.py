"""Markdown: comparisons, products, placeholders and items come out as they were typed."""

import pytest

from annotator.documents.readers.read import read_bytes


def text_of(markup):
    return read_bytes(markup.encode(), format_name="md", max_chars=10**7).text


@pytest.mark.parametrize(
    "line",
    [
        "Let p<q and q>r.",
        "Use the <dose> daily",
        "a < b and c > d",
        "if x<y then z>w",
        "a <b and c> d",
        "a <b c=5 and d> e",
        "5<i>3",
        "p<s and s>u",
        "<5 mg",
        "<p 0.05 was found",
        "Use the <script> element",
        "x <!- no> <? pi ?> <![x]>",
        "<!-- never closed 5",
        "2*3*4",
        "5*10^3*2",
        "x*y*z",
        "(2)*(3)*(4)",
        "2*3 and 4* 5",
        "(2)*(3) and 4* 5",
        "Use <dose>5</dose> mg",
        "p<q and q>r</q>",
        "2**3**4",
        "2*3 and 4*5",
        "5 **3**4",
        "snake_case_name and __init__",
        "5 * 3 * 2",
        "H~2~O",
        "10^[6] watts",
        "$5 and $6",
        "#5 is",
        "[Dose]: 5",
        "https://x.example/a%20b",
        "[1] and [2,3]",
        "$a*b*c$",
        "$$ x<y $$ (eq1)",
        "1999.",
        "1999. The bridge opened.\n2004. The bridge closed.",
        "7. a\n7. b",
        "1) a\n2) b",
        "+ 5 °C",
        "* 5\n* 6",
        "> 1999. x",
        "In the year\n1999. x",
    ],
)
def test_what_is_no_markup_stays_as_typed(line):
    assert text_of(line).split() == line.split()


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("*a* **b** _c_ __d e__", "a b c d e"),
        ("**B**12 and 这是*重点*内容", "B12 and 这是重点内容"),
        ("10<sup>5</sup> CO<sub>2</sub>", "10⁵ CO₂"),
        ('x <b>bold</b><br>y <a href="/x">z</a>', "x bold\ny z"),
        ("a <!-- note --> b", "a b"),
        ("see <https://x.example/a%20b>", "see https://x.example/a%20b"),
        ("\\*a\\* \\_b\\_ 5 &lt; 6&deg;", "*a* _b_ 5 < 6°"),
        ("<div>\nif x<y then z>w <b>c</b>\n</div>", "if x<y then z>w c"),
        ("<dose>\n\n5", "<dose>\n\n5"),
        ("<script>\nx()\n</script>\n\n5", "5"),
        ("<script>\nis an element, 5", "<script> is an element, 5"),
        ("`a<b>c` `x*y*z`", "a<b>c x*y*z"),
        ("|a|b|\n|-|-|\n|1\\|2|3|", "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |"),
        ("|a|b|\n|-|-|\n|1|2|3|", "| a | b |  |\n| --- | --- | --- |\n| 1 | 2 | 3 |"),
        ("x\n\n[a]: https://x.example", "x"),
        ("x[^a] y[^a]\n\n[^a]: Note 5", "x [1] y [1]\n\n1. Note 5"),
        ("x\n\n[^7]: Unused 5", "x\n\n[7]\n\nUnused 5"),
        ("# 10<sup>5</sup>\n\nx", "# 10⁵\n\nx"),
        ("~~5 mg~~ x", "x"),
    ],
)
def test_what_is_markup_is_read(markup, text):
    assert text_of(markup) == text


def test_a_hostile_text_takes_no_time():
    for markup in ("<b>" * 20_000, "<!--" * 20_000, "2*3" * 20_000, "__a" * 20_000):
        assert text_of(markup)
