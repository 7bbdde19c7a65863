"""From samples to preference models: labels, data sets and one run per method.

The rule: all methods train on the same pairs, in the same number of steps, at the same rate; only
the tokens that train differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample
from dataset_builder.build import load_pairs, run_build
from dataset_builder.config import BuildConfig, Granularity, Strategy
from maskdpo.study.real.belief import count_sentences
from maskdpo.study.real.config import RealConfig
from maskdpo.study.world.people import World
from maskdpo.study.world.truth import label_response
from schemas.errors import BackendError
from schemas.events import OnEvent, ignore
from schemas.files.jsonl import read_records, write_records
from schemas.records import Annotation, Question, Response
from trainer.config import LoraSettings, TrainConfig
from trainer.run import run_train

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A preference run: the pairs' granularity and which tokens train."""

    granularity: Granularity
    use_spans: bool
    eos: Literal["neither", "both"]
    description: str


METHODS: Mapping[str, Method] = {
    "dpo": Method(
        granularity=Granularity.SENTENCE,
        use_spans=False,
        eos="both",
        description="stock DPO: every token of both answers trains",
    ),
    "mask_dpo": Method(
        granularity=Granularity.SENTENCE,
        use_spans=True,
        eos="neither",
        description="sentence masks: the true sentences of the better answer and the wrong ones "
        "of the worse answer train",
    ),
    "span": Method(
        granularity=Granularity.SPAN,
        use_spans=True,
        eos="neither",
        description="span masks: of a wrong sentence, only the wrong words train",
    ),
}


def sample_and_label(
    model: Path,
    questions: list[Question],
    world: World,
    config: RealConfig,
    *,
    output: Path,
    num_responses: int,
    seed: int,
    device: Device,
    on_event: OnEvent = ignore,
) -> dict[str, Any]:
    """Write `responses.jsonl` and `annotations.jsonl` into `output`; returns counts of sentences.

    A killed run continues: replies are kept in `store.sqlite`.
    """
    output.mkdir(parents=True, exist_ok=True)
    write_records(output / "questions.jsonl", questions)
    sample = SampleConfig(
        model=str(model),
        num_responses=num_responses,
        temperature=1.0,
        max_tokens=config.max_tokens,
        seed=seed,
        batch_size=config.batch_size,
        dtype=config.dtype,
        device=device,
    )
    result = run_sample(
        sample,
        questions=output / "questions.jsonl",
        output=output / "responses.jsonl",
        store=output / "store.sqlite",
        on_event=on_event,
    )
    if result.fatal or result.failures:
        raise BackendError(f"{model}: {result.fatal or result.failures[0].detail}")
    responses = read_records(output / "responses.jsonl", Response)
    annotations = [label_response(world, response) for response in responses]
    write_records(output / "annotations.jsonl", annotations)
    return {"responses": len(responses), **count_sentences(annotations)}


def build_datasets(annotations: Path, output: Path, config: RealConfig) -> dict[str, Any]:
    """Write one data set folder per granularity, of the same pairs; returns their number."""
    numbers = set()
    for granularity in {method.granularity for method in METHODS.values()}:
        settings = BuildConfig(
            granularity=granularity,
            strategy=Strategy.ABOVE_MARGIN,
            max_pairs=config.preference.max_pairs,
            test_share=0.0,
            near_duplicate=0.0,
        )
        folder = output / granularity.value
        run_build(settings, annotations=annotations, output=folder)
        numbers.add(len(load_pairs(folder, "train")))
    if len(numbers) > 1:
        raise BackendError(f"{output}: the data sets have different numbers of pairs: {numbers}")
    return {"pairs": numbers.pop()}


def train_method(
    name: str,
    base: Path,
    datasets: Path,
    output: Path,
    config: RealConfig,
    *,
    seed: int,
    device: Device,
) -> dict[str, Any]:
    """Train one method to the model folder `output`; returns steps and notes.

    seed   of the LoRA's initial weights and of the order of pairs
    """
    method, settings = METHODS[name], config.preference
    train = TrainConfig(
        model=str(base),
        use_spans=method.use_spans,
        eos=method.eos,
        beta=settings.beta,
        learning_rate=settings.learning_rate,
        lr_scheduler="constant_with_warmup",
        warmup_ratio=0.1,
        max_steps=settings.steps,
        batch_size=settings.batch_size,
        max_length=256,
        layout="padded",  # to find a quicker one takes as long as four steps at these lengths
        lora=LoraSettings(rank=settings.rank, alpha=2 * settings.rank),
        dtype=config.dtype,
        device=device,
        seed=seed,
        evaluate="no",
        save="steps",
        save_steps=8,
        logging_steps=2,
        reference_dir=output.parent / "reference",
        progress=False,
    )
    result = run_train(train, dataset=datasets / method.granularity.value, output=output)
    return {"steps": result.counts["steps"], "notes": list(result.notes)}


def read_annotations(folder: Path) -> list[Annotation]:
    """The labelled responses that `sample_and_label` wrote."""
    return read_records(folder / "annotations.jsonl", Annotation)
