"""Makes the judge that a config names: the one place where settings become a judge."""

from __future__ import annotations

from annotator.generation.usage import Meter
from annotator.judging.config import AnnotateConfig, JudgeName
from annotator.judging.judge import Judge
from annotator.judging.lexical import LexicalJudge
from annotator.store import Store
from schemas.errors import ConfigError


def make_judge(
    config: AnnotateConfig, *, store: Store | None = None, meter: Meter | None = None
) -> Judge:
    """The judge of `config.judge`, built from that judge's own section.

    A judge model keeps its calls in `store` and counts them with `meter`; the others need
    neither. Raises ConfigError and BackendError where a model, prompts or a file are missing.
    """
    return _make(config.judge, config, store, meter or Meter())


def _make(name: JudgeName, config: AnnotateConfig, store: Store | None, meter: Meter) -> Judge:
    match name:
        case "lexical":
            return LexicalJudge(config.lexical)
        case "llm":
            from annotator.judging.llm_judge import LlmJudge

            if store is None or config.llm is None:
                raise ConfigError("the judge 'llm' needs its section and a store for its calls")
            return LlmJudge(config=config.llm, store=store, meter=meter)
        case "replay":
            from annotator.judging.recorded import RecordedJudge

            if config.replay is None:
                raise ConfigError("the judge 'replay' needs replay.annotations")
            return RecordedJudge.read(config.replay.annotations)
        case "cascade":
            from annotator.judging.cascade import CascadeJudge

            return CascadeJudge(
                config.cascade,
                first=_make(config.cascade.first, config, store, meter),
                second=_make(config.cascade.second, config, store, meter),
            )


def asks_a_model(config: AnnotateConfig) -> bool:
    """Whether the judge of `config` makes calls that are paid for and kept in a store."""
    if config.judge == "cascade":
        return "llm" in (config.cascade.first, config.cascade.second)
    return config.judge == "llm"
