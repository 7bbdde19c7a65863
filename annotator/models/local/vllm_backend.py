"""Replies from a model run in this process by `vllm`, in fixed batches.

The rule: the batches are cut from all requests in input order before the store is read, and each
request has its own seed. Input order, because requests that share a document are then together and
use the prefix cache; vllm itself mixes long and short ones.

Nothing of a model folder is executed (`trust_remote_code` off) and only safetensors are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
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
from annotator.models.detail_line import detail_line
from annotator.models.local.chat_prompts import PromptRenderer
from annotator.models.local.model_files import digest_model, locate_model
from annotator.models.local.model_loading import choose_device, choose_dtype
from annotator.models.openai.completion import FINISH_REASONS
from annotator.models.reasoning import split_reasoning
from annotator.models.served_model import ServedModel
from schemas.errors import BackendError, ConfigError
from schemas.packages import require

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput, SamplingParams

# Part of the content key: increase it when the way of sampling a reply changes.
SAMPLER_VERSION = 1

# Engine arguments that a config must not set, and why.
REFUSED_ENGINE = {
    "trust_remote_code": "no code of a model folder is run",
    "logits_processors": "no code named in a config is run",
    "worker_cls": "no code named in a config is run",
    "worker_extension_cls": "no code named in a config is run",
    "scheduler_cls": "no code named in a config is run",
    "load_format": "only safetensors are read",
    "model": "it is `model` itself",
    "tokenizer": "the model's own is used, so that its content is in the store's key",
    "revision": "it is `revision` itself",
    "tokenizer_revision": "the model's own tokenizer is used",
    "dtype": "it is `dtype` itself",
    "seed": "it is `seed` itself",
    "chat_template": "the model's own is used, so that its content is in the store's key",
}
# Engine arguments that affect speed and devices, not replies: not part of the content key. A longer
# context only lets more requests run. All others count, known or not.
PLACEMENT_ENGINE = frozenset(
    "async_scheduling block_size cpu_offload_gb disable_custom_all_reduce disable_log_stats "
    "distributed_executor_backend enable_chunked_prefill enable_prefix_caching enforce_eager "
    "gpu_memory_utilization kv_cache_memory_bytes max_model_len max_num_batched_tokens "
    "max_num_seqs pipeline_parallel_size swap_space tensor_parallel_size".split()
)
# Set before vllm is first imported, where the user has not: one process, so that a killed run
# leaves no engine on the device; no usage report is sent; stdout is kept for the output of the
# command.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}


class VllmBackend:
    """A local folder or Hub model. The first `generate` with work starts the engine."""

    streams = False

    def __init__(self, config: ModelConfig) -> None:
        """Find the model; ConfigError or BackendError when it cannot be loaded."""
        _require_vllm()
        check_engine(config.engine)
        self._config = config
        self._folder = locate_model(config.model, config.revision)
        is_local = Path(config.model).expanduser().is_dir()
        # Rows contain no folder of this machine; the sidecar's digest identifies the model.
        self.model = self._folder.resolve().name if is_local else config.model
        # vllm is built for one kind of device, and its torch reports that one.
        device = choose_device("auto")
        self._dtype = choose_dtype(config.dtype, device, self._folder)
        self._engine_settings: dict[str, Any] = {"enable_prefix_caching": True}
        if device.type == "cpu":
            # vllm's CPU sampler crashes with a seeded request whose prompt is read in chunks.
            self._engine_settings["enable_chunked_prefill"] = False
        self._engine_settings |= config.engine
        max_context = config.engine.get("max_model_len")
        self._prompts = PromptRenderer(
            self._folder,
            model=self.model,
            template_kwargs=config.chat_template_kwargs,
            max_context=max_context if isinstance(max_context, int) else None,
        )

    def fingerprint(self) -> dict[str, Any]:
        """Weights, tokenizer and template by content; number type; template variables; engine."""
        return {
            "backend": "vllm",
            "model_sha256": self._digest,
            "dtype": self._dtype,
            "chat_template_kwargs": self._config.chat_template_kwargs,
            "engine": {
                name: value
                for name, value in self._config.engine.items()
                if name not in PLACEMENT_ENGINE
            },
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
        """Batches of `batch_size` in input order; requests that cannot run are alone.

        A request that will fail must not share a batch: its batch would never be complete, and
        every rerun would generate it again. The renderings of earlier calls are dropped.
        """
        self._prompts.forget()
        sound: list[Request] = []
        groups: list[list[Request]] = []
        for request in requests:
            if isinstance(self._prompts.render(request), RequestFailure):
                groups.append([request])
            else:
                sound.append(request)
        size = self._config.batch_size
        return groups + [sound[start : start + size] for start in range(0, len(sound), size)]

    def generate(self, take: Take) -> Iterator[list[Finished]]:
        """Yield each planned group as a whole."""
        while groups := take(1):
            (group,) = groups
            unfit = self._prompts.render(group[0])
            # Unfit requests are alone (see `plan`), so the first request decides for its group.
            outcomes: list[Outcome] = (
                [unfit] if isinstance(unfit, RequestFailure) else self._run_batch(group)
            )
            yield list(zip(group, outcomes, strict=True))

    def _run_batch(self, group: Sequence[Request]) -> list[Outcome]:
        """One outcome per request. Requests of a batch that vllm refuses are found by sending them
        one by one.

        The cause is a schema that it cannot follow; `plan` finds all other causes.
        """
        from vllm.exceptions import VLLMClientError

        try:
            outputs = self._chat(group)
        except VLLMClientError as error:
            if len(group) == 1:
                return [RequestFailure(reason="refused", detail=detail_line(str(error)))]
            return [outcome for request in group for outcome in self._run_batch([request])]
        return [
            self._read_output(output, request)
            for output, request in zip(outputs, group, strict=True)
        ]

    def _chat(self, group: Sequence[Request]) -> list[RequestOutput]:
        from vllm.exceptions import VLLMClientError

        engine = self._engine
        try:
            outputs: list[RequestOutput] = engine.chat(
                [[item.model_dump() for item in self._prompts.messages(one)] for one in group],
                [make_params(item.decoding, item.seed) for item in group],
                use_tqdm=False,
                # As `plan` rendered it: contents are text, never a list of parts.
                chat_template_content_format="string",
                chat_template_kwargs=dict(self._config.chat_template_kwargs),
            )
        except VLLMClientError:
            raise
        except (
            Exception
        ) as error:  # out of memory, a dead worker, a kernel error: all have different classes
            raise BackendError(
                f"vllm failed with batch_size={self._config.batch_size}: {_reason(error)}; lower "
                "engine.max_num_seqs or engine.gpu_memory_utilization and rerun to continue"
            ) from error
        return outputs

    def _read_output(self, output: RequestOutput, request: Request) -> Reply:
        said = output.outputs[0]
        tokenizer = self._prompts.tokenizer
        prompt = self._prompts.render(request)
        assert not isinstance(prompt, RequestFailure)  # it was run
        reasoning, answer = split_reasoning(
            said.text, prompt=prompt[0], template=str(tokenizer.chat_template)
        )
        return Reply(
            text=answer,
            reasoning=reasoning,
            finish_reason=FINISH_REASONS.get(said.finish_reason or "", "unknown"),
            prompt_tokens=len(output.prompt_token_ids or prompt[1]),
            completion_tokens=len(said.token_ids),
            cached_tokens=output.num_cached_tokens,
            system_in_user=self._prompts.is_folded(request),
            logprobs=_read_logprobs(said.token_ids, said.logprobs, set(tokenizer.all_special_ids)),
        )

    @cached_property
    def _engine(self) -> LLM:
        """The started engine. ConfigError for arguments that it does not accept."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from vllm import LLM

        settings = self._engine_settings
        try:
            return LLM(
                model=str(self._folder),
                dtype=self._dtype,
                trust_remote_code=False,
                load_format="safetensors",
                seed=self._config.seed,
                **settings,
            )
        except (TypeError, ValueError) as error:  # pydantic's are ValueErrors
            raise ConfigError(
                f"vllm cannot serve {self.model} with engine={settings}: {_reason(error)}"
            ) from error
        except Exception as error:  # memory, drivers, workers: all have different classes
            raise BackendError(f"vllm cannot start for {self.model}: {_reason(error)}") from error


def check_engine(engine: Mapping[str, Any]) -> None:
    """Raise ConfigError for an engine argument that a config must not set."""
    for name in engine:
        why = REFUSED_ENGINE.get(name.replace("-", "_"))
        if why is not None:
            raise ConfigError(f"engine may not set {name!r}: {why}; leave it out")


def make_params(decoding: Decoding, seed: int) -> SamplingParams:
    """One request's sampling parameters; the model's own defaults (top-k, penalties) are unused."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    schema = decoding.schema
    return SamplingParams(
        temperature=decoding.temperature,
        top_p=decoding.top_p,
        max_tokens=decoding.max_tokens,
        seed=seed,
        # 0: only those of the sampled token.
        logprobs=0 if decoding.logprobs else None,
        structured_outputs=(None if schema is None else StructuredOutputsParams(json=dict(schema))),
    )


def _read_logprobs(
    token_ids: Sequence[int], logprobs: Any, special: set[int]
) -> tuple[tuple[str, float], ...]:
    """Texts and log-probabilities of the sampled tokens, without the special ones that end a reply.

    They are those of the model before temperature, nucleus and schema change them.
    """
    if logprobs is None:
        return ()
    return tuple(
        (found[token].decoded_token or "", float(found[token].logprob))
        for token, found in zip(token_ids, logprobs, strict=True)
        if token not in special
    )


def _reason(error: Exception) -> str:
    return detail_line(str(error)) or type(error).__name__


def _require_vllm() -> None:
    """MissingPackageError where vllm is not installed; found without the slow import."""
    require("vllm", needed_for="backend: vllm")
