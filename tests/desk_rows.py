"""Annotations for tests of the pages of the desk: ordinary ones, and ones with hostile texts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from schemas.records import Annotation, Document

OWLS = (
    ("Owls hunt at night. ", "no_hallucination"),
    ("They weigh 3.5 kg on average. ", "contradictory"),
    ("They are found in Norway. ", "unverifiable"),
    ("I hope this helps! ", "no_fact"),
)
DOCUMENT = "Owls hunt at night. An owl weighs 1.5 kg on average.\n" + "Filler line.\n" * 200
EVIL = "window.evil = true"
# Texts that must be shown as they are. `EVIL` is what a script of theirs would do.
HOSTILE = (
    f"<script>{EVIL}</script>",
    f"<img src=x onerror='{EVIL}'>",
    f"<svg onload='{EVIL}'>",
    f'"><script>{EVIL}</script>',
    f"' autofocus onfocus='{EVIL}",
    f'" onmouseover="{EVIL}" x="',
    f"</textarea><script>{EVIL}</script>",
    f"</title><script>{EVIL}</script>",
    f"</style><script>{EVIL}</script>",
    f"<!--<script>{EVIL}//-->",
    f'<iframe srcdoc="<script>parent.{EVIL}</script>"></iframe>',
    f'<a href="javascript:{EVIL}">click</a>',
    f'<div hx-get="/review/settings" hx-trigger="load" hx-on::load="{EVIL}">',
    "<form action='https://example.org/'><button data-key='1'>1</button></form>",
    "<input name='label' value='no_fact' form='decision'>",
    "<main id='desk'>other</main>",
    "<base href='https://example.org/'>",
    "<link rel='stylesheet' href='https://example.org/x.css'>",
    "<style>* { display: none !important }</style>",
    "<meta http-equiv='refresh' content='0;url=https://example.org/'>",
    "</span></div></section></main></body></html>",
    "]]><![CDATA[",
    "{{ 7 * 7 }}{% raw %}{{ csrf }}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "&lt;b&gt;&amp;#x202e;&NotExists;",
    "\u202eright to left override\u202c",
    "\u2066isolate without end",
    "\u202d\u202e\u202a\u202b\u2067\u2068",
    "\u200b\u200c\u200d\ufeff\u2060",
    "a\u0300" + "\u0301" * 300,
    "\r\n\r\n\r",
    "\x01\x02\x1b[31m\x7f",
    "null\x00byte",
    "\ufffe\uffff",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 60,
    "W" * 5000,
    "\ufdfd" * 500,
    "--></script><script>alert(1)</script>",
    "javascript:alert(1)//\u2028\u2029",
    "%00%0d%0aSet-Cookie: a=b",
)


def owls(count: int = 3) -> tuple[list[Annotation], list[Document]]:
    """Some responses about owls, each with the same document."""
    rows = [annotation(f"owl-{number}", OWLS) for number in range(count)]
    return rows, [Document(id="owls", text=DOCUMENT, title="Owls")]


def hostile() -> tuple[list[Annotation], list[Document]]:
    """One response per hostile text, which is in every field that may hold it."""
    rows, documents = [], []
    for number, text in enumerate(HOSTILE):
        name = f"hostile-{number}"
        parts = (("It is. ", "no_hallucination"), (f"x{text}x ", "contradictory"))
        rows.append(annotation(name, parts, document=name, evil=text))
        documents.append(Document(id=name, text=f"x{text}x is what it is.", title=text))
    return rows, documents


def annotation(
    name: str, parts: Sequence[tuple[str, str]], *, document: str = "owls", evil: str = ""
) -> Annotation:
    """A response of these sentences and labels; `evil` is in its other fields."""
    sentences, at = [], 0
    for text, label in parts:
        end = at + len(text.rstrip(" "))
        verdict: dict[str, object] = {"label": label, "confidence": 0.5, "judge": f"judge{evil}"}
        verdict |= {"reason": f"reason{evil}", "rationale": f"because{evil}"}
        verdict["evidence"] = [{"document_id": document, "start": 0, "end": 10}]
        if label == "contradictory":
            verdict["missing_quotes"] = [f"quote{evil}"]
        sentences.append({"start": at, "end": end, "verdict": verdict})
        at += len(text)
    values = {
        "id": name,
        "question_id": f"q-{name}",
        "topic": f"animals{evil}",
        "language": "en",
        "document_ids": [document],
        "prompt": [
            {"role": "user", "content": f"Earlier?{evil}"},
            {"role": "assistant", "content": f"Yes.{evil}"},
            {"role": "user", "content": f"What do you know of owls?{evil}"},
        ],
        "text": "".join(text for text, _ in parts),
        "reasoning": f"Let me think.{evil}",
        "model": f"model{evil}",
        "sentences": sentences,
    }
    return Annotation.model_validate_json(json.dumps(values))
