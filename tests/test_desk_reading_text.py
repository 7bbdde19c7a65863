"""Texts as HTML: the text nodes are the text, whatever it holds."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskdpo.desk.reading.text_html import Block, Mark, cut_at_marks, html_of_text

HOSTILE = [
    "\n\nleading", "a\r\nb\rc", "a\0b", "\ud83d alone \udc00", "<script>alert(1)</script>",
    "&amp; &#13; &lt;", "]]> --> <!--", "\u202eevil\u202c \u2066x", "\u200b\ufeff", "\x85\x0c\x1f",
    "'\" onload=x", "e\u0301 👩‍👩‍👧 🇩🇪 𠀀", "شكرا mixed עברית", "\u2028\u2029",
]  # fmt: skip


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.depth = self.deepest = 0
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def read_back(html: str) -> _Text:
    """What a parser makes of the HTML; a parser of documents turns CR into LF first."""
    parser = _Text()
    parser.feed(re.sub("\r\n?", "\n", html))
    parser.close()
    return parser


def shown(text: str) -> str:
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_text_nodes_are_the_text(text: str) -> None:
    found = read_back(html_of_text(text))
    assert "".join(found.parts) == shown(text)
    assert {tag for tag, _ in found.tags} <= {"span"}


def test_the_page_parser_of_a_browser_reads_the_same() -> None:
    from selectolax.lexbor import LexborHTMLParser

    for text in HOSTILE:
        page = f'<!doctype html><div id="t">{html_of_text(text)}</div>'
        node = LexborHTMLParser(page).css_first("#t")
        assert node is not None
        assert node.text(deep=True, strip=False) == shown(text), text


texts = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\r\n\0<>&\u202e\ud800é👩")))


@st.composite
def marked(draw: st.DrawFn) -> tuple[str, list[Block], list[Mark], int, int]:
    text = draw(texts)
    place = st.integers(0, len(text))
    bounds = sorted(draw(st.sets(place, max_size=6)))
    blocks = [
        Block(start=one, end=two, classes="sentence", attributes={"id": f"s{number}"})
        for number, (one, two) in enumerate(zip(bounds[::2], bounds[1::2], strict=False))
    ]
    marks = [
        Mark(start=min(one, two), end=max(one, two), name=name)
        for one, two, name in draw(
            st.lists(st.tuples(place, place, st.sampled_from(["wrong", "hit", "evidence"])))
        )
    ]
    start, end = sorted([draw(place), draw(place)])
    return text, blocks, marks, start, end


@given(marked())
def test_blocks_and_marks_change_no_offset(
    case: tuple[str, list[Block], list[Mark], int, int],
) -> None:
    text, blocks, marks, start, end = case
    found = read_back(html_of_text(text, start=start, end=end, blocks=blocks, marks=marks))
    assert "".join(found.parts) == shown(text[start:end])


@given(marked())
def test_every_marked_character_has_its_marks(
    case: tuple[str, list[Block], list[Mark], int, int],
) -> None:
    _, _, marks, start, end = case
    stretches = cut_at_marks(start, end, marks)
    assert [at for one, two, _ in stretches for at in range(one, two)] == list(range(start, end))
    for one, two, names in stretches:
        for at in range(one, two):
            assert set(names.split()) == {m.name for m in marks if m.start <= at < m.end}


def test_attributes_are_escaped() -> None:
    block = Block(start=0, end=1, classes="sentence", attributes={"data-id": "\"><img src=x>'"})
    found = read_back(html_of_text("a", blocks=[block]))
    assert found.tags == [("span", {"class": "sentence", "data-id": "\"><img src=x>'"})]


def test_controls_are_visible_elements() -> None:
    html = html_of_text("a\u202eb")
    assert html == 'a<span class="control" data-name="U+202E">\u202e</span>b'
