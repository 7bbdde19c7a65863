"""MinHash signatures: those of the library datasketch, and a function of the set alone."""

from __future__ import annotations

import numpy as np
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.splits.minhash import NUM_PERMUTATIONS, minhash
from dataset_builder.splits.near_duplicates import jaccard
from dataset_builder.splits.prompt_text import character_ngrams

FEATURES = st.frozensets(st.text(max_size=6), max_size=40)


def of_datasketch(features: frozenset[str]) -> list[int]:
    peer = MinHash(num_perm=NUM_PERMUTATIONS, seed=1)
    peer.update_batch([item.encode("utf-8", "surrogatepass") for item in features])
    return [int(value) for value in peer.hashvalues]


@given(features=FEATURES)
def test_signatures_are_those_of_datasketch(features: frozenset[str]) -> None:
    assert minhash(features).tolist() == of_datasketch(features)


@given(features=FEATURES)
def test_neither_order_nor_repetition_matters(features: frozenset[str]) -> None:
    twice = [*sorted(features), *sorted(features, reverse=True)]
    assert minhash(twice).tobytes() == minhash(features).tobytes()


def test_equal_places_estimate_the_jaccard_similarity() -> None:
    left = character_ngrams("who ran the old mill at Karsted before it burned down")
    right = character_ngrams("who ran the old mill at Karsted after it burned down")
    shared = float(np.mean(minhash(left) == minhash(right)))
    assert abs(shared - jaccard(left, right)) < 4 * 0.5 / NUM_PERMUTATIONS**0.5
