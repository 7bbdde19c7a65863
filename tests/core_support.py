"""Responses, documents and judges for tests of the core."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from judge_support import make_world

from annotator.judging.annotator import Annotator
from annotator.judging.config import AnnotateConfig
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Document, Failure, Message, Response

LEXICAL = AnnotateConfig(judge="lexical")
MOST_S = 120  # a fault may make a stream wait without end
TOWNS = ("Karsted", "Mira", "Olden", "Varn")


def make_documents(count: int = 4) -> list[Document]:
    """Documents `d0`, `d1`, ... on a town each."""
    return [
        Document(
            id=f"d{n}",
            text=f"The town of {TOWNS[n % 4]} was founded in {1800 + n}. It has {n + 3} bridges.",
        )
        for n in range(count)
    ]


def make_responses(count: int, *, first: int = 0) -> Iterator[Response]:
    """Responses `r0`, `r1`, ..., some sentences right and some wrong; made one at a time."""
    for n in range(first, first + count):
        year = 1800 + n % 4 + (n % 3 == 0)
        yield Response(
            id=f"r{n}",
            question_id=f"q{n}",
            document_ids=[f"d{n % 4}"],
            language="en",
            prompt=[Message(role="user", content=f"What is known of {TOWNS[n % 4]}?")],
            text=f"{TOWNS[n % 4]} was founded in {year}. It has {n % 9} bridges and lies by a sea.",
        )


class CountedSource:
    """An asynchronous source that counts what was pulled from it."""

    def __init__(self, responses: Iterable[Response]) -> None:
        self._responses = responses
        self.num_pulled = 0

    async def __aiter__(self) -> AsyncIterator[Response]:
        for response in self._responses:
            self.num_pulled += 1
            yield response


def judge_world(folder: Path, *, num_responses: int) -> tuple[Any, list[Document], list[Response]]:
    """Truths for a scripted judge, with the documents and responses they are about."""
    folder.mkdir(parents=True, exist_ok=True)
    truths = make_world(folder, num_responses=num_responses)
    documents = read_records(folder / "documents.jsonl", Document)
    return truths, documents, read_records(folder / "responses.jsonl", Response)


def judge_config(base_url: str, **llm: Any) -> AnnotateConfig:
    """A judge model, asked sentence by sentence."""
    values = {"model": "judge", "base_url": base_url, "protocol": "sentence"} | llm
    return AnnotateConfig.parse({"judge": "llm", "llm": values}, where="annotate")


Rows = dict[str, Annotation | Failure]


async def collect(annotator: Annotator, responses: Any, *, most: int | None = None) -> Rows:
    """The first `most` rows by id; then the stream is closed."""
    rows: Rows = {}
    stream = annotator.annotate(responses)
    try:
        async with asyncio.timeout(MOST_S):
            async for row in stream:
                assert row.id not in rows
                rows[row.id] = row
                if len(rows) == most:
                    break
    finally:
        await stream.aclose()
    return rows


def annotate_all(annotator: Annotator, responses: Sequence[Response]) -> Rows:
    """Every row by id."""
    return asyncio.run(collect(annotator, responses))


def annotate_in_worker(annotator: Annotator, batch: list[Response]) -> list[dict[str, Any]]:
    """What a worker process does with a batch: rows as plain data."""
    return [row.model_dump(mode="json") for row in annotator.annotate_now(batch)]
