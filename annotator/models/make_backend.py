"""Makes the backend that a config names."""

from __future__ import annotations

from annotator.models.backend import Backend
from annotator.models.config import ModelConfig


def make_backend(config: ModelConfig) -> Backend:
    """The backend of `config.backend`; ConfigError or BackendError where it cannot be made."""
    match config.backend:
        case "openai":
            from annotator.models.openai.openai_backend import OpenAIBackend

            return OpenAIBackend(config)
        case "vllm":
            from annotator.models.local.vllm_backend import VllmBackend

            return VllmBackend(config)
        case "transformers":
            from annotator.models.local.transformers_backend import TransformersBackend

            return TransformersBackend(config)
