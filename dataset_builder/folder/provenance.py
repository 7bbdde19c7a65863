"""The origin of a data set's responses: counts of who wrote and judged them, and how.

The rule: every value is a count, and every name is public (no path, no host), so the counts can be
published; and the counts of two shards add up to those of the whole.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

from dataset_builder.pairs import public_name
from schemas.records import Annotation

NUM_HASH_CHARS = 16
# Fields that differ from response to response, or name a machine; they are not settings.
NOT_SETTINGS = frozenset({"seed", "base_url", "device", "api_key", "url", "host"})


@dataclass(kw_only=True)
class Provenance:
    """Counts by name, added question by question; memory grows only with the number of names.

    policies                 responses by the model that wrote them
    judges, protocols        sentences by judge, and by protocol
    languages                responses by language
    sampling                 responses by sampling settings (JSON, without the seed)
    system_prompts           responses by SHA-256 of their system message; "" without one
    responses_per_question   questions by how many responses they have (K)
    quoted                   pieces of evidence with text, by the document's licence
    """

    policies: Counter[str] = field(default_factory=Counter)
    judges: Counter[str] = field(default_factory=Counter)
    protocols: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    sampling: Counter[str] = field(default_factory=Counter)
    system_prompts: Counter[str] = field(default_factory=Counter)
    responses_per_question: Counter[str] = field(default_factory=Counter)
    quoted: Counter[str] = field(default_factory=Counter)

    def add_question(self, rows: Sequence[Annotation]) -> None:
        """Count the responses to one question, all of them."""
        self.responses_per_question[str(len(rows))] += 1
        for row in rows:
            self.policies[public_name(row.model)] += 1
            self.languages[row.language] += 1
            self.sampling[_describe_sampling(row.sampling)] += 1
            self.system_prompts[_hash_system_prompt(row)] += 1
        judged = Counter(
            (sentence.verdict.judge, sentence.verdict.protocol)
            for row in rows
            for sentence in row.sentences
        )
        for (judge, protocol), count in judged.items():
            self.judges[public_name(judge)] += count
            self.protocols[protocol] += count

    def add_block(self, other: Provenance) -> None:
        """Add the counts of other questions."""
        for name, counted in vars(self).items():
            counted.update(getattr(other, name))

    def to_dict(self) -> dict[str, dict[str, int]]:
        """The counts as they are in a manifest, names sorted."""
        return {name: dict(sorted(counted.items())) for name, counted in vars(self).items()}


def add_provenance(parts: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """The sums of the counts of several manifests: those of the shards of one build."""
    total = Provenance()
    for part in parts:
        for name, counted in vars(total).items():
            counted.update(part.get(name, {}))
    return total.to_dict()


def _describe_sampling(sampling: Mapping[str, Any]) -> str:
    settings = [
        item
        for pair in sampling.items()
        if pair[0] not in NOT_SETTINGS and isinstance(pair[1], (int, float, bool))
        for item in pair
    ]
    return _encode(*settings) if settings else ""


@lru_cache(maxsize=1_000, typed=True)  # typed: 1, 1.0 and true are three settings
def _encode(*settings: Any) -> str:
    """JSON of names and values in turn; most responses have the same."""
    return json.dumps(dict(zip(settings[::2], settings[1::2], strict=True)), sort_keys=True)


def _hash_system_prompt(row: Annotation) -> str:
    system = "\n".join(message.content for message in row.prompt if message.role == "system")
    return (
        sha256(system.encode("utf-8", "surrogatepass")).hexdigest()[:NUM_HASH_CHARS]
        if system
        else ""
    )
