"""What users import and type: the Python API below, the command line, and what composes the rest.

The rule: importing this package imports nothing else. A name of the API is imported when it is
first used, so that `maskdpo --help` stays quick. docs/python.md and docs/library.md show how they
are used; nothing else needs to be imported from the other packages.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from annotator.calls.store import Store as Store
    from annotator.calls.usage import Budget as Budget
    from annotator.calls.usage import Limits as Limits
    from annotator.judging.annotator import Annotator as Annotator
    from annotator.judging.config import AnnotateConfig as AnnotateConfig
    from annotator.judging.stream_judge import JudgeProcesses as JudgeProcesses
    from annotator.models.config import SampleConfig as SampleConfig
    from annotator.sampling.sampler import Sampler as Sampler
    from dataset_builder.config import BuildConfig as BuildConfig
    from maskdpo.api.annotate import aannotate as aannotate
    from maskdpo.api.annotate import annotate as annotate
    from maskdpo.api.client.async_client import AsyncClient as AsyncClient
    from maskdpo.api.client.async_client import AsyncJob as AsyncJob
    from maskdpo.api.client.client import Client as Client
    from maskdpo.api.client.client import Job as Job
    from maskdpo.api.client.replies import JobStatus as JobStatus
    from maskdpo.api.files import load_annotations as load_annotations
    from maskdpo.api.files import load_failures as load_failures
    from maskdpo.api.files import save_annotations as save_annotations
    from maskdpo.api.judge import Judge as Judge
    from maskdpo.api.loss import mask_dpo_loss as mask_dpo_loss
    from maskdpo.api.pairs import Pairs as Pairs
    from maskdpo.api.pairs import build_pairs as build_pairs
    from maskdpo.api.pairs import score as score
    from maskdpo.api.results import EvidenceQuote as EvidenceQuote
    from maskdpo.api.results import JudgedResponse as JudgedResponse
    from maskdpo.api.results import JudgedSentence as JudgedSentence
    from maskdpo.api.results import WrongWords as WrongWords
    from maskdpo.api.sentences import split_sentences as split_sentences
    from maskdpo.api.tokens import SideTokens as SideTokens
    from maskdpo.api.tokens import TokenWeigher as TokenWeigher
    from maskdpo.api.tokens import TokenWeights as TokenWeights
    from maskdpo.api.tokens import token_weights as token_weights
    from maskdpo.api.trl import TrlCollator as TrlCollator
    from maskdpo.evaluation.best_of import best_of_n as best_of_n
    from maskdpo.evaluation.factscore.formula import FactScore as FactScore
    from maskdpo.evaluation.factscore.formula import factscore as factscore
    from maskdpo.publishing.dataset import build_dataset as build_dataset
    from schemas import errors as errors
    from schemas import events as events
    from schemas.errors import BackendError as BackendError
    from schemas.errors import ConfigError as ConfigError
    from schemas.errors import InputError as InputError
    from schemas.errors import LimitReachedError as LimitReachedError
    from schemas.errors import MaskDpoError as MaskDpoError
    from schemas.labels import Label as Label
    from schemas.records import Annotation as Annotation
    from schemas.records import Document as Document
    from schemas.records import Failure as Failure
    from schemas.records import Message as Message
    from schemas.records import Pair as Pair
    from schemas.records import Question as Question
    from schemas.records import Response as Response
    from schemas.scores import ResponseScore as ResponseScore

    __version__: str

_NAMES_IN = {
    "annotator.calls.store": "Store",
    "annotator.calls.usage": "Budget Limits",
    "annotator.judging.annotator": "Annotator",
    "annotator.judging.config": "AnnotateConfig",
    "annotator.judging.stream_judge": "JudgeProcesses",
    "annotator.models.config": "SampleConfig",
    "annotator.sampling.sampler": "Sampler",
    "dataset_builder.config": "BuildConfig",
    "maskdpo.api.annotate": "aannotate annotate",
    "maskdpo.api.client.async_client": "AsyncClient AsyncJob",
    "maskdpo.api.client.client": "Client Job",
    "maskdpo.api.client.replies": "JobStatus",
    "maskdpo.api.files": "load_annotations load_failures save_annotations",
    "maskdpo.api.judge": "Judge",
    "maskdpo.api.loss": "mask_dpo_loss",
    "maskdpo.api.pairs": "Pairs build_pairs score",
    "maskdpo.api.results": "EvidenceQuote JudgedResponse JudgedSentence WrongWords",
    "maskdpo.api.sentences": "split_sentences",
    "maskdpo.api.tokens": "SideTokens TokenWeigher TokenWeights token_weights",
    "maskdpo.api.trl": "TrlCollator",
    "maskdpo.evaluation.best_of": "best_of_n",
    "maskdpo.evaluation.factscore.formula": "FactScore factscore",
    "maskdpo.publishing.dataset": "build_dataset",
    "schemas.errors": "BackendError ConfigError InputError LimitReachedError MaskDpoError",
    "schemas.labels": "Label",
    "schemas.records": "Annotation Document Failure Message Pair Question Response",
    "schemas.scores": "ResponseScore",
}
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names.split()}
_SUBMODULES = {"errors": "schemas.errors", "events": "schemas.events"}

__all__ = [  # noqa: PLE0604  # names of _NAMES_IN, which a test compares with the imports above
    "__version__",
    *sorted(_MODULE_OF),
    *_SUBMODULES,
]


if not TYPE_CHECKING:  # otherwise a type checker would accept every misspelt name

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("maskdpo")
        if name not in _MODULE_OF and name not in _SUBMODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from maskdpo.shadows import refuse_shadows

        refuse_shadows()
        found = (
            import_module(_SUBMODULES[name])
            if name in _SUBMODULES
            else getattr(import_module(_MODULE_OF[name]), name)
        )
        globals()[name] = found  # so that the next use is as quick as any other name's
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
