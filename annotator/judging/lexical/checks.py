"""Specific contradictions of a sentence: another value, another name, a denial.

The rule: a check gives a result only where the documents are about the same thing. A number is
compared with the passages that cover the sentence's words best, whatever number they state; one
that no relevant passage states, and that none contradicts, is missing, not wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from annotator.judging.lexical.align import Alignment, Match, align
from annotator.judging.lexical.index import Corpus, PassageId
from annotator.judging.lexical.overlap import Overlap, content_tokens, quantities_of
from annotator.judging.lexical.quantity import Quantity, Relation, relate
from annotator.judging.lexical.text import Token, is_negation
from annotator.judging.lexical.words import IRREGULAR

_NUM_ALIGNED = 8
# A passage that shares less with a sentence is not about what the sentence denies.
_MIN_COVER_TO_DENY = 0.75
# The names of a longer sentence may be from several passages; only an absent one counts.
_MAX_SIMPLE_WORDS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Objection:
    """One fault of a sentence; `contradicts`: the documents state another value."""

    contradicts: bool
    text: str


def find_alignment(overlap: Overlap, corpus: Corpus) -> tuple[PassageId, Alignment] | None:
    """A passage that states the same if there is one, else the first with a swapped value."""
    swapped = None
    for place in overlap.candidates[:_NUM_ALIGNED]:
        subject = corpus.documents[place.document].subject
        found = align(overlap.tokens, corpus.tokens(place), subject)
        if found is not None and found.match is Match.SAME:
            return place, found
        if found is not None and swapped is None:
            swapped = place, found
    return swapped


def find_objections(overlap: Overlap, corpus: Corpus) -> list[Objection]:
    """The parts of a sentence that the documents contradict, then those they do not state."""
    found = [
        *_check_quantities(overlap, corpus),
        *_check_names(overlap, corpus),
        *_check_negation(overlap, corpus),
    ]
    return sorted(found, key=lambda item: not item.contradicts)


def absent_names(overlap: Overlap) -> list[str]:
    """Names of the sentence that are in no relevant passage."""
    known = frozenset().union(*overlap.keys_of.values())
    names = {token.key: token.text for token in _words(overlap)[1:] if token.is_name}
    return [text for key, text in names.items() if key not in known]


def _words(overlap: Overlap) -> list[Token]:
    return [token for token in content_tokens(overlap.tokens) if token.quantity is None]


def _check_quantities(overlap: Overlap, corpus: Corpus) -> Iterator[Objection]:
    near = [item for place in overlap.about for item in _counted(corpus.tokens(place))]
    everywhere = [item for place in overlap.keys_of for item in quantities_of(place, corpus)]
    for said, noun in _counted(overlap.tokens):
        relations = [(relate(said, other), other) for other, _ in near]
        best = max((relation for relation, _ in relations), default=Relation.UNRELATED)
        if best is Relation.SAME:
            rival = _counts_otherwise(said, noun, near)
            if rival is not None:
                yield _object(said, rival)
            continue
        others = [other for relation, other in relations if relation is Relation.OTHER]
        if best is Relation.OTHER and not _is_first(said):
            yield _object(said, others[0])
        elif said.kind != "ordinal" and not any(
            relate(said, other) is Relation.SAME for other in everywhere
        ):
            yield Objection(contradicts=False, text=f"no passage states {said.text!r}")


def _is_first(said: Quantity) -> bool:
    """`first` is more often an adverb than an ordinal."""
    return said.kind == "ordinal" and said.value == 1


def _counted(tokens: Sequence[Token]) -> list[tuple[Quantity, str]]:
    """Each quantity with the key of the word right after it: what is counted."""
    following = [*tokens[1:], None]
    return [
        (token.quantity, after.key if after is not None and after.quantity is None else "")
        for token, after in zip(tokens, following, strict=True)
        if token.quantity is not None
    ]


def _counts_otherwise(
    said: Quantity, noun: str, stated: Sequence[tuple[Quantity, str]]
) -> Quantity | None:
    """Another number of the same noun, where the sentence's number only counts other nouns."""
    if said.kind != "count" or not noun:
        return None
    same = [counted for other, counted in stated if relate(said, other) is Relation.SAME]
    if noun in same or "" in same:
        return None
    rivals = [other for other, counted in stated if counted == noun and other.kind == "count"]
    return rivals[0] if rivals else None


def _object(said: Quantity, stated: Quantity) -> Objection:
    return Objection(
        contradicts=True, text=f"says {said.text!r} where a passage says {stated.text!r}"
    )


def _check_names(overlap: Overlap, corpus: Corpus) -> Iterator[Objection]:
    """A name next to a word that the passages only have next to another name: `Bo Chen built`."""
    words = _words(overlap)
    own = {token.key for token in words}
    known = frozenset().union(*overlap.keys_of.values())
    for left, right in pairwise(words):
        if left.is_name == right.is_name:
            continue
        name, word = (left, right) if left.is_name else (right, left)
        if name.key in corpus.subject:
            continue
        if name.key in known and len(words) > _MAX_SIMPLE_WORDS:
            continue
        holding = [place for place, keys in overlap.keys_of.items() if word.key in keys]
        if any(name.key in overlap.keys_of[place] for place in holding):
            continue
        rivals = (_neighbour(word.key, corpus.tokens(place), left.is_name) for place in holding)
        rival = next((one for one in rivals if one is not None and one.key not in own), None)
        if rival is not None:
            text = f"says {name.text!r} where a passage says {rival.text!r}"
            yield Objection(contradicts=True, text=text)
            return


def _neighbour(key: str, tokens: Sequence[Token], before: bool) -> Token | None:
    """The name right before or after a word of a passage, function words left out."""
    words = content_tokens(tokens)
    for left, right in pairwise(words):
        name, word = (left, right) if before else (right, left)
        if word.key == key and name.is_name and not word.is_name:
            return name
    return None


def _check_negation(overlap: Overlap, corpus: Corpus) -> Iterator[Objection]:
    """A denial on one side only, where the best passage is about the same thing."""
    if not overlap.covering:
        return
    place, share = overlap.covering[0]
    passage = corpus.tokens(place)
    if _denies(overlap.tokens) == _denies(passage):
        return
    said, stated = _verb_keys(_words(overlap)), _verb_keys(passage)
    if max(share, len(said & stated) / max(1, len(said))) >= _MIN_COVER_TO_DENY:
        yield Objection(contradicts=True, text="one of the two is denied")


def _verb_keys(tokens: Sequence[Token]) -> set[str]:
    return {IRREGULAR.get(token.lower, token.key) for token in tokens}


def _denies(tokens: Sequence[Token]) -> bool:
    return any(is_negation(token.lower) for token in tokens)
