"""Random selections in texts of all scripts, and their offsets computed from the text in Python.

The rule: Python and the page share only the number of a text node and an offset in its UTF-16
units; everything else is computed twice, here with the package `regex`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import regex
from text_page import Text, TextServer, page_of, random_text

if TYPE_CHECKING:
    from playwright.sync_api import Page

# A boundary: (text node, UTF-16 offset in it), or -1 for before and -2 for after the text.
Boundary = tuple[int, int]
_PREPARE = """async () => {
  window.offsets = await import("/review/static/offsets.js");
  window.nodesOf = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const found = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) found.push(node);
    return found;
  };
  window.texts = [...document.querySelectorAll("[data-text]")];
  return window.texts.map((root) => nodesOf(root).map((node) => node.data));
}"""
# An offset -1 (-2) is the boundary before (after) the node in its parent element.
_SELECT = """([number, selections]) => selections.map(([anchor, focus]) => {
  const root = texts[number];
  const nodes = nodesOf(root);
  const point = ([index, offset]) => {
    if (index === -1) return [root.previousElementSibling.firstChild, 1];
    if (index === -2) return [root.nextElementSibling.firstChild, 1];
    const node = nodes[index];
    const place = [...node.parentNode.childNodes].indexOf(node);
    return offset >= 0 ? [node, offset] : [node.parentNode, offset === -1 ? place : place + 1];
  };
  getSelection().setBaseAndExtent(...point(anchor), ...point(focus));
  return offsets.selected();
})"""
_DRAGGED = """(number) => {
  const chosen = getSelection();
  const nodes = nodesOf(texts[number]);
  const at = (node, offset) => [nodes.indexOf(node), offset];
  return [at(chosen.anchorNode, chosen.anchorOffset), at(chosen.focusNode, chosen.focusOffset),
    offsets.selected(), chosen.toString()];
}"""
_BOXES = """([number, points]) => points.map(([index, offset]) => {
  const node = nodesOf(texts[number])[index];
  const range = document.createRange();
  range.setStart(node, offset);
  range.setEnd(node, offset + 1);
  const box = range.getClientRects()[0] ?? node.parentElement.getBoundingClientRect();
  return [box.x + box.width / 4, box.y + box.height / 2];
})"""


def units(text: str) -> int:
    """UTF-16 units of a text."""
    return len(text.encode("utf-16-le")) // 2


def offset_of(text: Text, boundary: Boundary) -> int:
    """UTF-16 units of the text before a boundary."""
    index, offset = boundary
    nodes = text.nodes
    if index < 0:
        return 0 if index == -1 else units(text.text)
    before = units("".join(nodes[:index]))
    if offset < 0:
        return before + (0 if offset == -1 else units(nodes[index]))
    return before + offset


def expected(text: Text, anchor: Boundary, focus: Boundary) -> dict[str, object]:
    """The offsets that the page must find."""
    first, last = sorted((offset_of(text, anchor), offset_of(text, focus)))
    if first == last:
        return {"problem": "none"}
    starts = {units(text.text[:at]) for at in text.borders}
    ends = [0, *accumulate(units(one) for one in regex.findall(r"\X", text.text))]
    if first not in starts:
        first = max(at for at in ends if at <= first)
    if last not in starts:
        last = min(at for at in ends if at >= last)
    encoded = text.text.encode("utf-16-le")
    start = len(encoded[: first * 2].decode("utf-16-le"))
    end = len(encoded[: last * 2].decode("utf-16-le"))
    return {"start": text.start + start, "end": text.start + end}


def random_boundary(rng: random.Random, text: Text) -> Boundary:
    """Any boundary: mostly inside a text node, also of elements and outside the text."""
    chance = rng.random()
    if chance < 0.04:
        return rng.choice([(-1, 0), (-2, 0)])
    index = rng.randrange(len(text.nodes))
    if chance < 0.15:
        return (index, rng.choice([-1, -2]))
    return (index, rng.randint(0, units(text.nodes[index])))


def run_selections(page: Page, server: TextServer, rng: random.Random, number: int) -> list[str]:
    """Make selections by script; what was found wrong."""
    texts = _show(page, server, rng)
    wrong = []
    for index, text in enumerate(texts):
        cases = [
            (random_boundary(rng, text), random_boundary(rng, text))
            for _ in range(-(-number // len(texts)))
        ]
        # With neither end in a text the whole page is selected, which holds several texts.
        cases = [case for case in cases if case[0][0] >= 0 or case[1][0] >= 0]
        found = page.evaluate(_SELECT, [index, cases])
        wrong += [
            f"{text} {case} {one}"
            for case, one in zip(cases, found, strict=True)
            if not _agrees(one, expected(text, *case), index)
        ]
    return wrong


def run_drags(page: Page, server: TextServer, rng: random.Random, number: int) -> tuple[int, list]:
    """Drag with the mouse; how many drags selected something, and what was found wrong."""
    wrong, useful = [], 0
    while useful < number:
        texts = _show(page, server, rng)
        for index, text in enumerate(texts):
            points = [_inner_point(rng, text) for _ in range(2)]
            (x, y), (to_x, to_y) = page.evaluate(_BOXES, [index, points])
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move((x + to_x) / 2, (y + to_y) / 2)
            page.mouse.move(to_x, to_y)
            page.mouse.up()
            anchor, focus, found, _ = page.evaluate(_DRAGGED, index)
            if anchor[0] >= 0 and focus[0] >= 0 and anchor != focus:
                useful += 1
                if not _agrees(found, expected(text, tuple(anchor), tuple(focus)), index):
                    wrong.append(f"{text} {anchor} {focus} {found}")
    return useful, wrong


def _inner_point(rng: random.Random, text: Text) -> Boundary:
    index = rng.randrange(len(text.nodes))
    return (index, rng.randrange(units(text.nodes[index])))


def _agrees(found: dict[str, object], wanted: dict[str, object], index: int) -> bool:
    if "problem" not in wanted:
        kind = "response" if index == 0 else "document"
        wanted = {**wanted, "kind": kind, "id": f"text-{index}"}
    return found == wanted


def _show(page: Page, server: TextServer, rng: random.Random) -> Sequence[Text]:
    texts = [random_text(rng) for _ in range(3)]
    shown = [
        (text, "response" if index == 0 else "document", f"text-{index}")
        for index, text in enumerate(texts)
    ]
    server.pages["/texts"] = page_of(shown)
    page.goto(f"{server.url}/texts")
    assert page.evaluate(_PREPARE) == [text.nodes for text in texts], "the page has other texts"
    return texts
