"""Makes the backend that a config names."""

from __future__ import annotations

from annotator.models.backend import Backend
from annotator.models.config import ModelConfig
from annotator.models.pacing.reports import SharesPace


def make_backend(config: ModelConfig, *, paces: SharesPace | None = None) -> Backend:
    """The backend of `config.backend`; ConfigError or BackendError where it cannot be made.

    `paces` shares the pace of servers with other processes that call them.
    """
    match config.backend:
        case "openai":
            from annotator.models.openai.openai_backend import OpenAIBackend

            return OpenAIBackend(config, paces)
        case "vllm":
            from annotator.models.local.vllm_backend import VllmBackend

            return VllmBackend(config)
        case "transformers":
            from annotator.models.local.transformers_backend import TransformersBackend

            return TransformersBackend(config)
