"""How much of a sentence its best passages cover, by the weight of its words.

The rule that makes a verdict independent of unrelated documents: a sentence is compared only with
its relevant passages (those that share the most with it, and their neighbours), and the weight of a
word is its rarity among these.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from annotator.judging.lexical.index import Corpus, PassageId
from annotator.judging.lexical.quantity import Quantity, Relation, relate
from annotator.judging.lexical.text import Token, read_tokens

NUM_CANDIDATES = 24
NUM_COVERING = 5
# A passage is relevant if it alone covers this share of what the best one covers, or is at most
# this far from such a passage: a text usually treats a thing in one place.
_MIN_SHARE_OF_BEST = 0.55
_NUM_NEIGHBOURS = 4
# Words that only repeat the subject of the documents have less weight.
_SUBJECT_WEIGHT = 0.3

Keys = Mapping[PassageId, frozenset[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """A sentence compared with its relevant passages.

    tokens      its words and quantities, function words included
    candidates  passages that share the most with it, best first
    keys_of     the relevant passages, with the keys of the sentence that each one contains
    covering    at most five of them that cover it best together, with the share each one adds
    about       those that cover its words best, without regard to quantities
    """

    tokens: Sequence[Token]
    candidates: Sequence[PassageId]
    keys_of: Keys
    covering: Sequence[tuple[PassageId, float]]
    about: Sequence[PassageId]

    @property
    def share(self) -> float:
        """Share of the sentence's weight that is covered, in [0, 1]."""
        return min(1.0, sum(share for _, share in self.covering))


def content_tokens(tokens: Sequence[Token]) -> list[Token]:
    """The words with something to check."""
    return [token for token in tokens if not token.is_function]


def compare(sentence: str, corpus: Corpus) -> Overlap:
    """Cover a sentence (citation markers already blanked) that has content words."""
    tokens = read_tokens(sentence)
    content = content_tokens(tokens)
    scale = {token.key: _scale(token.key, corpus) for token in content}
    candidates = corpus.best_passages(scale, limit=NUM_CANDIDATES)
    keys_of = {
        place: keys | _stated(content, keys, corpus.tokens(place))
        for place, keys in _relevant(scale, candidates, corpus).items()
    }
    weights = {key: factor * _rarity(key, keys_of) for key, factor in scale.items()}
    words = {token.key for token in content if token.quantity is None}
    about = cover({key: weights[key] for key in weights if key in words}, keys_of)
    covering = cover(weights, keys_of)
    return Overlap(
        tokens=tokens,
        candidates=candidates,
        keys_of=keys_of,
        covering=covering,
        about=[place for place, _ in about or covering],
    )


def quantities_of(place: PassageId, corpus: Corpus) -> list[Quantity]:
    """The quantities a passage states."""
    return [token.quantity for token in corpus.tokens(place) if token.quantity is not None]


def _scale(key: str, corpus: Corpus) -> float:
    return _SUBJECT_WEIGHT if key in corpus.subject else 1.0


def _rarity(key: str, keys_of: Keys) -> float:
    """Smoothed inverse passage frequency: 1 for a word in every passage, more if rarer."""
    count = sum(key in keys for keys in keys_of.values())
    return 1.0 + math.log((len(keys_of) + 1) / (count + 1))


def _relevant(
    scale: Mapping[str, float], candidates: Sequence[PassageId], corpus: Corpus
) -> dict[PassageId, frozenset[str]]:
    """The candidates that share most with the sentence, then their neighbours; with their words."""
    keys_of = {place: _known_keys(place, corpus) for place in candidates}
    alone = {
        place: round(sum(scale[key] for key in scale.keys() & keys), 9)
        for place, keys in keys_of.items()
    }
    least = _MIN_SHARE_OF_BEST * max(alone.values(), default=0.0)
    best = [place for place in candidates if alone[place] >= least]
    places = dict.fromkeys(best)
    for place in best:
        places |= dict.fromkeys(corpus.neighbours(place, distance=_NUM_NEIGHBOURS))
    return {place: keys_of.get(place) or _known_keys(place, corpus) for place in places}


def _known_keys(place: PassageId, corpus: Corpus) -> frozenset[str]:
    return corpus.documents[place.document].subject | corpus.keys(place)


def _stated(
    content: Sequence[Token], keys: Collection[str], passage: Sequence[Token]
) -> frozenset[str]:
    """Keys of the sentence's quantities that a passage states in another form."""
    stated = [token.quantity for token in passage if token.quantity is not None]
    return frozenset(
        token.key
        for token in content
        if token.quantity is not None
        and token.key not in keys
        and any(relate(token.quantity, other) is Relation.SAME for other in stated)
    )


def cover(weights: Mapping[str, float], keys_of: Keys) -> list[tuple[PassageId, float]]:
    """Greedily up to NUM_COVERING passages by the share of new weight that each one covers."""
    total = sum(weights.values())
    left = dict(weights)
    places: list[tuple[PassageId, float]] = []
    while len(places) < NUM_COVERING and left:
        gains = {
            place: round(sum(left[key] for key in left.keys() & keys), 9)
            for place, keys in keys_of.items()
        }
        best = max(gains, key=lambda place: gains[place], default=None)
        if best is None or gains[best] <= 0:
            break
        places.append((best, gains[best] / total))
        left = {key: weight for key, weight in left.items() if key not in keys_of[best]}
    return places
