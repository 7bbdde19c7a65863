"""Whether a person edited the card of a data set, which a new build would overwrite.

The rule: the card is as it was written when its header and sections have the digests of its own
last comment, and nothing else is in it (`maskdpo.publishing.markdown`). If that cannot be
determined, it counts as edited.
"""

from __future__ import annotations

from pathlib import Path

from maskdpo.publishing.markdown import HINT, digest, split_card
from schemas.files.yaml_files import YamlFault, parse_yaml


def is_card_edited(path: Path) -> bool:
    """Whether the card at `path` has text of a person; False without a card or text."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    if not text.strip():
        return False
    card = split_card(text)
    try:
        header = parse_yaml(card.header) or {}
    except YamlFault:
        return True
    if card.state is None or not isinstance(header, dict):
        return True
    sections = {part.name: digest(part.text) for part in card.segments if part.name is not None}
    others = [part.text.strip() for part in card.segments if part.name is None]
    return (
        {key: digest(value) for key, value in header.items()} != dict(card.state.header)
        or sections != dict(card.state.sections)
        or others != [HINT]
    )
