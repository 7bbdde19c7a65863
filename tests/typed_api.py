"""What a type checker sees of the Python API. Read by mypy (test_api_types.py), never run."""

from collections.abc import Generator
from typing import assert_type

import maskdpo
from maskdpo import Failure, JudgedResponse, Pair, Pairs, ResponseScore

one = maskdpo.annotate("a", documents=["b"])
assert_type(one, JudgedResponse)
assert_type(one.sentences[0].text, str)
assert_type(one.sentences[0].label, maskdpo.Label)
assert_type(maskdpo.annotate({"text": "a"}, "b"), JudgedResponse)
judge = maskdpo.Judge(model="m", protocol="response")
rows = maskdpo.annotate(["a"], {"x": "y"}, judge=judge, store="store.sqlite", max_cost=5)
assert_type(rows, Generator[JudgedResponse | Failure, None, None])
assert_type(
    maskdpo.annotate(({"text": text} for text in "ab"), "d"),
    Generator[JudgedResponse | Failure, None, None],
)


async def serve() -> None:
    assert_type(await maskdpo.aannotate("a", "b"), JudgedResponse)
    async for row in maskdpo.aannotate(["a"], "b"):
        assert_type(row, JudgedResponse | Failure)


async def ask(client: maskdpo.AsyncClient) -> None:
    assert_type(await client.annotate("a", ["b"]), JudgedResponse)
    async for row in client.annotate_many(["a"]):
        assert_type(row, JudgedResponse | Failure)
    job = await client.submit(["a"], ["b"])
    assert_type(await job.wait(), maskdpo.JobStatus)
    assert_type([row async for row in job.results()], list[JudgedResponse])


with maskdpo.Client(token="t") as client:
    assert_type(client.annotate("a", ["b"]), JudgedResponse)
    assert_type(next(client.stream("a", ["b"])), maskdpo.JudgedSentence)
    assert_type(client.annotate_many(["a"]), Generator[JudgedResponse | Failure, None, None])
    assert_type(client.submit(["a"]).results(), Generator[JudgedResponse, None, None])
pairs = maskdpo.build_pairs(rows)
assert_type(pairs, Pairs)
assert_type(pairs[0], Pair)
assert_type(pairs[:1], Pairs)
assert_type(maskdpo.score(rows), ResponseScore)
assert_type(maskdpo.score(one), ResponseScore)
assert_type(maskdpo.token_weights(pairs[0], None).chosen.weights, list[float])
assert_type(maskdpo.__version__, str)
maskdpo.Judge(model="m", protocl="x")  # wrong: a keyword
maskdpo.annotte("a")  # wrong: a name
