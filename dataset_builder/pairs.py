"""The pair of a choice.

The rule: what is published names no machine. Models and judges that were given as a local path or a
URL keep only the last part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from dataset_builder.config import BuildConfig
from dataset_builder.strategies import Candidate, Choice
from dataset_builder.weights import make_spans
from schemas.hashing import content_key
from schemas.labels import Side
from schemas.records import Message, Pair

PAIR_ID_CHARS = 32
NAME_SEPARATOR = " | "  # between the names of several models or judges in one column
_SCHEME_AND_HOST = re.compile(r"[A-Za-z][\w+.-]*://[^/\s]*")
_LOCAL_PATH = re.compile(r"^(?:[/\\~.]|[A-Za-z]:[/\\])|\\")


def make_pair(choice: Choice, config: BuildConfig) -> Pair:
    """The pair of a choice, with the spans of both sides (`weights.make_spans`)."""
    chosen, rejected = choice.chosen.annotation, choice.rejected.annotation
    return Pair(
        id=pair_id(choice),
        prompt=chosen.prompt,
        chosen=[Message(role="assistant", content=chosen.text)],
        rejected=[Message(role="assistant", content=rejected.text)],
        chosen_spans=make_spans(chosen, Side.CHOSEN, config),
        rejected_spans=make_spans(rejected, Side.REJECTED, config),
        chosen_score=choice.chosen.score,
        rejected_score=choice.rejected.score,
        chosen_finish_reason=chosen.finish_reason,
        rejected_finish_reason=rejected.finish_reason,
        question_id=chosen.question_id,
        topic=chosen.topic,
        language=chosen.language or rejected.language,
        policy=_join([public_name(chosen.model), public_name(rejected.model)]),
        judge=_join(sorted(_judges(choice.chosen) | _judges(choice.rejected))),
        chosen_id=chosen.id,
        rejected_id=rejected.id,
    )


def pair_id(choice: Choice) -> str:
    """A key of question, prompt and both texts; verdicts, settings and splits do not change it."""
    chosen, rejected = choice.chosen.annotation, choice.rejected.annotation
    content = {
        "question_id": chosen.question_id,
        "prompt": [message.model_dump() for message in chosen.prompt],
        "chosen": chosen.text,
        "rejected": rejected.text,
    }
    return content_key(content)[:PAIR_ID_CHARS]


@lru_cache(maxsize=1_000)  # many sentences have the same name
def public_name(name: str) -> str:
    """The name of a model or judge for publication.

    >>> public_name("Qwen/Qwen2.5-0.5B"), public_name("/home/me/models/mine/")
    ('Qwen/Qwen2.5-0.5B', 'mine')
    """
    name = _SCHEME_AND_HOST.sub("", name)
    if not _LOCAL_PATH.search(name):
        return name
    parts = [part for part in re.split(r"[/\\]+", name) if part.strip(".~ ")]
    return parts[-1] if parts else ""


def _judges(candidate: Candidate) -> set[str]:
    verdicts = (sentence.verdict for sentence in candidate.annotation.sentences)
    return {public_name(verdict.judge) for verdict in verdicts}


def _join(names: Iterable[str]) -> str:
    return NAME_SEPARATOR.join(dict.fromkeys(name for name in names if name))
