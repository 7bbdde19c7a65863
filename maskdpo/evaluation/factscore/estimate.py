"""What FActScore will cost: the calls for facts that are still missing, and the judge's on facts.

The rule: sentences are those of the run where the responses are judged already (a file
`annotations.jsonl` of an earlier run), else all sentences of the responses. Facts of stored replies
are known; a sentence whose facts are not is assumed to have `ASSUMED_FACTS`, each as long as the
sentence, so the estimate is high at first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from annotator.calls.estimate import Estimate
from annotator.judging.config import AnnotateConfig
from annotator.judging.facts.config import FactsConfig
from annotator.judging.facts.dialogue import FactSource, SentenceFacts
from annotator.judging.facts.run import (
    estimate_facts,
    factual_sentences,
    make_sources,
    sentences_to_judge,
)
from annotator.judging.make_judge import asks_a_model
from annotator.judging.runs.estimate import estimate_annotate
from maskdpo.evaluation.factscore.verdicts import make_fact_responses, sentence_as_fact
from schemas.errors import InputError
from schemas.files.jsonl import read_records, write_records
from schemas.records import Annotation, Response
from schemas.spans import Offsets

ASSUMED_FACTS = 4


def estimate_facts_of(
    writer: FactsConfig | None,
    annotate: AnnotateConfig,
    responses: Sequence[Response],
    documents: Path | None,
    *,
    known: Path,
    store: Path,
    retry_failed: bool = False,
) -> list[tuple[str, Estimate]]:
    """Estimates for one model's `responses`, by title; calls no model and writes nothing.

    `writer` is the model that writes facts; None: each sentence is one fact. `known` is the file of
    an earlier run's annotations, which need not exist.
    """
    sources = make_sources(_with_sentences(responses, annotate, known))
    parts: list[tuple[str, Estimate]] = []
    found: Mapping[str, Sequence[SentenceFacts | None]] = {
        name: [sentence_as_fact(item.text) for item in items] for name, items in sources.items()
    }
    if writer is not None:
        owed, found = estimate_facts(writer, sources, store=store, retry_failed=retry_failed)
        parts.append(("facts", owed))
    if not asks_a_model(annotate):
        return parts
    facts = {
        name: [item or _assume(source) for item, source in zip(row, sources[name], strict=True)]
        for name, row in found.items()
    }
    rows = list(make_fact_responses(responses, facts))
    if not rows:
        return [*parts, ("verdicts on facts", Estimate(notes=["there are no facts to judge"]))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.jsonl"
        write_records(path, rows)
        judged = estimate_annotate(
            annotate, responses=path, documents=documents, store=store, retry_failed=retry_failed
        )
    if any(item is None for row in found.values() for item in row):
        judged.notes.append(
            f"sentences whose facts are not known yet are assumed to have {ASSUMED_FACTS}, each as "
            "long as its sentence"
        )
    return [*parts, ("verdicts on facts", judged)]


def _with_sentences(
    responses: Sequence[Response], annotate: AnnotateConfig, known: Path
) -> list[tuple[Response, Sequence[Offsets]]]:
    """The responses that can be judged, with the sentences that may state facts."""
    annotations = {item.id: item for item in _read(known)}
    rows: list[tuple[Response, Sequence[Offsets]]] = []
    for response in responses:
        judged = annotations.get(response.id)
        if judged is not None and judged.text == response.text:
            rows.append((response, factual_sentences(judged)))
        elif response.text.strip() and len(response.text) <= annotate.max_response_chars:
            rows.append((response, sentences_to_judge(response, annotate)))
    return rows


def _assume(source: FactSource) -> SentenceFacts:
    """Facts that differ, because equal ones are judged once."""
    return SentenceFacts(facts=tuple(f"{n} {source.text}" for n in range(ASSUMED_FACTS)))


def _read(path: Path) -> list[Annotation]:
    try:
        return read_records(path, Annotation) if path.exists() else []
    except InputError:
        return []  # of another version, or without a row: the sentences are split again
