"""Placeholder until the vllm branch lands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from annotator.generation.backend import Finished, Request, Take
from annotator.generation.config import ModelConfig


class VllmBackend:
    """A model run here by vllm."""

    streams = False

    def __init__(self, config: ModelConfig) -> None:
        self.model = config.model
        raise NotImplementedError

    def fingerprint(self) -> dict[str, Any]:
        """Not yet."""
        raise NotImplementedError

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """Not yet."""
        raise NotImplementedError

    def generate(self, take: Take) -> Iterator[list[Finished]]:
        """Not yet."""
        raise NotImplementedError

    def notes(self) -> list[str]:
        """Not yet."""
        raise NotImplementedError
