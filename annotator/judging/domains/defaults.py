"""Settings of the section `annotate` that a domain gives: only those that the user has not set."""

from __future__ import annotations

from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.domain import Domain, load_domain
from annotator.text.config import RetrievalConfig, TextConfig


def with_domain(config: AnnotateConfig, domain: Domain | None = None) -> AnnotateConfig:
    """`config` with the defaults of its domain: language, splitter, retrieval, prompt language.

    `domain` is used instead of the one that `config.domain` names. Without either, `config` is
    returned unchanged; one that already has the defaults is returned equal. Raises ConfigError for
    a domain that is missing or invalid.
    """
    if domain is None:
        if config.domain is None:
            return config
        domain = load_domain(config.domain)
    text = {
        "language": domain.language,
        **domain.text.model_dump(exclude_unset=True),
        **config.text.model_dump(exclude_unset=True),
    }
    retrieval = {
        **domain.retrieval.model_dump(exclude_unset=True),
        **config.retrieval.model_dump(exclude_unset=True),
    }
    changes: dict[str, object] = {
        "text": TextConfig.model_validate(text),
        "retrieval": RetrievalConfig.parse(
            retrieval, where=f"annotate.retrieval over domain {domain.name!r}"
        ),
    }
    if config.llm is not None and "prompt_language" not in config.llm.model_fields_set:
        language = {"prompt_language": domain.prompt_language}
        changes["llm"] = config.llm.model_copy(update=language)
    return config.model_copy(update=changes)
