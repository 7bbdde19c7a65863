"""Preference pairs from judged responses, and the score of judged responses.

The rule: selection, weights and scores are those of `maskdpo build` and `maskdpo evaluate`; every
response is in a pair or counted under a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from dataset_builder.build import build_pairs as build
from dataset_builder.config import BuildConfig
from dataset_builder.unused import EXPLANATIONS
from maskdpo.api.given import read_iterable
from maskdpo.api.inputs import GIVE_IDS, refuse_equal_ids
from maskdpo.api.results import JudgedResponse
from schemas.errors import ConfigError, InputError
from schemas.records import Annotation, Failure, Pair
from schemas.scores import ResponseScore, score_labels
from schemas.text.counted import count_of
from schemas.validation import show_value

AnnotationLike = JudgedResponse | Annotation | Failure


@dataclass(frozen=True, kw_only=True, repr=False)
class Pairs(Sequence[Pair]):
    """Preference pairs in the order of their questions; a slice has the same type.

    unused         the reason why a response is in no pair, by its id (docs/dataset-format.md)
    num_responses  number of judged responses that were given
    num_failures   number of failures that were given, which were not judged
    """

    pairs: tuple[Pair, ...]
    unused: Mapping[str, str]
    num_responses: int
    num_failures: int

    @property
    def counts(self) -> dict[str, int]:
        """How many responses are in no pair, by reason; the most frequent first."""
        return dict(Counter(self.unused.values()).most_common())

    def explain(self) -> list[str]:
        """One sentence per reason."""
        known = {str(reason): text for reason, text in EXPLANATIONS.items()}
        return [f"{count} x {reason}: {known[reason]}" for reason, count in self.counts.items()]

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> Pairs: ...
    def __getitem__(self, index: int | slice) -> Pair | Pairs:
        if isinstance(index, slice):
            return replace(self, pairs=self.pairs[index])
        return self.pairs[index]

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def summary(self) -> str:
        """How many pairs there are, from how many responses, and why the rest are in none."""
        left = ", ".join(f"{count} {reason}" for reason, count in self.counts.items())
        rest = f"; in no pair: {left}" if left else ""
        return (
            f"{count_of(len(self), 'pair')} from {count_of(self.num_responses, 'response')}{rest}"
        )

    def __repr__(self) -> str:
        return f"Pairs({self.summary})"

    def __str__(self) -> str:
        from maskdpo.api.shown import text_of_pairs

        return text_of_pairs(self.pairs) if self.pairs else self.summary

    def _repr_html_(self) -> str:
        from maskdpo.api.shown import html_of_pairs

        return html_of_pairs(self.pairs, self.summary)


def build_pairs(
    annotations: Iterable[AnnotationLike], config: BuildConfig | Mapping[str, Any] | None = None
) -> Pairs:
    """Select and weigh pairs among the responses to each question, as `maskdpo build` does.

    annotations   results of `annotate` or `load_annotations`, or Annotation records
    config        a BuildConfig, or its settings by name, such as {"strategy": "mirrored"}

    Splits, near-duplicates and files are left to `maskdpo build`. Raises ConfigError for a wrong
    setting, InputError where two responses have one id.
    """
    settings = _read_config(config)
    if not isinstance(annotations, Iterable):
        raise ConfigError(
            f"annotations is {show_value(annotations)}, but it must be a list of what "
            "maskdpo.annotate returns: a pair is made of two responses to one question"
        )
    rows, failures = _split(annotations)
    refuse_equal_ids(rows, name="annotations", advice=GIVE_IDS)
    built = build(rows, settings)
    return Pairs(
        pairs=tuple(built.pairs),
        unused={name: str(reason) for name, reason in built.unused.items()},
        num_responses=len(rows),
        num_failures=len(failures),
    )


def score(annotations: AnnotationLike | Iterable[AnnotationLike]) -> ResponseScore:
    """Counts of sentences over one response or many, with `score`, `coverage` and `anah`.

    `score` is correct / (correct + hallucinated), 0 to 1: None, not 0, where no sentence was
    decided. A `Failure` has no sentences and is not counted. Raises InputError for anything else.
    """
    rows, _ = _split(annotations)
    total = ResponseScore()
    for row in rows:
        total += score_labels(sentence.verdict.label for sentence in row.sentences)
    return total


def _read_config(config: BuildConfig | Mapping[str, Any] | None) -> BuildConfig:
    if isinstance(config, BuildConfig):
        return config
    if config is None or isinstance(config, Mapping):
        return BuildConfig.parse(config or {}, where="maskdpo.build_pairs")
    raise ConfigError(
        f"config is {show_value(config)}, but it must be a maskdpo.BuildConfig, or settings by "
        'name, such as {"strategy": "mirrored"}'
    )


def _split(given: object) -> tuple[list[Annotation], list[Failure]]:
    rows: list[Annotation] = []
    failures: list[Failure] = []
    for item in read_annotations(given):
        if isinstance(item, Failure):
            failures.append(item)
        else:
            rows.append(item)
    return rows, failures


def read_annotations(given: object) -> Iterator[Annotation | Failure]:
    """The records of judged responses, one at a time.

    Raises ConfigError at once for what holds none, InputError for an item that is none.
    """
    wanted = "a list of results of maskdpo.annotate, or what it returns for many responses"
    if isinstance(given, JudgedResponse | Annotation | Failure):
        given = [given]
    return _read_each(read_iterable("annotations", given, wanted=wanted))


def _read_each(items: Iterable[object]) -> Iterator[Annotation | Failure]:
    for at, item in enumerate(items):
        if isinstance(item, JudgedResponse):
            yield item.record
        elif isinstance(item, Annotation | Failure):
            yield item
        else:
            raise InputError.of(
                f"annotations[{at}]",
                f"is {show_value(item)}, but it must be a result of maskdpo.annotate or a "
                "maskdpo.Annotation",
            )
