"""Makes the judge that a config names: the only place where a judge is built from settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annotator.calls.estimate import Estimator
from annotator.calls.store import Store
from annotator.calls.usage import NO_LIMITS, Budget, Limits, Meter
from annotator.calls.useless import UselessReplies
from annotator.judging.config import AnnotateConfig, JudgeName
from annotator.judging.domains.defaults import with_domain
from annotator.judging.domains.domain import Domain, guidance_id, load_domain, render_guidance
from annotator.judging.judge import Judge
from annotator.judging.lexical import LexicalJudge
from annotator.judging.lexical.judge import CACHED_CHARS
from annotator.models.backend import Backend
from annotator.models.prices import FREE, Prices
from schemas.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class _Means:
    """What a judge model needs in addition to its settings."""

    store: Store | None
    meter: Meter
    guidance: str
    estimators: list[Estimator] | None
    documents: Sequence[Path]
    backend: Backend | None
    cached_chars: int


def make_judge(
    config: AnnotateConfig,
    *,
    store: Store | None = None,
    meter: Meter | None = None,
    domain: Domain | None = None,
    estimators: list[Estimator] | None = None,
    documents: Sequence[Path] = (),
    backend: Backend | None = None,
    cached_chars: int = CACHED_CHARS,
) -> Judge:
    """The judge of `config.judge`, built from that judge's own section.

    A judge model keeps its calls in `store`, counts them with `meter`, and reads the guidance of
    `domain` (of the one that `config.domain` names, where None); the other judges need none of
    this. With `estimators`, a judge model makes no calls: it appends an estimator that counts the
    calls it would make. Evidence of recorded verdicts is removed where its text changed in the
    files `documents`. A judge model is called through `backend`, where one is given, which others
    may use at the same time. A lexical judge keeps `cached_chars` characters of documents indexed.
    Raises ConfigError and BackendError where a model, prompts or a file are missing.
    """
    if domain is None and config.domain is not None:
        domain = load_domain(config.domain)
    guidance = ""
    if domain is not None:
        config, guidance = with_domain(config, domain), render_guidance(domain)
    means = _Means(
        store=store,
        meter=meter or Meter(),
        guidance=guidance,
        estimators=estimators,
        documents=documents,
        backend=backend,
        cached_chars=cached_chars,
    )
    return _make(config.judge, config, means)


def _make(name: JudgeName, config: AnnotateConfig, means: _Means) -> Judge:
    match name:
        case "lexical":
            return LexicalJudge(config.lexical, cached_chars=means.cached_chars)
        case "llm":
            from annotator.judging.llm_judge import LlmJudge

            if config.llm is None:
                raise ConfigError("the judge 'llm' needs its section 'llm' with a model")
            if means.store is None:
                raise ConfigError(
                    "the judge 'llm' stores its calls: give it a store (store=Store(FILE))"
                )
            judge = LlmJudge(
                config=config.llm,
                retrieval=config.retrieval,
                splitter=config.text.splitter,
                store=means.store,
                meter=means.meter,
                guidance=means.guidance,
                guidance_id=guidance_id(means.guidance),
                shared=means.backend,
            )
            if means.estimators is None:
                return judge
            from annotator.judging.estimating_judge import EstimatingJudge

            estimating = EstimatingJudge(judge)
            means.estimators.append(estimating.estimator)
            return estimating
        case "replay":
            from annotator.judging.replay_judge import ReplayJudge

            if config.replay is None:
                raise ConfigError("the judge 'replay' needs replay.annotations")
            return ReplayJudge.read(config.replay.annotations, documents=means.documents)
        case "cascade":
            from annotator.judging.cascade_judge import CascadeJudge

            return CascadeJudge(
                config.cascade,
                first=_make(config.cascade.first, config, means),
                second=_make(config.cascade.second, config, means),
            )


def asks_a_model(config: AnnotateConfig) -> bool:
    """Whether the judge of `config` makes calls that are paid for and stored."""
    if config.judge == "cascade":
        return "llm" in (config.cascade.first, config.cascade.second)
    return config.judge == "llm"


def judge_prices(config: AnnotateConfig) -> list[Prices | None]:
    """The prices of the model that the judge of `config` calls; empty where it calls none."""
    return [config.llm.prices] if asks_a_model(config) and config.llm else []


def judge_meter(config: AnnotateConfig, limits: Limits | Budget = NO_LIMITS) -> Meter:
    """The meter of a judge's calls. Raises ConfigError for a limit on cost without prices."""
    (prices,) = judge_prices(config) or [FREE]
    useless = UselessReplies(patience=config.max_useless or None)
    return Meter(prices=prices, limits=limits, section="annotate.llm", useless=useless)
