"""Judged responses on the terminal: each sentence with its label, its evidence and the rationale.

The rule: texts come from data. They are printed without control characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

from schemas.records import Annotation, Document, Sentence, Verdict
from schemas.text.terminal import one_line

_MAX_CHARS = 400
_LABEL_WIDTH = 16


def print_preview(annotations: Iterable[Annotation], documents: Mapping[str, Document]) -> None:
    """Print annotations for a person to read; `documents` by id, for the quoted evidence."""
    for annotation in annotations:
        topic = f", topic {annotation.topic}" if annotation.topic else ""
        click.echo(f"\nresponse {_line(annotation.id)}{_line(topic)}")
        click.echo(f"  question: {_line(annotation.prompt[-1].content)}")
        for sentence in annotation.sentences:
            for line in _describe(annotation, sentence, documents):
                click.echo(line)
    click.echo()


def _describe(
    annotation: Annotation, sentence: Sentence, documents: Mapping[str, Document]
) -> Iterable[str]:
    verdict = sentence.verdict
    text = annotation.text[sentence.start : sentence.end]
    yield f"  {verdict.label.value:<{_LABEL_WIDTH}}  {_line(text)}"
    indent = " " * (_LABEL_WIDTH + 4)
    for line in lines_of_words(annotation.text, verdict):
        yield f"{indent}{_line(line)}"
    if verdict.reason:
        yield f"{indent}reason: {_line(verdict.reason)}"
    for item in verdict.evidence:
        document = documents.get(item.document_id)
        if document is not None:
            quote = document.text[item.start : item.end]
            yield f'{indent}evidence: "{_line(quote)}" ({_line(item.document_id)})'
    if verdict.rationale:
        yield f"{indent}rationale: {_line(verdict.rationale)}"


def lines_of_words(text: str, verdict: Verdict) -> list[str]:
    """The wrong words of a verdict on `text`, and those that its judge gave in vain."""
    found = [text[span.start : span.end] for span in verdict.error_spans]
    given = [
        f"{item.words!r} ({item.reason})" if item.words else item.reason
        for item in verdict.missing_error_words
    ]
    lines = {"wrong words": "; ".join(found), "words not marked": "; ".join(given)}
    return [f"{name}: {words}" for name, words in lines.items() if words]


def _line(text: str) -> str:
    return one_line(text, _MAX_CHARS)
