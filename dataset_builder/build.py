"""`build`: annotations in, a data set folder out.

The rule that makes it correct: the folder is a function of the annotations' content and the
settings. Rows are ordered by question and response id, not by the input's order, and every
response of the input is either in a pair or counted under a reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dataset_builder.config import BuildConfig
from dataset_builder.finish import Draw, finish_folder, read_agreement
from dataset_builder.pairs import make_pair, sentence_rows
from dataset_builder.provenance import Provenance
from dataset_builder.reasons import EXPLANATIONS, FAULTY, Unused
from dataset_builder.select import select_best_worst
from dataset_builder.splits import Split, split_of
from dataset_builder.write import (
    MANIFEST_NAME,
    PAIRS_FORMAT,
    check_replaceable,
    new_folder,
    pair_schema,
    parquet_name,
    sentence_schema,
    write_parquet,
)
from schemas.errors import Fault, InputError
from schemas.files import read_records
from schemas.labels import Label
from schemas.records import Annotation, Failure, Pair
from schemas.sidecar import check_format, describe_file, make_sidecar
from schemas.stage import StageResult, write_failures
from schemas.validation import describe_errors


@dataclass(frozen=True, kw_only=True)
class Built:
    """The pairs of all questions, ordered by question, and why the other responses are in none.

    unused     by response id
    dropped    by question id
    """

    pairs: Sequence[Pair]
    unused: Mapping[str, Unused]
    dropped: Mapping[str, Unused]


def run_build(
    config: BuildConfig,
    *,
    annotations: Path,
    output: Path,
    agreement: Path | None = None,
    draw: Draw | None = None,
) -> StageResult:
    """Build the data set folder `output`, replacing one that `build` made before.

    agreement   a report of `maskdpo agreement`, for the card
    draw        makes the card's pictures from the statistics; none without it

    Raises InputError for a faulty annotations file and when no pair can be made, ConfigError when
    `output` holds anything else; nothing is written then.
    """
    check_replaceable(output)
    measured = read_agreement(agreement) if agreement else None
    rows = sorted(read_records(annotations, Annotation), key=lambda row: (row.question_id, row.id))
    built = build_pairs(rows, config)
    counts = _count(rows, built)
    if not built.pairs:
        raise InputError.of(annotations, _say_why_no_pairs(counts))
    failures = _failures(rows, built)
    with new_folder(output) as folder:
        files = _write_data(folder, rows, built, config)
        counts |= _count_splits(files)
        manifest = _make_manifest(config, annotations, rows, files=files, counts=counts)
        finish_folder(folder, manifest | {"agreement": measured}, config, draw=draw)
    write_failures(output, failures)
    return StageResult(
        output=output,
        num_rows=len(rows),
        failures=failures,
        counts=counts,
        notes=_notes(counts, config),
    )


def build_pairs(rows: Sequence[Annotation], config: BuildConfig) -> Built:
    """Select and weigh, question by question; pure, and the same for any order of `rows`."""
    questions: dict[str, list[Annotation]] = {}
    for row in rows:
        questions.setdefault(row.question_id, []).append(row)
    pairs: list[Pair] = []
    unused: dict[str, Unused] = {}
    dropped: dict[str, Unused] = {}
    for question_id, responses in sorted(questions.items()):
        selection = select_best_worst(responses, min_margin=config.min_margin)
        unused.update(selection.unused)
        if selection.dropped is not None:
            dropped[question_id] = selection.dropped
        for choice in selection.choices:
            pair = make_pair(choice, config)
            if isinstance(pair, Pair):
                pairs.append(pair)
                continue
            dropped[question_id] = pair
            unused[choice.chosen.annotation.id] = pair
            unused[choice.rejected.annotation.id] = pair
    return Built(pairs=pairs, unused=unused, dropped=dropped)


def load_pairs(folder: str | Path, split: str) -> list[Pair]:
    """The pairs of one split of a data set folder, checked; row numbers in errors count from 0."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(folder)
    manifest = _read_manifest(folder)
    name = f"{PAIRS_FORMAT}/{split}-00000-of-00001.parquet"
    if name not in manifest["files"]:
        known = sorted(key for key in manifest["files"] if key.startswith(f"{PAIRS_FORMAT}/"))
        raise InputError.of(folder, f"has no split {split!r}; it holds {', '.join(known)}")
    try:
        rows = pq.read_table(folder / name).to_pylist()
    except (OSError, pa.ArrowException) as error:
        message = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
        raise InputError.of(folder / name, message) from None
    pairs: list[Pair] = []
    faults: list[Fault] = []
    for index, row in enumerate(rows):
        try:
            pairs.append(Pair.model_validate_json(json.dumps(row)))
        except ValidationError as error:
            faults.extend(
                Fault(path=str(folder / name), line=None, message=f"row {index}: {message}")
                for message in describe_errors(error, Pair)
            )
    if faults:
        raise InputError(faults)
    return pairs


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        check_format(path, manifest["format"], manifest["version"], expected=PAIRS_FORMAT)
        files = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        message = f"is no data set of ours: {MANIFEST_NAME} is missing or unreadable"
        raise InputError.of(folder, message) from None
    return {**manifest, "files": files}


def _write_data(
    folder: Path, rows: Sequence[Annotation], built: Built, config: BuildConfig
) -> dict[str, dict[str, Any]]:
    """Write the Parquet files that have rows; answers their hash, size and rows by name."""
    files: dict[str, dict[str, Any]] = {}
    in_a_topic = [row for row in rows if built.unused.get(row.id) is not Unused.TOPICS_DIFFER]
    for split in Split:
        tables = (
            ("pairs", pair_schema(), _pair_rows(built.pairs, split, config)),
            ("sentences", sentence_schema(), _sentence_rows(in_a_topic, split, config)),
        )
        for config_name, schema, table_rows in tables:
            name = parquet_name(config_name, split)
            count = write_parquet(folder / name, table_rows, schema)
            if count:
                files[name] = describe_file(folder / name) | {"rows": count}
    return files


def _pair_rows(pairs: Iterable[Pair], split: Split, config: BuildConfig) -> Iterator[Any]:
    return (pair.model_dump(mode="json") for pair in pairs if _split(pair, config) is split)


def _sentence_rows(rows: Iterable[Annotation], split: Split, config: BuildConfig) -> Iterator[Any]:
    for row in rows:
        if _split(row, config) is split:
            yield from sentence_rows(row)


def _split(row: Pair | Annotation, config: BuildConfig) -> Split:
    return split_of(
        topic=row.topic,
        question_id=row.question_id,
        seed=config.seed,
        test_share=config.test_share,
    )


def _make_manifest(
    config: BuildConfig,
    annotations: Path,
    rows: Sequence[Annotation],
    *,
    files: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, int],
) -> dict[str, Any]:
    """What made the folder. No timings: two builds of one input are the same, byte for byte."""
    sidecar = make_sidecar(
        PAIRS_FORMAT,
        config=config.model_dump(mode="json"),
        inputs=[annotations],
        packages=["pyarrow"],
        counts=counts,
    )
    provenance = Provenance()
    for _, responses in groupby(rows, key=lambda row: row.question_id):
        provenance.add_question(list(responses))
    return {
        **sidecar.model_dump(exclude={"timings", "models"}),
        **provenance.to_dict(),
        "files": dict(files),
    }


def _count(rows: Sequence[Annotation], built: Built) -> dict[str, int]:
    """Counts of the input and of what became of it; reasons without a case are left out."""
    verdicts = [sentence.verdict for row in rows for sentence in row.sentences]
    labels = Counter(verdict.label for verdict in verdicts)
    unused, dropped = Counter(built.unused.values()), Counter(built.dropped.values())
    num_persons = sum(verdict.source == "person" for verdict in verdicts)
    return {
        "responses": len(rows),
        "questions": len({row.question_id for row in rows}),
        "topics": len({row.topic or row.question_id for row in rows}),
        "sentences": len(verdicts),
        "verdicts_person": num_persons,
        "verdicts_judge": len(verdicts) - num_persons,
        **{f"label_{label}": labels[label] for label in Label if labels[label]},
        "pairs": len(built.pairs),
        "active_chosen": _num_active(pair.chosen_spans or [] for pair in built.pairs),
        "active_rejected": _num_active(pair.rejected_spans or [] for pair in built.pairs),
        **{f"unused_{reason}": unused[reason] for reason in Unused if unused[reason]},
        **{f"dropped_{reason}": dropped[reason] for reason in Unused if dropped[reason]},
    }


def _num_active(sides: Iterable[Iterable[Any]]) -> int:
    return sum(span.weight > 0.0 for spans in sides for span in spans)


def _count_splits(files: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {
        f"{config_name}_{split}": files.get(parquet_name(config_name, split), {}).get("rows", 0)
        for config_name in ("pairs", "sentences")
        for split in Split
    }


def _failures(rows: Sequence[Annotation], built: Built) -> list[Failure]:
    found = []
    for row in rows:
        reason = built.unused.get(row.id)
        if reason in FAULTY:
            detail = f"question {row.question_id!r}: {EXPLANATIONS[reason]}"
            found.append(Failure(id=row.id, stage="build", reason=reason, detail=detail))
    return found


def _say_why_no_pairs(counts: Mapping[str, int]) -> str:
    reasons = [
        f"{counts[f'dropped_{reason}']} x {reason} ({text})"
        for reason, text in EXPLANATIONS.items()
        if f"dropped_{reason}" in counts
    ]
    return (
        f"gives no pair: of {counts['questions']} questions with {counts['responses']} responses, "
        + "; ".join(reasons)
    )


def _notes(counts: Mapping[str, int], config: BuildConfig) -> list[str]:
    notes = []
    for split, share in ((Split.TRAIN, 1.0), (Split.TEST, config.test_share)):
        if share and not counts[f"pairs_{split}"]:
            notes.append(
                f"the split '{split}' of 'pairs' is empty and not written: the {counts['topics']} "
                f"topics all fell elsewhere (test_share={config.test_share:g}, seed={config.seed})"
            )
    return notes
