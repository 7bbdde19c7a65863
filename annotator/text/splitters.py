"""Three libraries behind one interface: from prose to the offsets of sentence ends.

The rule: only the offsets that a library proposes are used, never the text that it returns, so no
library can rewrite a response. All three work offline and give the same result on every machine:
none uses models or data that may or may not be installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from annotator.text.rules.english import NEVER_LAST
from annotator.text.rules.languages import primary_code
from schemas.errors import ConfigError, nearest
from schemas.packages import require

FindEnds = Callable[[str], list[int]]

SPLITTERS = ("sentencex", "spacy", "nltk")

_SPACE = re.compile(r"[^\S \n]")

# The libraries' time grows with the square of the length of some texts (sentencex: 2 MB of Chinese,
# or of opening quotes: hours), so prose is passed in windows of this number of characters.
_WINDOW_CHARS = 2048
_WINDOW_MARGIN = 256  # an end this near to a window's edge is decided again in the next one


@lru_cache(maxsize=64)
def find_splitter(name: str, language: str) -> FindEnds:
    """A function from prose to the ascending offsets at which its sentences end.

    Raises ConfigError for a name that is not in SPLITTERS, and MissingPackageError where the
    library is not installed.
    """
    primary = primary_code(language)
    if name == "sentencex":
        return _sentencex(primary)
    if name in SPLITTERS:
        require(name, needed_for=f"text.splitter: {name}")
    if name == "spacy":
        return _spacy(primary)
    if name == "nltk":
        return _nltk()
    raise ConfigError(
        f"text.splitter is {name!r}, which does not exist; {nearest(name, SPLITTERS)}"
    )


def in_windows(find_ends: FindEnds, text: str) -> list[int]:
    """`find_ends` over a text of any length, in time that grows with its length.

    A window begins at the last sentence end of the one before, so a sentence is read whole unless
    it is longer than a window; such a one is read in pieces, without its context.
    """
    ends: list[int] = []
    position, limit = 0, _WINDOW_CHARS - _WINDOW_MARGIN
    while position + _WINDOW_CHARS < len(text):
        window = text[position : position + _WINDOW_CHARS]
        kept = [end for end in find_ends(window) if 0 < end <= limit]
        ends += (position + end for end in kept)
        position += kept[-1] if kept else limit
    ends += (position + end for end in find_ends(text[position:]))
    return ends


def _sentencex(language: str) -> FindEnds:
    """Rules and abbreviations for some 300 languages; an unknown code is read as English.

    It steps one byte back over a space, and crashes where the space has several bytes (U+3000
    before a full stop), so every space is passed as the plain one.
    """
    from sentencex import get_sentence_boundaries

    def find_ends(text: str) -> list[int]:
        plain = _SPACE.sub(" ", text)
        return [boundary["end_index"] for boundary in get_sentence_boundaries(language, plain)]

    return find_ends


def _spacy(language: str) -> FindEnds:
    """The rule-based sentencizer over that language's tokenizer.

    Where spaCy has no such language, or its tokenizer needs a package that is not spaCy's own
    (ja, ko, th, vi), the multi-language tokenizer is always used, so that installing a package does
    not change sentences.
    """
    import spacy

    own = language in _spacy_languages() and language not in {"ja", "ko", "th", "vi"}
    pipeline = spacy.blank(language if own else "xx")
    pipeline.add_pipe("sentencizer")

    def find_ends(text: str) -> list[int]:
        pipeline.max_length = max(pipeline.max_length, len(text))
        return [sentence.end_char for sentence in pipeline(text).sents]

    return find_ends


@lru_cache(maxsize=1)
def _spacy_languages() -> frozenset[str]:
    from pkgutil import iter_modules

    from spacy import lang

    return frozenset(module.name for module in iter_modules(lang.__path__) if module.ispkg)


def _nltk() -> FindEnds:
    """Punkt without trained data: its heuristics, with the English abbreviations given to it."""
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    parameters = PunktParameters()
    parameters.abbrev_types = set(NEVER_LAST)
    tokenizer = PunktSentenceTokenizer(parameters)

    def find_ends(text: str) -> list[int]:
        return [end for _, end in tokenizer.span_tokenize(text)]

    return find_ends
