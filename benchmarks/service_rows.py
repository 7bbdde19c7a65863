"""Requests for the benchmarks of the service: no two have the same document or response."""

from __future__ import annotations

import random
from typing import Any

from annotate_stream import VOCABULARY

DOCUMENT_SENTENCES = 21  # about 250 words
SENTENCES = 8
_RNG = random.Random(0)
_FACTS = [
    " ".join(_RNG.choices(VOCABULARY, k=_RNG.randint(8, 16))).capitalize() + "."
    for _ in range(3000)
]


def make_request(rng: random.Random) -> dict[str, Any]:
    """A document, and a response of which half the sentences are in the document."""
    facts = rng.sample(_FACTS, DOCUMENT_SENTENCES + SENTENCES // 2)
    return {
        "response": {"text": " ".join(facts[-SENTENCES:]), "language": "en"},
        "documents": [" ".join(facts[:DOCUMENT_SENTENCES])],
    }
