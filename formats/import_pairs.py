"""Pairs made elsewhere become annotations: published Mask-DPO JSON, or TRL preference rows.

The rule: a pair gives its two responses with the labels it has, and nothing else. A response
without spans is one `undetermined: not_labelled` span, which trains on neither side until a judge
or a person has labelled it. Which of the two was preferred is not kept: `build` selects again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from formats.own_imports import refuse_other_work
from formats.published import PublishedRow, published_pair
from formats.trl import trl_pair
from schemas.error_spans import group_pieces, trim_words
from schemas.errors import Fault, InputError
from schemas.files.jsonl import write_records
from schemas.files.own_files import seal
from schemas.files.sidecar import describe_files, make_sidecar, write_sidecar
from schemas.files.tables import Table, scan_values
from schemas.hashing import content_key
from schemas.labels import Label, Side
from schemas.records import Annotation, ErrorSpan, Failure, Pair, Sentence, Span, Verdict
from schemas.spans import Offsets, trim
from schemas.stage import StageResult, write_failures
from schemas.validation import describe_errors

KEY_CHARS = 32
UNKNOWN_REASON = "not_labelled"


def run_import_pairs(*, source: Path | Table, annotations: Path, format_name: str) -> StageResult:
    """Write the annotations of the pairs in `source`, with a sidecar.

    source        a file (.json, .jsonl, .parquet), or a split of a data set
    format_name   "published" or "trl"

    Bad rows become `Failure`s next to the output. Raises InputError for a file that cannot be read,
    and with every fault when no row is valid, ConfigError for an output that no import of `source`
    wrote; nothing is written then.
    """
    refuse_other_work(annotations, source=source, format_name=format_name, what="annotations")
    parse = _PARSERS[format_name]
    found: dict[str, Annotation] = {}
    faults: list[Fault] = []
    failures: list[Failure] = []
    num_rows = 0
    shown = source.name if isinstance(source, Table) else str(source)
    if isinstance(source, Table):
        source.require(_COLUMNS[format_name], what=f"pairs of the format {format_name}")
    for row, values in source.rows() if isinstance(source, Table) else scan_values(source):
        num_rows += 1
        identifier = f"{source.name}:{row}"
        try:
            if isinstance(values, ValueError):
                raise values
            pair = parse(values, identifier)
            made = annotations_of(pair)
            _refuse_other_text(made, found)
        except (ValueError, TypeError, RecursionError) as error:
            faults.append(Fault(path=shown, line=row, message=str(error)))
            failures.append(
                Failure(id=identifier[:512], stage="import", reason="bad_row", detail=str(error))
            )
            continue
        for annotation in made:
            found.setdefault(annotation.id, annotation)
    if not found:
        raise InputError(faults or [Fault(path=shown, line=None, message="holds no rows")])
    counts = _count(found, num_rows=num_rows, num_failed=len(failures))
    write_records(annotations, found.values())
    write_failures(annotations, failures)
    config = {"format": format_name}
    inputs = source.describe() if isinstance(source, Table) else describe_files([source])
    sidecar = make_sidecar("annotation", config=config, inputs=inputs, counts=counts)
    write_sidecar(annotations, seal(sidecar, [annotations]))
    return StageResult(
        output=annotations,
        num_rows=num_rows,
        failures=failures,
        counts=counts,
        notes=_notes(counts),
    )


def annotations_of(pair: Pair) -> list[Annotation]:
    """The two responses of a pair with the pair's labels of their sentences.

    Raises ValueError when the spans do not cover the text.
    """
    question_id = (
        pair.question_id
        or content_key([message.model_dump() for message in pair.prompt])[:KEY_CHARS]
    )
    made = []
    for side, messages, spans, name, reason in (
        (Side.CHOSEN, pair.chosen, pair.chosen_spans, pair.chosen_id, pair.chosen_finish_reason),
        (
            Side.REJECTED,
            pair.rejected,
            pair.rejected_spans,
            pair.rejected_id,
            pair.rejected_finish_reason,
        ),
    ):
        text = messages[0].content
        try:
            annotation = Annotation(
                id=name or f"{pair.id}/{side}",
                question_id=question_id,
                topic=pair.topic,
                language=pair.language,
                prompt=pair.prompt,
                text=text,
                model=pair.policy if " | " not in pair.policy else "",
                finish_reason=reason,
                sentences=_unlabelled(text)
                if spans is None
                else _sentences(text, spans, pair.judge),
            )
        except ValidationError as error:
            raise ValueError(f"{side}: {'; '.join(describe_errors(error, Annotation))}") from None
        made.append(annotation)
    return made


def _sentences(text: str, spans: list[Span], judge: str) -> list[Sentence]:
    return [_sentence(text, pieces, judge) for pieces in group_pieces(spans)]


def _sentence(text: str, pieces: list[Span], judge: str) -> Sentence:
    """A sentence from its pieces: those with the wrong words become its error spans."""
    first, last = pieces[0], pieces[-1]
    if first.sentence is None and first.part is not None:
        raise ValueError(
            f"the span [{first.start}, {first.end}) is a piece ('part' is '{first.part}'), but the "
            "number of its sentence is missing; give it as 'sentence'"
        )
    if any(piece.label is not first.label for piece in pieces):
        labels = ", ".join(dict.fromkeys(f"'{piece.label}'" for piece in pieces))
        raise ValueError(
            f"the pieces of sentence {first.sentence} have the labels {labels}; all pieces of a "
            "sentence must have its label"
        )
    return Sentence(
        start=first.start,
        end=last.end,
        verdict=Verdict(
            label=first.label,
            reason=UNKNOWN_REASON if first.label is Label.UNDETERMINED else None,
            judge=judge,
            error_spans=[
                ErrorSpan(start=start, end=end) for start, end in _wrong_places(text, pieces)
            ],
        ),
    )


def _wrong_places(text: str, pieces: list[Span]) -> list[Offsets]:
    """The places of the wrong words in a sentence; empty for a sentence that has no pieces.

    A sentence that is context alone had only punctuation marked. It keeps one such mark: without
    any, all of it would be wrong.
    """
    wrong = [(piece.start, piece.end) for piece in pieces if piece.part == "error"]
    if wrong or pieces[0].part is None:
        return wrong
    letters = ((index, index + 1) for index in range(pieces[0].start, pieces[-1].end))
    place = next((item for item in letters if trim_words(text, *item) is None), None)
    if place is None:
        raise ValueError(
            f"sentence {pieces[0].sentence} has the part 'context' alone, so only punctuation or "
            "white space can be marked in it, and it has neither"
        )
    return [place]


def _unlabelled(text: str) -> list[Sentence]:
    place = trim(text, 0, len(text))
    if place is None:
        return []
    verdict = Verdict(label=Label.UNDETERMINED, reason=UNKNOWN_REASON)
    return [Sentence(start=place[0], end=place[1], verdict=verdict)]


def _refuse_other_text(made: list[Annotation], found: dict[str, Annotation]) -> None:
    if made[0].id == made[1].id:
        raise ValueError(f"both sides have the id {made[0].id!r}")
    for annotation in made:
        first = found.get(annotation.id, annotation)
        if (first.text, first.sentences) != (annotation.text, annotation.sentences):
            raise ValueError(
                f"response {annotation.id!r} has a different text or different labels than in an "
                "earlier row; one id must mean one response"
            )


def _published(values: object, identifier: str) -> Pair:
    if isinstance(values, dict):  # Parquet's null is a field left out
        values = {key: value for key, value in values.items() if value is not None}
    try:
        row = PublishedRow.model_validate_json(json.dumps(values))
        return published_pair(row, identifier=identifier)
    except ValidationError as error:
        raise ValueError("; ".join(describe_errors(error, PublishedRow))) from None


def _trl(values: object, identifier: str) -> Pair:
    return trl_pair(values, identifier=identifier)


_PARSERS: dict[str, Callable[[object, str], Pair]] = {"published": _published, "trl": _trl}
# The columns that a data set of the format needs.
_COLUMNS = {
    "published": [name for name, field in PublishedRow.model_fields.items() if field.is_required()],
    "trl": ["chosen", "rejected"],
}


def _count(found: dict[str, Annotation], *, num_rows: int, num_failed: int) -> dict[str, int]:
    verdicts = [sentence.verdict for row in found.values() for sentence in row.sentences]
    labels = Counter(verdict.label for verdict in verdicts)
    num_spans = sum(len(verdict.error_spans) for verdict in verdicts)
    return {
        "pairs": num_rows - num_failed,
        "failed": num_failed,
        "responses": len(found),
        "questions": len({row.question_id for row in found.values()}),
        "sentences": sum(labels.values()),
        **{f"sentences_{label}": labels[label] for label in Label if labels[label]},
        **({"error_spans": num_spans} if num_spans else {}),
    }


def _notes(counts: dict[str, int]) -> list[str]:
    notes = [
        "only labels were imported: evidence, confidence and documents are not in this format, "
        "and build computes the weights again"
    ]
    undetermined = counts.get(f"sentences_{Label.UNDETERMINED}", 0)
    if undetermined:
        notes.append(
            f"{undetermined} spans of text have no label there and are undetermined: they train on "
            "neither side"
        )
    if counts.get("error_spans"):
        notes.append(
            f"error spans made from the pieces of sentences: {counts['error_spans']:,}; as far as "
            "weights need them: without their labels and kinds, and without final punctuation"
        )
    return notes
