"""The frame of the review desk: words, parts of pages, errors, the name page and the settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest
from desk_support import TOKEN, Visitor, serving
from jinja2 import nodes

from maskdpo.desk.web.pages import environment
from maskdpo.desk.web.session import THEMES
from maskdpo.desk.web.settings_routes import read_name
from maskdpo.desk.web.static_files import static_files
from maskdpo.desk.web.words import (
    LANGUAGES,
    Translate,
    check_texts,
    load_words,
    placeholders,
    read_texts,
)
from schemas.errors import ConfigError
from schemas.labels import Label

WEB = Path(str(files("maskdpo.desk.web")))


class Source:
    files = SimpleNamespace(key="a", name="a", kind="pairs", path=Path("pairs.jsonl"))

    def people(self) -> list[str]:
        return ["Ben", "安娜"]


DESK = SimpleNamespace(sources={"a": Source(), "b": Source()})


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(DESK) as found:
        yield found


@pytest.fixture
def visitor(address: str) -> Visitor:
    return Visitor(address).login(who="Ann")


def test_every_text_that_a_template_names_exists() -> None:
    texts, used = load_words()["en"].texts, set()
    for name in environment().list_templates():
        source = (WEB / "templates" / name).read_text(encoding="utf-8")
        for call in environment().parse(source).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "t":
                key = call.args[0]
                if isinstance(key, nodes.Const):
                    used.add(key.value)
                    given = {item.key for item in call.kwargs}
                    assert placeholders(texts[key.value]) <= given, (name, key.value)
    assert used and used <= texts.keys()


def test_every_label_and_theme_has_words_and_a_sign() -> None:
    css = static_files()["base.css"].body.decode()
    for label in Label:
        assert re.search(rf'\[data-label="{label.value}"\] {{ --sign: "\S+"', css), label
        assert all(t.has(f"common.label_{label.value}") for t in load_words().values())
    assert all(t.has(f"common.theme_{theme}") for theme in THEMES for t in load_words().values())


def test_languages_with_other_keys_or_placeholders_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"a\.x is missing in zh; a\.y has different placeholders"
    ):
        check_texts({"en": {"a.x": "", "a.y": "{count}"}, "zh": {"a.y": "{number}"}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("other.key: x", "must begin with 'page.'"),
        ("page.key: 1", "be a text"),
        ("page.key: {one: x}", "the forms 'one' and 'other'"),
    ],
)
def test_a_file_of_words_with_a_fault_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "page.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_texts(tmp_path)


def test_a_text_has_forms_by_count_and_numbers_are_grouped() -> None:
    t = Translate("en", {"a.n": {"one": "{count} row", "other": "{count} rows"}, "a.x": "{x}"})
    assert [t("a.n", count=count) for count in (0, 1, 2, 12345)] == [
        "0 rows", "1 row", "2 rows", "12,345 rows",
    ]  # fmt: skip
    assert t("a.x", x="{y}") == "{y}" and t("a.x", x=True) == "True"
    with pytest.raises(KeyError):
        t("a.missing")


def test_a_script_gets_the_main_part_alone(visitor: Visitor) -> None:
    whole, part = visitor.get("/review"), visitor.get("/review", HX_Request="true")
    assert whole.text.startswith("<!doctype html>") and whole.text.count('<main id="desk"') == 1
    assert part.text.startswith("<title>") and part.text.strip().endswith("</main>")
    main = re.search(r"<main.*</main>", whole.text, re.S)
    assert main is not None and main[0] in part.text
    assert "<nav" not in part.text


def test_a_person_without_a_name_is_asked_first_and_then_goes_on(address: str) -> None:
    visitor = Visitor(address).login()
    reply = visitor.get("/review/s/a?label=no_fact&text=%E4%BD%A0")
    target = "/review/s/a?label=no_fact&text=%E4%BD%A0"
    assert reply.status == 303
    page = visitor.get(reply.location)
    assert f'name="next" value="{target.replace("&", "&amp;")}"' in page.text
    assert page.text.count("安娜") == 2  # the value and the text of one button
    assert (
        visitor.get("/review/s/a", HX_Request="1")
        .headers["hx-redirect"]
        .startswith("/review/name?next=")
    )
    assert visitor.post("/review/name", {"who": " Ann  B. ", "next": target}).location == target
    assert "<bdi>Ann B.</bdi>" in visitor.get("/review/settings").text


@pytest.mark.parametrize("name", ["", " \t\n", "x" * 101, "a\u202eb", "a\x00b", "\u200b"])
def test_a_name_that_cannot_be_one_is_refused_with_a_reason(visitor: Visitor, name: str) -> None:
    reply = visitor.post("/review/name", {"who": name})
    assert reply.status == 422 and 'id="name-fault"' in reply.text
    assert "<bdi>Ann</bdi>" in visitor.get("/review/settings").text


def test_names_are_compared_in_one_form() -> None:
    assert read_name("  Ame\u0301lie ") == ("Am\u00e9lie", "")
    assert read_name("x" * 100)[1] == "" and read_name("李 明") == ("李 明", "")


def test_settings_last_for_the_session_and_wrong_ones_are_ignored(visitor: Visitor) -> None:
    def page() -> str:
        return visitor.get("/review/settings").text

    assert '<html lang="en" data-theme="auto">' in page() and ">Blind<" in page()
    visitor.post("/review/settings", {"lang": "zh", "theme": "dark", "blind": "off"})
    assert '<html lang="zh-Hans" data-theme="dark">' in page() and '"mode">非盲评<' in page()
    assert '<meta name="color-scheme" content="dark">' in page()
    before = page()
    visitor.post("/review/settings", {"lang": "xx", "theme": "pink", "blind": "maybe"})
    assert page() == before
    visitor.post("/review/settings", {"blind": "toggle"})
    assert '"mode">盲评<' in page()
    reply = visitor.post("/review/settings", {"lang": "en", "next": "/review/s/a?x=1"})
    assert (reply.status, reply.location) == (303, "/review/s/a?x=1")


def test_the_language_is_the_browsers_until_one_is_chosen(address: str) -> None:
    visitor = Visitor(address).login(who="Ann")
    for header, lang in (
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("fr, zh;q=0.8", "zh-Hans"),
        ("de", "en"),
    ):
        text = visitor.get("/review/settings", Accept_Language=header).text
        assert f'<html lang="{lang}"' in text, header
    assert "没有会话" in Visitor(address).get("/review", Accept_Language="zh").text


def test_an_error_is_a_page_for_people_and_a_sentence_for_scripts(visitor: Visitor) -> None:
    page = visitor.get("/review/nothing")
    assert page.status == 404 and "<h1>" in page.text and "nothing at this address" in page.text
    part = visitor.get("/review/nothing", HX_Request="true")
    assert (part.status, part.text) == (404, "<p data-error>There is nothing at this address.</p>")
    assert visitor.post("/review/static/base.css").status == 405


def test_an_ended_session_is_a_sentence_for_scripts(address: str) -> None:
    reply = Visitor(address).get("/review", HX_Request="true")
    assert reply.status == 401 and reply.text.startswith("<p data-error>There is no session")


def test_a_session_can_begin_with_a_name_and_the_labels_shown() -> None:
    with serving(DESK, who="Ann", blind=False) as address:
        visitor = Visitor(address)
        visitor.get(f"/review?token={TOKEN}")
        text = visitor.get("/review").text
        assert "<bdi>Ann</bdi>" in text and ">Not blind<" in text


def test_both_languages_are_there() -> None:
    assert load_words().keys() == LANGUAGES.keys()
