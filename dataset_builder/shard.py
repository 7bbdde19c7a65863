"""Which questions a part of a build takes.

The rule: a question's part depends on its id alone, so every question is in one part, however the
input is ordered or split into files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from schemas.errors import ConfigError
from schemas.hashing import stable_fraction

_SHARD_SEED = 0  # not the seed of splits: a shard has its part of both


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """Part `index` (from 1) of `count`; a question's part depends on its id alone."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`'2/4'`; ConfigError for anything else."""
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise ConfigError(
                f"shard is {text!r}, but it must look like 2/4: a part from 1 up to the number "
                "of parts"
            )
        return cls(index=int(match[1]), count=int(match[2]))

    def has(self, question_id: str) -> bool:
        """Whether this part takes the question."""
        if self.count == 1:
            return True
        return int(stable_fraction(_SHARD_SEED, question_id) * self.count) == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@lru_cache(maxsize=10_000)
def falls_to(shard: Shard, question_id: str) -> bool:
    """`shard.has`, which is asked of each row of a question."""
    return shard.has(question_id)
