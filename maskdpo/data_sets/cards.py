"""The card of a data set: the part of README.md that `datasets` obeys.

The rule: somebody else's card chooses among the files inside its data set, and nothing more.
`datasets` opens every address that a card names, so a card with an address is refused before
`datasets` sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from schemas.errors import InputError
from schemas.packages import require
from schemas.text.terminal import one_line
from schemas.validation import show_value

README, STANDALONE = "README.md", ".huggingface.yaml"
CARDS = (README, STANDALONE)
_MAX_REASON_CHARS = 200


def check_cards(name: str, folder: Path) -> None:
    """Raise InputError where a card in `folder` cannot be read, or names an address.

    name   of the data set, for the message
    """
    for file in CARDS:
        if not (folder / file).is_file():
            continue
        for text in _texts(_read_configs(name, folder / file)):
            if "://" in text or "::" in text:
                message = (
                    f"its {file} names {show_value(text)}; only files inside the data set are read"
                )
                raise InputError.of(name, message)


def _read_configs(name: str, path: Path) -> object:
    """The key `configs` of a card, read as `datasets` reads it."""
    require("huggingface_hub", "datasets", needed_for="a data set with a card")  # they bring yaml
    import yaml
    from huggingface_hub import DatasetCard

    try:
        if path.name == README:
            return DatasetCard.load(path).data.to_dict().get("configs")
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        AttributeError,
        OSError,
        RecursionError,
    ) as error:
        reason = one_line(str(error), _MAX_REASON_CHARS) or type(error).__name__
        raise InputError.of(name, f"its {path.name} cannot be read: {reason}") from None
    return values.get("configs") if isinstance(values, dict) else None


def _texts(value: object) -> Iterator[str]:
    """Every text in a value, keys too; YAML can make a list that holds itself."""
    seen: set[int] = set()
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict | list) and id(item) not in seen:
            seen.add(id(item))
            left += [*item.keys(), *item.values()] if isinstance(item, dict) else item
