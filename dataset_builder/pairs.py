"""The rows of a data set folder: a pair from a choice, and one row per sentence.

The rule: what is published names no machine. Models and judges that were given as a local path or a
URL keep only the last part of it, and evidence is stored as ids and offsets, with its text only if
the document's licence permits it (`dataset_builder.quoted_evidence`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from dataset_builder.config import BuildConfig
from dataset_builder.quoted_evidence import DescribeEvidence, describe_place
from dataset_builder.strategies import Candidate, Choice
from dataset_builder.weights import make_spans
from formats.reviews.apply import Replaced
from formats.reviews.names import show_names
from schemas.hashing import content_key
from schemas.labels import Side
from schemas.records import Annotation, Message, Pair, Verdict
from schemas.spans import Offsets

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


def sentence_rows(
    annotation: Annotation,
    replaced: Mapping[Offsets, Replaced] | None = None,
    *,
    describe: DescribeEvidence = describe_place,
    pseudonyms: Mapping[str, str] | None = None,
) -> Iterator[dict[str, Any]]:
    """One row per sentence, with the fields of `write.sentence_schema`.

    replaced      verdicts that people's decisions replaced, by the offsets of the present sentence
    describe      makes the columns of a piece of evidence; with text only if that is permitted
    pseudonyms    by reviewer; without it their names are written

    A judge's free-text rationale is left out: it may quote documents that must not be published.
    """
    origins = replaced or {}
    for sentence in annotation.sentences:
        verdict = sentence.verdict
        yield {
            "response_id": annotation.id,
            "question_id": annotation.question_id,
            "topic": annotation.topic,
            "language": annotation.language,
            "policy": public_name(annotation.model),
            "start": sentence.start,
            "end": sentence.end,
            "text": annotation.text[sentence.start : sentence.end],
            "label": verdict.label.value,
            "reason": verdict.reason,
            "confidence": verdict.confidence,
            "confidence_kind": verdict.confidence_kind,
            "votes": _votes(verdict.votes),
            "evidence": [describe(item) for item in verdict.evidence],
            "source": verdict.source,
            "judge": public_name(verdict.judge),
            "protocol": verdict.protocol,
            "correction": _correction(origins.get((sentence.start, sentence.end)), pseudonyms),
            "error_spans": _error_spans(verdict),
        }


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


def _correction(
    replaced: Replaced | None, pseudonyms: Mapping[str, str] | None
) -> dict[str, Any] | None:
    if replaced is None:
        return None
    return {
        "who": show_names(replaced.who, pseudonyms),
        "when": replaced.when,
        "replaced": [
            {
                "start": sentence.start,
                "end": sentence.end,
                "label": sentence.verdict.label.value,
                "source": sentence.verdict.source,
                "judge": public_name(sentence.verdict.judge),
            }
            for sentence in replaced.sentences
        ],
    }


def _error_spans(verdict: Verdict) -> list[dict[str, Any]]:
    return [
        {"start": span.start, "end": span.end, "label": span.label, "kind": span.kind}
        for span in verdict.error_spans
    ]


def _judges(candidate: Candidate) -> set[str]:
    verdicts = (sentence.verdict for sentence in candidate.annotation.sentences)
    return {public_name(verdict.judge) for verdict in verdicts}


def _join(names: Iterable[str]) -> str:
    return NAME_SEPARATOR.join(dict.fromkeys(name for name in names if name))


def _votes(votes: dict[str, int] | None) -> list[dict[str, Any]] | None:
    if votes is None:
        return None
    return [{"answer": answer, "count": votes[answer]} for answer in sorted(votes)]
