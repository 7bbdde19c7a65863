"""Replies from a local model, in fixed batches, through `transformers`.

The rule: the batches are cut from all requests (by prompt length, then input order) before the
store is read, and each row samples from its own random stream. A reply therefore depends on its
request and, through the last bits of floating point, on its planned batch; a rerun plans the same
batches, so it makes the same bytes.

Nothing of a model folder is executed (`trust_remote_code` off) and only safetensors are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.models.backend import (
    Decoding,
    Finished,
    Outcome,
    Reply,
    Request,
    RequestFailure,
    Take,
)
from annotator.models.config import ModelConfig
from annotator.models.local.chat_prompts import Prompt, PromptRenderer
from annotator.models.local.model_files import digest_model, locate_model
from annotator.models.local.model_loading import (
    choose_device,
    choose_dtype,
    end_tokens,
    load_network,
)
from annotator.models.local.row_noise import RowNoise
from annotator.models.reasoning import split_reasoning
from annotator.models.served_model import ServedModel
from schemas.errors import BackendError
from schemas.packages import missing_packages

if TYPE_CHECKING:
    import torch

# Part of the content key: increase it when the way of sampling a reply changes.
SAMPLER_VERSION = 1


class TransformersBackend:
    """A local folder or Hub model. The first `generate` with work loads the weights."""

    streams = False

    def __init__(self, config: ModelConfig) -> None:
        """Find the model; ConfigError or BackendError when it cannot be loaded."""
        _require_packages()
        self.on_step: Callable[[int], None] = _ignore
        self._config = config
        self._folder = locate_model(config.model, config.revision)
        is_local = Path(config.model).expanduser().is_dir()
        # Rows contain no folder of this machine; the sidecar's digest identifies the model.
        self.model = self._folder.resolve().name if is_local else config.model
        self._device = choose_device(config.device)
        self._dtype = choose_dtype(config.dtype, self._device, self._folder)
        self._prompts = PromptRenderer(
            self._folder, model=self.model, template_kwargs=config.chat_template_kwargs
        )

    def fingerprint(self) -> dict[str, Any]:
        """Weights, tokenizer and template by content; number type; template variables."""
        return {
            "backend": "transformers",
            "model_sha256": self._digest,
            "dtype": self._dtype,
            "chat_template_kwargs": self._config.chat_template_kwargs,
            "sampler_version": SAMPLER_VERSION,
        }

    @cached_property
    def _digest(self) -> str:
        return digest_model(self._folder)

    def identify(self) -> list[ServedModel]:
        """The model's name and the digest of its files."""
        return [
            ServedModel(id=self.model, content_sha256=self._digest, revision=self._config.revision)
        ]

    def notes(self) -> list[str]:
        """A note on what the chat template did not accept."""
        return self._prompts.notes()

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """Batches of `batch_size` by prompt length, with equal sampling settings; requests that
        cannot run are alone.

        A request that will fail must not share a batch: its batch would never be complete, and
        every rerun would generate it again. The renderings of earlier calls are dropped.
        """
        self._prompts.forget()
        sound: defaultdict[tuple[float, float, int], list[tuple[int, int]]] = defaultdict(list)
        groups: list[list[Request]] = []
        for position, request in enumerate(requests):
            prompt = self._prompts.render(request)
            if isinstance(prompt, RequestFailure):
                groups.append([request])
            else:
                drawn = request.decoding
                alike = (drawn.temperature, drawn.top_p, drawn.max_tokens)
                sound[alike].append((len(prompt[1]), position))
        size = self._config.batch_size
        for alike in sorted(sound):
            ordered = [requests[position] for _, position in sorted(sound[alike])]
            groups += [ordered[start : start + size] for start in range(0, len(ordered), size)]
        return groups

    def generate(self, take: Take) -> Iterator[list[Finished]]:
        """Yield each planned group as a whole."""
        while groups := take(1):
            (group,) = groups
            outcomes: list[Outcome] = []
            prompts: list[Prompt] = []
            for request in group:
                prompt = self._prompts.render(request)
                if isinstance(prompt, RequestFailure):
                    outcomes.append(prompt)
                else:
                    prompts.append(prompt)
            if prompts:
                seeds = [request.seed for request in group]
                replies = self._run_batch(prompts, seeds, group[0].decoding)
                # Unfit requests are alone (see `plan`), so replies are those of the whole group.
                outcomes += [
                    replace(reply, system_in_user=self._prompts.is_folded(request))
                    for reply, request in zip(replies, group, strict=True)
                ]
            yield list(zip(group, outcomes, strict=True))

    def _run_batch(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], decoding: Decoding
    ) -> list[Reply]:
        import torch
        from transformers import LogitsProcessorList

        network = self._network
        inputs_BT, mask_BT = self._pad_left([tokens for _, tokens in prompts])
        width = inputs_BT.shape[1]
        processors = LogitsProcessorList([_Steps(self.on_step)])
        if decoding.temperature > 0.0:
            noise = RowNoise(
                seeds=seeds,
                prompt_size=width,
                temperature=decoding.temperature,
                top_p=decoding.top_p,
            )
            processors.append(noise)
        try:
            with torch.inference_mode():
                output_BT = network.generate(
                    inputs_BT,
                    attention_mask=mask_BT,
                    logits_processor=processors,
                    max_new_tokens=decoding.max_tokens,
                )
        except torch.OutOfMemoryError:
            raise BackendError(
                f"{self._device} ran out of memory with batch_size={self._config.batch_size}; "
                "lower batch_size or max_tokens and rerun to continue"
            ) from None
        rows = output_BT[:, width:].tolist()
        return [self._read_row(row, prompt) for row, prompt in zip(rows, prompts, strict=True)]

    def _pad_left(self, rows: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and mask, both [B, T], with every prompt ending in the last column."""
        import torch

        width = max(map(len, rows))
        ids = [[self._pad_token] * (width - len(row)) + row for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        return (
            torch.tensor(ids, device=self._device),
            torch.tensor(mask, device=self._device),
        )

    def _read_row(self, row: list[int], prompt: Prompt) -> Reply:
        """A reply ends before its first end token; without one it reached max_tokens."""
        prompt_text, prompt_tokens = prompt
        end = next((at for at, token in enumerate(row) if token in self._end_tokens), None)
        text = self._prompts.tokenizer.decode(
            row[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        template = str(self._prompts.tokenizer.chat_template)
        reasoning, answer = split_reasoning(text, prompt=prompt_text, template=template)
        return Reply(
            text=answer,
            reasoning=reasoning,
            finish_reason="length" if end is None else "stop",
            prompt_tokens=len(prompt_tokens),
            completion_tokens=len(row) if end is None else end + 1,
        )

    @cached_property
    def _end_tokens(self) -> list[int]:
        return end_tokens(self._folder, self._prompts.tokenizer)

    @cached_property
    def _pad_token(self) -> int:
        """Any id will do: padding is masked before the prompt and cut off after the end."""
        padding = self._prompts.tokenizer.pad_token_id
        return self._end_tokens[0] if padding is None else int(padding)

    @cached_property
    def _network(self) -> Any:
        from transformers import GenerationConfig

        network = load_network(self._folder, self._dtype, self._device)
        # Only our processor: a model's default repetition penalty or top-k would change the
        # sampling.
        network.generation_config = GenerationConfig(
            do_sample=False,
            eos_token_id=self._end_tokens,
            pad_token_id=self._pad_token,
        )
        return network


class _Steps:
    """A logits processor that changes nothing and reports each step of one batch."""

    def __init__(self, on_step: Callable[[int], None]) -> None:
        self._on_step = on_step
        self._step = 0

    def __call__(self, input_ids_BT: torch.Tensor, scores_BV: torch.Tensor) -> torch.Tensor:
        self._step += 1
        self._on_step(self._step)
        return scores_BV


def _ignore(step: int) -> None:
    """Does nothing: no listener."""


def _require_packages() -> None:
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ModuleNotFoundError as error:
        missing = [error.name or "transformers"]
        raise missing_packages(missing, needed_for="sampling from a local model") from None
