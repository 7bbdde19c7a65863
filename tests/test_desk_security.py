"""Who gets into the review desk, and what is refused: token, cookie, CSRF, Host, Origin, sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from desk_support import TOKEN, Visitor, serving
from fastapi.routing import APIRoute

from maskdpo.desk.web.app import routers
from maskdpo.desk.web.session import local_path

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FORM = "application/x-www-form-urlencoded"


class Source:
    def people(self) -> list[str]:
        return ["Ann", "<script>alert(1)</script>"]


DESK = SimpleNamespace(sources={"a": Source()})


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(DESK) as found:
        yield found


@pytest.fixture
def visitor(address: str) -> Visitor:
    return Visitor(address).login()


def test_without_a_session_there_is_no_page(address: str) -> None:
    stranger = Visitor(address)
    for path in (
        "/review",
        "/review/",
        "/review/name",
        "/review/settings",
        "/review/s/a",
        "/review/x",
    ):
        reply = stranger.get(path)
        assert reply.status == 401 and "no session" in reply.text, path
        assert "set-cookie" not in reply.headers
    for path in ("/review/name", "/review/settings", "/review/s/a/r/0/decide"):
        assert stranger.post(path, {"who": "Zanzibar"}, csrf="x").status == 401
    assert stranger.get("/review/static/base.css").status == 200
    assert stranger.get("/v1/jobs").status == 401
    assert stranger.get("/reviewer").headers["content-type"] == "application/json"
    assert stranger.get("/", hx="").location == "/review"


def test_the_token_is_changed_for_a_cookie_that_scripts_cannot_read(address: str) -> None:
    visitor = Visitor(address)
    reply = visitor.get(f"/review?token={TOKEN}")
    port = address.rpartition(":")[2]
    assert (reply.status, reply.location) == (303, "/review")
    name, *flags = reply.headers["set-cookie"].split("; ")
    assert name.startswith(f"maskdpo_review_{port}=")
    assert {"httponly", "samesite=strict", "path=/review"} <= set(flags)
    assert "secure" not in flags and TOKEN not in reply.headers["set-cookie"]
    assert visitor.get("/review/name").status == 200


@pytest.mark.parametrize("wrong", ["", "x", TOKEN[:-1], TOKEN + "x", "%00", "%ff%fe", "é"])
def test_a_wrong_token_is_refused_and_not_repeated(address: str, wrong: str) -> None:
    visitor = Visitor(address)
    reply = visitor.get(f"/review?token={quote(wrong, safe='%')}zanzibar")
    assert reply.status in {401, 429} and not visitor.cookies
    assert "zanzibar" not in reply.text and TOKEN not in reply.text


def test_many_wrong_tokens_are_slowed_down_and_the_right_one_still_passes() -> None:
    with serving(DESK) as address:
        visitor = Visitor(address)
        statuses = [visitor.get(f"/review?token=wrong{number}").status for number in range(14)]
        reply = visitor.get("/review?token=wrong")
        assert statuses[0] == 401 and statuses[-1] == 429 and reply.headers["retry-after"]
        assert visitor.login().csrf


def test_a_token_opens_the_start_alone(visitor: Visitor, address: str) -> None:
    assert Visitor(address).get(f"/review/name?token={TOKEN}").status == 401
    assert Visitor(address).post(f"/review?token={TOKEN}").status == 401


def test_a_second_visit_of_the_address_keeps_the_session(visitor: Visitor) -> None:
    visitor.post("/review/name", {"who": "Ann"})
    before = visitor.csrf
    visitor.login()
    assert visitor.csrf == before and "Ann" in visitor.get("/review").text


def test_a_cookie_that_was_changed_or_made_elsewhere_is_no_session(address: str) -> None:
    visitor = Visitor(address).login()
    name, value = next(iter(visitor.cookies.items()))
    with serving(DESK, token="another-token-that-is-long-enough") as other:
        stranger = Visitor(other).login("another-token-that-is-long-enough")
        foreign = next(iter(stranger.cookies.values()))
    data, _, signature = value.rpartition(".")
    flipped = f"{data}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for changed in (flipped, "x" + value, foreign, ""):
        visitor.cookies[name] = changed
        assert visitor.get("/review/settings").status == 401


def test_a_restart_with_the_same_token_keeps_sessions() -> None:
    with serving(DESK) as first:
        value = next(iter(Visitor(first).login(who="Ann").cookies.values()))
    with serving(DESK) as second:
        visitor = Visitor(second)
        visitor.cookies[f"maskdpo_review_{second.rpartition(':')[2]}"] = value
        assert "Ann" in visitor.get("/review").text


def test_nothing_changes_without_the_csrf_token(visitor: Visitor, address: str) -> None:
    other = Visitor(address).login()
    for wrong in ("", "x", other.csrf, visitor.csrf + "x", "é"):
        given = wrong.encode().decode("latin-1")
        reply = visitor.post("/review/name", {"who": "Zanzibar", "csrf": ""}, csrf=given)
        assert reply.status == 403, wrong
    assert "Zanzibar" not in visitor.get("/review/settings").text
    body = {"who": "Ann", "csrf": visitor.csrf}
    assert visitor.post("/review/name", body, csrf="").status == 303  # as a form sends it
    assert visitor.post("/review/name", {"who": "Ben"}).status == 303  # as a script sends it
    body = {"who": "Zanzibar", "csrf": visitor.csrf}
    assert visitor.post("/review/name", body, csrf="wrong").status == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost:1@evil", ""])
def test_another_host_is_refused(visitor: Visitor, host: str) -> None:
    reply = visitor.get("/review/settings", Host=host)
    assert reply.status in {400, 403} and visitor.csrf not in reply.text
    assert reply.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_page_of_another_site_is_refused(visitor: Visitor, headers: dict[str, str]) -> None:
    assert visitor.get("/review/settings", **headers).status == 403
    assert visitor.get(f"/review?token={TOKEN}", **headers).status == 403
    assert visitor.post("/review/name", {"who": "Zanzibar"}, **headers).status == 403


def test_a_link_from_a_terminal_and_an_own_page_pass(visitor: Visitor) -> None:
    assert visitor.get(f"/review?token={TOKEN}", Sec_Fetch_Site="none").status == 303
    own = {"Sec_Fetch_Site": "same-origin", "Origin": visitor.address}
    assert visitor.post("/review/name", {"who": "Ann"}, **own).status == 303


def test_bodies_are_forms_of_limited_size(visitor: Visitor) -> None:
    path = "/review/name"
    for kind in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
        assert visitor.post(path, {"who": "Ann"}, Content_Type=kind).status == 415
    reply = visitor.post(path, {"who": "x" * 2**20})
    assert reply.status == 413 and "<html" in reply.text
    assert visitor.post(path, {"who": "Ann"}, Content_Type=f"{FORM}; charset=UTF-8").status == 303


def test_every_page_has_the_strict_policy_and_no_inline_code(visitor: Visitor) -> None:
    visitor.post("/review/name", {"who": "Ann"})
    for path in ("/review", "/review/name", "/review/settings", "/review/nothing"):
        reply = visitor.get(path)
        assert reply.headers["content-security-policy"] == POLICY
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|<style|\son[a-z]+=", reply.text)
        places = re.findall(r'(?:src|href|action)="([^"]*)"', reply.text)
        assert places and all(place[0] in "/#" and place[:2] != "//" for place in places)


def test_names_of_others_are_escaped(visitor: Visitor) -> None:
    text = visitor.get("/review/name").text
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example/review",
        "/review/../../x\r\nSet-Cookie: a=b",
        "/reviewx",
        "\\\\evil",
        "/review\\@evil",
        "javascript:alert(1)",
        "",
    ],
)
def test_no_form_leads_to_another_site(visitor: Visitor, target: str) -> None:
    reply = visitor.post("/review/name", {"who": "Ann", "next": target})
    assert (reply.status, reply.location) == (303, "/review")
    assert 'href="javascript' not in visitor.get(f"/review/settings?next={quote(target)}").text


def test_paths_of_the_pages_pass() -> None:
    for path in ("/review", "/review?a=1", "/review/s/a/r/1/0?label=no_fact&text=%E4%BD%A0"):
        assert local_path(path) == path


def test_files_outside_the_folder_are_not_served(visitor: Visitor) -> None:
    for name in ("..%2fapp.py", "%2e%2e/words.py", "htmx.LICENSE", "nothing.css", "../app.py"):
        assert visitor.get(f"/review/static/{name}").status == 404, name


def test_a_file_that_the_browser_has_is_not_sent_again(visitor: Visitor) -> None:
    reply = visitor.get("/review/static/base.css")
    assert reply.headers["cache-control"] == "no-cache"
    again = visitor.get("/review/static/base.css", If_None_Match=reply.headers["etag"])
    assert (again.status, again.text) == (304, "")


def test_all_routes_are_below_review_and_only_posts_change() -> None:
    for router in routers(DESK):  # type: ignore[arg-type]
        for route in router.routes:
            assert isinstance(route, APIRoute), route  # others would not have the dependency
            assert route.path == "/review" or route.path.startswith("/review/")
            assert route.methods <= {"GET", "POST"}


def test_no_route_changes_anything_without_the_csrf_token(visitor: Visitor) -> None:
    visitor.post("/review/name", {"who": "Ann"})
    posts = [
        re.sub(r"\{[^}]*\}", "0", route.path)
        for router in routers(DESK)  # type: ignore[arg-type]
        for route in router.routes
        if isinstance(route, APIRoute) and "POST" in route.methods
    ]
    assert len(posts) > 1
    for path in posts:
        assert visitor.post(path, {"csrf": "wrong"}, csrf="").status == 403, path
