"""Which rows are in a part of a run, and how the files of a part are called.

The rule: a row's part depends only on one id: that of its question (in `questions`, of its
document). So all responses to a question are in one part, whatever the order of the input or its
files, and the parts of all stages have the same questions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from schemas.errors import ConfigError
from schemas.hashing import stable_fraction

_PART_OF_NAME = re.compile(r"(.+)-[0-9]{5,}-of-[0-9]{5,}", re.DOTALL)
_SHARD_SEED = 0  # not the seed of splits: a shard has rows of both splits


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """Part `index` (from 1) of `count`."""

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
        return number_of(question_id, self.count) == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def number_of(key: str, count: int) -> int:
    """The part, from 1 to `count`, of the rows with this id."""
    if count == 1:
        return 1
    return int(stable_fraction(_SHARD_SEED, key) * count) + 1


def part_path(path: str | Path, shard: Shard) -> Path:
    """`annotations.jsonl` -> `annotations-00003-of-00064.jsonl`; the path itself for the whole."""
    path = Path(path)
    if shard.count == 1:
        return path
    return path.with_stem(f"{path.stem}-{shard.index:05}-of-{shard.count:05}")


def pieces_folder(path: str | Path) -> Path:
    """`store.sqlite` -> `store.parts`: where a run in pieces keeps those of a file."""
    path = Path(path)
    return path.with_name(f"{path.stem}.parts")


def stores_of_pieces(store: str | Path) -> list[Path]:
    """The stores that unfinished runs in pieces have for the run's `store`."""
    store = Path(store)
    return sorted(pieces_folder(store).rglob(f"*{store.suffix}"))


def whole_path(path: str | Path) -> Path | None:
    """`annotations-00003-of-00064.jsonl` -> `annotations.jsonl`; None for another name."""
    path = Path(path)
    found = _PART_OF_NAME.fullmatch(path.stem)
    return path.with_stem(found[1]) if found else None


@lru_cache(maxsize=10_000)
def falls_to(shard: Shard, question_id: str) -> bool:
    """`shard.has`, which is called for each row of a question."""
    return shard.has(question_id)
