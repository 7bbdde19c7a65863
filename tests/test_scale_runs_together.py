"""Runs in pieces next to others: of one store, of one output, and of one machine afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sample_server import ChatServer
from sample_support import write_questions
from test_scale_run import InProcess

from annotator.calls.store import Store
from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample
from annotator.sampling.slots import REPLY_KIND
from annotator.scale.run import Stage, run_in_pieces
from annotator.scale.stages import sample_stage
from annotator.scale.work import MakeWorker, Piece, PieceReport
from formats.forgotten import Forgotten
from maskdpo.forgetting.store import find_stores
from maskdpo.run_store import RunStore
from schemas.errors import BackendError
from schemas.records import Question

NUM_CALLS = 9 * 2


class Between(InProcess):
    """Runs something before the second piece."""

    def __init__(self, call: Any) -> None:
        super().__init__()
        self._call = call

    def __call__(self, pieces: Sequence[Piece], make_worker: MakeWorker) -> Iterator[PieceReport]:
        for number, report in enumerate(super().__call__(pieces, make_worker)):
            if number == 0:
                self._call()
            yield report


class Sampling:
    """Stages of `sample` on one store."""

    def __init__(self, folder: Path, server: ChatServer) -> None:
        self.folder = folder
        self.store = folder / "store.sqlite"
        self.questions = write_questions(folder / "questions.jsonl", 9)
        self.server = server

    def config(self, seed: int) -> SampleConfig:
        values = {"base_url": self.server.base_url, "num_responses": 2, "seed": seed}
        return SampleConfig.model_validate({"backend": "openai", "model": "policy", **values})

    def stage(self, output: str, *, seed: int = 0) -> Stage[Question]:
        return sample_stage(
            self.config(seed),
            questions=self.questions,
            output=self.folder / output,
            store=self.store,
            forgotten=Forgotten(),
        )

    def count(self) -> int:
        with Store(self.store) as store:
            return store.count(REPLY_KIND)


@pytest.fixture
def sampling(tmp_path: Path) -> Iterator[Sampling]:
    with ChatServer() as server:
        yield Sampling(tmp_path, server)


def test_a_run_that_ends_leaves_the_calls_of_another_on_the_same_store(sampling: Sampling) -> None:
    def run_other() -> None:
        run_in_pieces(sampling.stage("b.jsonl", seed=1), InProcess(), num_actors=2)

    run_in_pieces(sampling.stage("a.jsonl"), Between(run_other), num_actors=2)
    assert sampling.count() == len(sampling.server.asked) == 2 * NUM_CALLS
    names = sorted(path.name for path in sampling.folder.iterdir() if path.suffix != ".json")
    assert names == ["a.jsonl", "b.jsonl", "questions.jsonl", "store.sqlite"]


def test_a_second_run_on_the_same_output_is_refused(sampling: Sampling) -> None:
    def run_again() -> None:
        with pytest.raises(BackendError, match="being written by another process"):
            run_in_pieces(sampling.stage("a.jsonl"), InProcess(), num_actors=2)

    run_in_pieces(sampling.stage("a.jsonl"), Between(run_again), num_actors=2)
    assert len(sampling.server.asked) == NUM_CALLS


@pytest.mark.parametrize("engine", ["pieces", "local"])
def test_calls_of_a_stopped_run_are_used_by_all_others(sampling: Sampling, engine: str) -> None:
    with pytest.raises(BackendError, match="down"):
        run_in_pieces(sampling.stage("a.jsonl"), InProcess(stop_after=4), num_actors=2)
    assert sampling.server.asked
    assert len(find_stores(sampling.folder, sampling.store)) == 4, "forget searches them, too"
    if engine == "pieces":  # another output on the same store
        run_in_pieces(sampling.stage("b.jsonl"), InProcess(), num_actors=2)
    else:
        store = RunStore(path=sampling.store).of_part(None)
        run_sample(
            sampling.config(0),
            questions=sampling.questions,
            output=sampling.folder / "b.jsonl",
            store=store.path,
            also=store.also,
        )
    assert len(sampling.server.asked) == NUM_CALLS
