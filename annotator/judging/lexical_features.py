"""What the lexical judge measures of a sentence: a dozen numbers in [0, 1] or close to it.

The rule that keeps a verdict from hanging on what else was put into the documents: a sentence is
held against its relevant passages alone (those that share the most with it, and what stands beside
them), and no weight is taken over the rest.

Only features that travel between data sets are here: how much of the sentence its best passages
cover, and what in particular is missing. Features of size and style (document length, brackets,
quotes) tell data sets apart, not truth, and were left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annotator.judging.lexical_align import Alignment, Match, align
from annotator.judging.lexical_index import Corpus, PassageId
from annotator.judging.lexical_text import Token, is_negation, read_tokens
from annotator.judging.lexical_words import MONTHS, PERSONAL

NUM_CANDIDATES = 24
NUM_COVERING = 5
_NUM_ALIGNED = 8
# Relevant is a passage that alone covers this share of what the best one covers, and passages at
# most so far from one: what a text says of a thing, it says in one place.
_MIN_SHARE_OF_BEST = 0.55
_NUM_NEIGHBOURS = 4
# A word that no relevant passage holds weighs more than one that is there: it is what to doubt.
_UNKNOWN_WEIGHT = 1.4
_SUBJECT_WEIGHT = 0.3
_SOFT_MATCH = 0.5
# A passage that shares less with a sentence says nothing of what the sentence denies.
_MIN_COVER_TO_DENY = 0.6

FEATURES = (
    "cover_1",
    "cover_2",
    "cover_5",
    "cover_soft",
    "missing_numbers",
    "missing_names",
    "absent_numbers",
    "absent_names",
    "negation",
    "personal",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """A sentence held against a corpus.

    values      one number a name of FEATURES
    covering    the passages that cover it best together, best first, with the share each covers
    alignment   a word-for-word agreement, or a swapped value, and the passage it was found in
    mismatches  numbers, dates and names of the sentence that the covering passages lack
    """

    values: Mapping[str, float]
    covering: Sequence[tuple[PassageId, float]]
    alignment: tuple[PassageId, Alignment] | None
    mismatches: Sequence[str]


def content_tokens(tokens: Sequence[Token]) -> list[Token]:
    """The words that carry something to check."""
    return [token for token in tokens if not token.is_function]


def measure(sentence: str, corpus: Corpus) -> Measures:
    """All features of a sentence (citation markers already blanked) that has content words."""
    tokens = read_tokens(sentence)
    content = content_tokens(tokens)
    plain = {token.key: _scale(token.key, corpus) for token in content}
    candidates = corpus.best_passages(plain, limit=NUM_CANDIDATES)
    keys_of = _relevant_passages(plain, candidates, corpus)
    known = frozenset().union(*keys_of.values())
    weights = {
        key: weight if key in known else _UNKNOWN_WEIGHT * weight for key, weight in plain.items()
    }
    total = sum(weights.values())
    order, shares = _cover(weights, list(keys_of), keys_of)
    top_keys = frozenset().union(*(keys_of[place] for place in order))
    missing = {key: weight for key, weight in weights.items() if key not in top_keys}
    absent = missing.keys() - known
    numbers = {token.key for token in content if token.is_number or token.lower in MONTHS}
    names = {token.key for token in content[1:] if token.is_name} - numbers
    top_words = {key for key in top_keys if len(key) > 3}
    soft = sum(weight * _soft_match(key, top_words) for key, weight in missing.items())
    first = corpus.tokens(order[0]) if order else ()
    speaks_of_same = sum(shares[:1]) >= _MIN_COVER_TO_DENY
    values = {
        "cover_1": sum(shares[:1]),
        "cover_2": sum(shares[:2]),
        "cover_5": sum(shares),
        "cover_soft": sum(shares) + soft / total,
        "missing_numbers": _share(numbers, missing),
        "missing_names": _share(names, missing),
        "absent_numbers": _share(numbers, absent),
        "absent_names": _share(names, absent),
        "negation": float(speaks_of_same and _denies(tokens) != _denies(first)),
        "personal": float(any(token.lower in PERSONAL for token in tokens)),
    }
    return Measures(
        values=values,
        covering=list(zip(order, shares, strict=True)),
        alignment=_find_alignment(tokens, candidates[:_NUM_ALIGNED], corpus),
        mismatches=sorted((numbers | names) & missing.keys()),
    )


def coverage(sentence: str, corpus: Corpus) -> float:
    """Share in [0, 1] of the sentence's idf mass that its five best passages hold.

    The plain line that judges are compared with: weights and passages are those of all documents.
    """
    content = content_tokens(read_tokens(sentence))
    weights = {token.key: _scale(token.key, corpus) * corpus.weight(token.key) for token in content}
    candidates = corpus.best_passages(weights, limit=NUM_CANDIDATES)
    keys_of = {place: _known_keys(place, corpus) for place in candidates}
    return sum(_cover(weights, candidates, keys_of)[1])


def _scale(key: str, corpus: Corpus) -> float:
    """Words that only repeat whom the documents are about weigh less."""
    return _SUBJECT_WEIGHT if key in corpus.subject else 1.0


def _relevant_passages(
    weights: Mapping[str, float], candidates: Sequence[PassageId], corpus: Corpus
) -> dict[PassageId, frozenset[str]]:
    """The candidates that cover most of the sentence, then their neighbours; with their words."""
    keys_of = {place: _known_keys(place, corpus) for place in candidates}
    alone = {
        place: round(sum(weights[key] for key in weights.keys() & keys), 9)
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


def _cover(
    weights: Mapping[str, float],
    candidates: Sequence[PassageId],
    keys_of: Mapping[PassageId, frozenset[str]],
) -> tuple[list[PassageId], list[float]]:
    """Greedily up to NUM_COVERING passages by the share of new weight that each one covers."""
    total = sum(weights.values())
    left = dict(weights)
    order: list[PassageId] = []
    shares: list[float] = []
    while len(order) < NUM_COVERING and left:
        gains = {
            place: sum(weight for key, weight in left.items() if key in keys_of[place])
            for place in candidates
            if place not in order
        }
        best = max(gains, key=lambda place: round(gains[place], 9), default=None)
        if best is None or gains[best] <= 0:
            break
        order.append(best)
        shares.append(gains[best] / total)
        left = {key: weight for key, weight in left.items() if key not in keys_of[best]}
    return order, shares


def _share(keys: set[str], lacking: Mapping[str, float] | set[str]) -> float:
    return sum(key in lacking for key in keys) / len(keys) if keys else 0.0


def _denies(tokens: Sequence[Token]) -> bool:
    return any(is_negation(token.lower) for token in tokens)


def _soft_match(key: str, words: set[str]) -> float:
    """The best Dice similarity of letter trigrams to any word, 0 below _SOFT_MATCH."""
    if len(key) <= 3 or key[0].isdigit():
        return 0.0
    trigrams = _trigrams(key)
    best = 0.0
    for word in words:
        if word[:2] == key[:2] or word[-3:] == key[-3:]:
            other = _trigrams(word)
            best = max(best, 2 * len(trigrams & other) / (len(trigrams) + len(other)))
    return best if best >= _SOFT_MATCH else 0.0


def _trigrams(word: str) -> set[str]:
    padded = f"^{word}$"
    return {padded[index : index + 3] for index in range(len(padded) - 2)}


def _find_alignment(
    tokens: Sequence[Token], candidates: Sequence[PassageId], corpus: Corpus
) -> tuple[PassageId, Alignment] | None:
    """A passage that says the same if there is one, else the first with a swapped value."""
    swapped = None
    for place in candidates:
        subject = corpus.documents[place.document].subject
        found = align(tokens, corpus.tokens(place), subject)
        if found is not None and found.match is Match.SAME:
            return place, found
        if found is not None and swapped is None:
            swapped = place, found
    return swapped
