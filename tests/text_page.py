"""Pages with texts as the desk shows them, and the scripts of the desk, served on loopback.

The rule: made from the text alone, not by the code of the desk, so that what the scripts find can
be compared with what Python knows of the text.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
STATIC = files("maskdpo.desk.web") / "static"
TYPES = {"js": "text/javascript", "css": "text/css"}
ALPHABETS = (
    "abc dé \n",
    "。，深海猫头鹰\u3000𠀀𪚥𠮷",
    "مرحبا بالعالم ",
    "שלום עולם ",
    *("👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇨🇳🇩🇪🇫", "1️⃣", "❤️"),
    *("e\u0301", "o\u0308\u0323", "a\u0300\u0301\u0302", "각", "नी", "\u202eab\u202c"),
    *("\r\n", "\r", "\n\n", "\t  ", "&<>\"'", "𝒳𝒴"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text and the pieces in which it is shown: (depth of elements, text of the node)."""

    text: str
    start: int
    pieces: Sequence[Sequence[str]]  # sentences, each of one or more text nodes

    @property
    def nodes(self) -> list[str]:
        """The text nodes in order."""
        return [piece for sentence in self.pieces for piece in sentence]

    @property
    def borders(self) -> set[int]:
        """Offsets in this text at which a sentence starts or ends."""
        found, at = {0}, 0
        for sentence in self.pieces:
            at += sum(map(len, sentence))
            found.add(at)
        return found


def random_text(rng: random.Random) -> Text:
    """A text of all alphabets, cut at any code point into sentences and marks."""
    parts = []
    for _ in range(rng.randint(6, 30)):
        alphabet = rng.choice(ALPHABETS)
        parts.append("".join(rng.choices(alphabet, k=3)) if len(alphabet) > 8 else alphabet)
    text = "a" + "".join(parts)
    cuts = sorted(rng.sample(range(1, len(text)), k=min(len(text) - 1, rng.randint(2, 12))))
    nodes = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    pieces: list[list[str]] = []
    for node in nodes:
        if not pieces or rng.random() < 0.5:
            pieces.append([])
        pieces[-1].append(node)
    return Text(text=text, start=rng.choice([0, 0, 17, 1000]), pieces=pieces)


def shown(text: str) -> str:
    """Text as HTML that a parser reads back exactly."""
    return escape(text).replace("\r", "&#13;")


def html_of(text: Text, kind: str, identity: str) -> str:
    """A text as the desk shows it."""
    parts, at = [], text.start
    for number, sentence in enumerate(text.pieces):
        end = at + sum(map(len, sentence))
        inner = "".join(
            f"<mark>{shown(node)}</mark>" if index % 2 else shown(node)
            for index, node in enumerate(sentence)
        )
        parts.append(
            f'<span class="sentence" id="{identity}-{number}" data-start="{at}" data-end="{end}">'
            f"{inner}</span>"
        )
        at = end
    return (
        f'<div data-text="{kind}" data-id="{identity}" data-start="{text.start}" data-end="{at}" '
        f'dir="auto">{"".join(parts)}</div>'
    )


def page_of(texts: Sequence[tuple[Text, str, str]]) -> str:
    """A page with texts: (text, kind, id)."""
    inner = "<p>Words between the texts.</p>".join(html_of(*one) for one in texts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Texts</title>'
        '<link rel="stylesheet" href="/page.css"></head>'
        f'<body><main id="desk"><p>Before</p>{inner}<p>After</p></main></body></html>'
    )


@dataclass(frozen=True, slots=True)
class TextServer:
    """A server of pages, by path, and of the scripts of the desk."""

    url: str
    pages: dict[str, str]


@contextmanager
def text_server() -> Iterator[TextServer]:
    """The server, on a free port."""
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            if self.path.startswith("/review/static/"):
                self._reply(TYPES[name.rpartition(".")[2]], (STATIC / name).read_bytes())
            elif self.path == "/favicon.ico":
                self._reply("image/x-icon", b"")
            elif self.path == "/page.css":
                css = "[data-text] { white-space: pre-wrap; unicode-bidi: isolate; width: 40rem }"
                self._reply("text/css", css.encode())
            else:
                self._reply("text/html; charset=utf-8", pages[self.path].encode())

        def _reply(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield TextServer(f"http://127.0.0.1:{server.server_port}", pages)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
