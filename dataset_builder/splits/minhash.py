"""MinHash signatures: two sets agree at one place with a probability of their Jaccard similarity.

The rule: each place holds the least value of one permutation of 32-bit hashes over the set, so a
signature depends on the set alone, on every machine. The values are those of the library datasketch
(its scheme "affine32"), which a test compares; the library itself needs scipy, 140 MB that nothing
else needs to build a data set.

Each hash is mixed once (the finaliser of MurmurHash3, a bijection), then permuted by h -> a h + b
modulo 2^32 with an odd `a`, which is a bijection too.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha1
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NUM_PERMUTATIONS = 128
_SEED = 1


def minhash(features: Iterable[str]) -> NDArray[np.uint32]:
    """The signature of a set of texts, NUM_PERMUTATIONS numbers; all at their largest for none."""
    import numpy as np

    digests = [sha1(item.encode("utf-8", "surrogatepass")).digest()[:4] for item in features]
    if not digests:
        return np.full(NUM_PERMUTATIONS, 2**32 - 1, dtype=np.uint32)
    hashes = _mix(np.frombuffer(b"".join(digests), dtype="<u4").astype(np.uint32))
    factors, shifts = _permutations()
    least: NDArray[np.uint32] = (hashes[:, None] * factors + shifts).min(axis=0)
    return least


def _mix(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Spread each hash over all bits; arithmetic is modulo 2^32."""
    import numpy as np

    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))


@lru_cache(maxsize=1)
def _permutations() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The odd factors and the shifts, drawn once: drawing takes longer than hashing a prompt."""
    import numpy as np

    draw = np.random.RandomState(_SEED).randint  # its stream is frozen by numpy's policy
    halves = draw(0, 1 << 31, NUM_PERMUTATIONS, dtype=np.uint32)
    return halves * np.uint32(2) + np.uint32(1), draw(0, 1 << 32, NUM_PERMUTATIONS, dtype=np.uint32)
