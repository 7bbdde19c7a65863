"""Which questions are in a part of a build.

The rule: a question's part depends only on its id, so every question is in one part, whatever the
order of the input or its files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from schemas.errors import ConfigError
from schemas.hashing import stable_fraction

_SHARD_SEED = 0  # not the seed of splits: a shard has rows of both splits


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """Part `index` (from 1) of `count`; a question's part depends only on its id."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse `'2/4'`. Raises ConfigError for anything else."""
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise ConfigError(
                f"shard is {text!r}, but it must look like 2/4: a part from 1 up to the number "
                "of parts"
            )
        return cls(index=int(match[1]), count=int(match[2]))

    def has(self, question_id: str) -> bool:
        """Whether the question is in this part."""
        if self.count == 1:
            return True
        return int(stable_fraction(_SHARD_SEED, question_id) * self.count) == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@lru_cache(maxsize=10_000)
def falls_to(shard: Shard, question_id: str) -> bool:
    """`shard.has`, which is called for each row of a question."""
    return shard.has(question_id)
