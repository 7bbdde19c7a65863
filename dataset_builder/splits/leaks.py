"""Which training questions are too similar to a test or evaluation question.

The rule: a question is dropped, never moved, and `test` never changes; so a question's split still
depends only on its topic. The result depends on the prompts of all shards, not on their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_builder.config import BuildConfig
from dataset_builder.input_index import InputIndex
from dataset_builder.splits.evaluation_questions import EvaluationQuestions
from dataset_builder.splits.near_duplicates import NearDuplicates
from dataset_builder.splits.prompt_template import learn_template, sample_prompts, shared_contents
from dataset_builder.splits.prompt_text import prompt_text
from dataset_builder.splits.splits import Split, split_of
from dataset_builder.unused import Unused
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Question

FindLeak = Callable[[Sequence[Annotation]], Unused | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class LeakFinder:
    """Gives the reason why a training question must be dropped, or None; other processes can be
    given it once the scratch database is shared."""

    kept: EvaluationQuestions
    near: NearDuplicates | None

    def __call__(self, responses: Sequence[Annotation]) -> Unused | None:
        """The reason for the responses to one question."""
        for text in sorted({prompt_text(row.prompt) for row in responses}):
            if self.kept.has(text):
                return Unused.IN_EVALUATION
            if self.near is not None and self.near.has(text):
                return Unused.NEAR_DUPLICATE
        return None


def make_leak_finder(
    config: BuildConfig, index: InputIndex, evaluation_questions: Sequence[Path]
) -> LeakFinder:
    """The finder of leaks for the prompts of an index."""
    prompts = index.prompts
    sample: list[tuple[str, str]] = []
    if config.near_duplicate or evaluation_questions:
        sample = sample_prompts(prompts.all)
    template = learn_template(sample)
    near = None
    if config.near_duplicate:
        near = NearDuplicates(index.scratch, threshold=config.near_duplicate, template=template)
        near.add_all(
            text
            for question_id, topic, text in prompts.all()
            if split_of(
                topic=topic,
                question_id=question_id,
                seed=config.seed,
                test_share=config.test_share,
            )
            is Split.TEST
        )
    kept = EvaluationQuestions(
        index.scratch,
        num_words=config.decontaminate_words,
        template=template,
        shared=shared_contents(sample, template) if evaluation_questions else frozenset(),
    )
    for path in evaluation_questions:
        for question in read_records(path, Question):
            kept.add(prompt_text(question.messages))
    return LeakFinder(kept=kept, near=near)
