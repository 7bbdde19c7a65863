"""The words of a text as full-text search sees them, and a query in the form that SQLite takes.

The rule: text and query go through the same function, so whatever it does to a letter it does to
both. Case, accents and forms of width do not count. Runs of scripts without spaces (and of Korean
syllables) become overlapping pairs of characters, with the last character alone after them:

    Café in 北京大学  ->  cafe in 北京 京大 大学 学

A term of a query is found as its words in a row, so any two neighbouring characters of a run are
found, and any single one through the second column, which holds each once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from schemas.text.scripts import HANGUL_SYLLABLES, UNSPACED

TEXT, SINGLE = "pieces", "single"  # the columns
MAX_QUERY_CHARS = 1_000
MAX_TERMS = 40
_RUNS = re.compile(f"([{UNSPACED}{HANGUL_SYLLABLES}]+)")
_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')


def pieces_of(text: str) -> list[str]:
    """The words and pairs of characters of a text, in order."""
    return [piece for run in _runs(text) for piece in _pieces_of_run(run)]


def singles_of(text: str) -> list[str]:
    """Each character of the runs without spaces, once."""
    if text.isascii():
        return []
    found = {character for run in _runs(text) if _RUNS.match(run) for character in run}
    return sorted(found)


def match_of(query: str) -> str | None:
    """The expression of FTS5 for what a person typed; None where it holds no letter and no digit.

    Words are separated by spaces, and all must occur; words between quotes, in this order. No input
    is an error: what is longer than a query should be is cut off.
    """
    terms = []
    for quoted, plain in _TERM.findall(query[:MAX_QUERY_CHARS]):
        term = _match_of_term(quoted or plain)
        if term and term not in terms:
            terms.append(term)
    return " AND ".join(terms[:MAX_TERMS]) or None


def _match_of_term(term: str) -> str:
    runs = list(_runs(term))
    if not runs:
        return ""
    last = runs[-1]
    is_run = _RUNS.match(last) is not None
    if is_run and len(runs) == 1 and len(last) == 1:
        return f'{SINGLE} : "{last}"'
    pieces = [piece for run in runs for piece in _pieces_of_run(run)]
    # The text may continue where the term ends: its last character is not a piece of its own then.
    prefix = ""
    if is_run and len(last) > 1:
        pieces.pop()
    elif is_run:
        prefix = " *"
    return f'{TEXT} : "{" ".join(pieces)}"{prefix}'


def _runs(text: str) -> Iterator[str]:
    """Runs without spaces and words, in the form in which they are compared."""
    if text.isascii():
        yield from _WORD.findall(text.lower())
        return
    for number, part in enumerate(_RUNS.split(unicodedata.normalize("NFKC", text))):
        if number % 2:
            yield part
        else:
            yield from _WORD.findall(_without_accents(part))


def _without_accents(text: str) -> str:
    """Small letters without combining marks."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    kept = (character for character in apart if not unicodedata.combining(character))
    return "".join(kept).encode("utf-8", "replace").decode("utf-8")


def _pieces_of_run(run: str) -> Iterator[str]:
    if _RUNS.match(run):
        yield from (run[at : at + 2] for at in range(len(run) - 1))
        yield run[-1]
    else:
        yield run
