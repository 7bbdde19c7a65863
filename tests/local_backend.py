"""A backend that answers in batches, as a local model does, without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from annotator.models.backend import Finished, Reply, Request, Take
from annotator.models.served_model import ServedModel


class EchoBackend:
    """Answers each message with itself and "!", `batch_size` at a time; remembers its batches."""

    model = "echo"
    streams = False
    on_step: Callable[[int], None]

    def __init__(self, *, batch_size: int = 4) -> None:
        self.groups: list[list[Request]] = []
        self._batch_size = batch_size
        self.on_step = lambda step: None

    def fingerprint(self) -> dict[str, Any]:
        return {"backend": "echo"}

    def identify(self) -> list[ServedModel]:
        return []

    def notes(self) -> list[str]:
        return []

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        size = self._batch_size
        return [list(requests[start : start + size]) for start in range(0, len(requests), size)]

    def generate(self, take: Take) -> Iterator[list[Finished]]:
        while groups := take(1):
            (group,) = groups
            self.groups.append(list(group))
            for step in (1, 2):
                self.on_step(step)
            yield [
                (
                    request,
                    Reply(
                        text=f"{request.messages[-1].content}!",
                        finish_reason="stop",
                        prompt_tokens=3,
                        completion_tokens=2,
                    ),
                )
                for request in group
            ]
