"""How well a judge agrees with people, sentence by sentence.

The rules of the count, the same for a judge and for the lines beside it:

- a sentence is hallucinated or it is not. People's `no_fact` counts as not hallucinated, and so
  does a judge's: what says nothing checkable invents nothing;
- sentences people left undetermined are left out altogether;
- a judge's `undetermined` is neither right nor wrong. It lowers `coverage`, the share of
  people's sentences that the judge decided, and every other figure is over those decided;
- intervals resample groups (the topic, else the question), never single sentences: sentences
  about one source text are not independent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from annotator.judging.baselines import OverlapJudge
from annotator.judging.judge import Judge, JudgeFailure, JudgeTask
from schemas.errors import InputError
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import Annotation, Document

if TYPE_CHECKING:
    import numpy as np

_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Figures of one line; None where a figure is not defined.

    balanced_accuracy  mean of the recalls of both classes; None unless both occur among the
                       decided sentences
    f1_hallucinated    F1 of the hallucinated class; None when neither side names any
    kappa              Cohen's kappa; None when chance alone would agree always
    coverage           share of people's sentences that were decided; None without any sentence
    low, high          95% interval of the balanced accuracy; None with fewer than two groups, or
                       when fewer than half of the resamples hold both classes
    """

    balanced_accuracy: float | None
    balanced_accuracy_low: float | None
    balanced_accuracy_high: float | None
    f1_hallucinated: float | None
    kappa: float | None
    coverage: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AgreementReport:
    """A judge against people's labels, with the lines that cost nothing beside it.

    num_sentences, num_responses and num_groups count what people labelled; baselines are
    `majority` (always the more frequent class) and `overlap` (plain coverage, one threshold).
    """

    judge: str
    num_sentences: int
    num_hallucinated: int
    num_responses: int
    num_groups: int
    agreement: Agreement
    baselines: dict[str, Agreement]

    def to_dict(self) -> dict[str, Any]:
        """One flat JSON object; the baselines are nested under their names."""
        values = {name: getattr(self, name) for name in self.__slots__}
        del values["agreement"], values["baselines"]
        lines = {name: asdict(line) for name, line in self.baselines.items()}
        return values | asdict(self.agreement) | {"baselines": lines}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Decision:
    """One sentence people labelled; `judged` is None where the judge did not decide."""

    group: str
    gold: bool
    judged: bool | None


def measure_agreement(
    gold: Sequence[Annotation],
    documents: Sequence[Document],
    judge: Judge,
    *,
    seed: int = 0,
    num_resamples: int = 2000,
) -> AgreementReport:
    """Judge every response of `gold` and compare with its labels (rules: the module's docstring).

    The judge is given the people's own sentences. Raises InputError when an annotation names a
    document that is not among `documents`. One class only, nothing decided, nothing labelled:
    figures that are then undefined are None.
    """
    tasks = _make_tasks(gold, documents)
    decisions = _compare(gold, tasks, judge)
    majority_is_hallucinated = 2 * sum(item.gold for item in decisions) > len(decisions)
    majority = [
        _Decision(group=item.group, gold=item.gold, judged=majority_is_hallucinated)
        for item in decisions
    ]
    overlap = _compare(gold, tasks, OverlapJudge())
    labelled = [item for item in gold if any(map(_is_labelled, _labels(item)))]
    return AgreementReport(
        judge=judge.name,
        num_sentences=len(decisions),
        num_hallucinated=sum(item.gold for item in decisions),
        num_responses=len(labelled),
        num_groups=len({_group(item) for item in labelled}),
        agreement=_summarise(decisions, seed=seed, num_resamples=num_resamples),
        baselines={
            "majority": _summarise(majority, seed=seed, num_resamples=num_resamples),
            "overlap": _summarise(overlap, seed=seed, num_resamples=num_resamples),
        },
    )


def _make_tasks(gold: Sequence[Annotation], documents: Sequence[Document]) -> list[JudgeTask]:
    by_id = {document.id: document for document in documents}
    tasks = []
    for annotation in gold:
        unknown = [name for name in annotation.document_ids if name not in by_id]
        if unknown:
            message = f"names document {unknown[0]!r}, which is not among the documents"
            raise InputError.of(f"annotation {annotation.id!r}", message)
        tasks.append(
            JudgeTask(
                response=annotation,
                sentences=[(item.start, item.end) for item in annotation.sentences],
                documents=[by_id[name] for name in annotation.document_ids],
            )
        )
    return tasks


def _compare(
    gold: Sequence[Annotation], tasks: Sequence[JudgeTask], judge: Judge
) -> list[_Decision]:
    """People's labelled sentences with what the judge says of each, in the order of `gold`."""
    judged: dict[str, list[Label]] = {}
    for batch in judge.judge(tasks):
        for task, outcome in batch:
            if isinstance(outcome, JudgeFailure):
                judged[task.response.id] = [Label.UNDETERMINED] * len(task.sentences)
            else:
                judged[task.response.id] = [verdict.label for verdict in outcome]
    return [
        _Decision(
            group=_group(annotation),
            gold=person in HALLUCINATED_LABELS,
            judged=label in HALLUCINATED_LABELS if _is_labelled(label) else None,
        )
        for annotation in gold
        for person, label in zip(_labels(annotation), judged[annotation.id], strict=True)
        if _is_labelled(person)
    ]


def _labels(annotation: Annotation) -> list[Label]:
    return [sentence.verdict.label for sentence in annotation.sentences]


def _is_labelled(label: Label) -> bool:
    return label is not Label.UNDETERMINED


def _group(annotation: Annotation) -> str:
    return annotation.topic or annotation.question_id


def _summarise(decisions: Sequence[_Decision], *, seed: int, num_resamples: int) -> Agreement:
    decided = [item for item in decisions if item.judged is not None]
    counts = _count_by_group(decided)
    total = counts.sum(axis=0)
    low, high = _bootstrap(counts, seed=seed, num_resamples=num_resamples)
    return Agreement(
        balanced_accuracy=_balanced_accuracy(*total.tolist()),
        balanced_accuracy_low=low,
        balanced_accuracy_high=high,
        f1_hallucinated=_f1(*total.tolist()),
        kappa=_kappa(*total.tolist()),
        coverage=len(decided) / len(decisions) if decisions else None,
    )


def _count_by_group(decided: Sequence[_Decision]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[G, 4]: true positives, false negatives, false positives, true negatives a group."""
    import numpy as np

    column = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}
    rows: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for item in decided:
        if item.judged is not None:
            rows[item.group][column[item.gold, item.judged]] += 1
    return np.array(list(rows.values()), dtype=np.int64).reshape(-1, 4)


def _balanced_accuracy(tp: int, fn: int, fp: int, tn: int) -> float | None:
    if not tp + fn or not fp + tn:
        return None
    return (tp / (tp + fn) + tn / (fp + tn)) / 2


def _f1(tp: int, fn: int, fp: int, tn: int) -> float | None:
    return 2 * tp / (2 * tp + fn + fp) if tp + fn + fp else None


def _kappa(tp: int, fn: int, fp: int, tn: int) -> float | None:
    total = tp + fn + fp + tn
    if not total:
        return None
    by_chance = ((tp + fn) * (tp + fp) + (fp + tn) * (fn + tn)) / total**2
    return ((tp + tn) / total - by_chance) / (1 - by_chance) if by_chance < 1 else None


def _bootstrap(
    counts: np.ndarray[Any, np.dtype[np.int64]], *, seed: int, num_resamples: int
) -> tuple[float | None, float | None]:
    """Percentile interval of the balanced accuracy over resampled groups."""
    import numpy as np

    num_groups = len(counts)
    if num_groups < 2:
        return None, None
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(num_groups, np.full(num_groups, 1 / num_groups), num_resamples)
    tp, fn, fp, tn = (draws @ counts).T
    whole = (tp + fn > 0) & (fp + tn > 0)
    if 2 * whole.sum() < num_resamples:
        return None, None
    recalls = tp[whole] / (tp + fn)[whole], tn[whole] / (fp + tn)[whole]
    low, high = np.percentile((recalls[0] + recalls[1]) / 2, _INTERVAL)
    return float(low), float(high)
