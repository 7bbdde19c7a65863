"""Settings of the models that are called: which one, its server, how `sample` samples.

Only some of them decide the content of a reply; the table in `dialogue.call_key` lists them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator, model_validator

from annotator.models.prices import Prices, read_prices
from schemas.chat import check_template_kwargs
from schemas.config import Section
from schemas.secret_values import ADVICE, find_secret_names, looks_like_key
from schemas.stage import DEFAULT_MAX_FAILED
from schemas.validation import show_value

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Fields of a request that a user may never set.
OURS = frozenset({"messages", "model", "stream", "n"})
_SCHEMA = "structured: response_format, structured_outputs or none;"
# Fields of a request that are set by a setting, with its name: a second value would be sent under
# the content key of the first.
SETTING_OF = {
    "temperature": "temperature;",
    "top_p": "top_p;",
    "max_tokens": "max_tokens;",
    "max_completion_tokens": "max_tokens;",
    "seed": "seed;",
    "logprobs": "confidence: logprob (for a judge);",
    **dict.fromkeys(
        (
            "response_format",
            "structured_outputs",
            "guided_json",
            "guided_regex",
            "guided_choice",
            "guided_grammar",
            "guided_decoding_backend",
            "json_schema",
            "grammar",
        ),
        _SCHEMA,
    ),
}


class ModelConfig(Section):
    """The model to call and how to reach it: a policy, a writer of questions or a judge."""

    backend: Literal["transformers", "openai", "vllm"] = Field(
        default="transformers",
        description=(
            "'transformers' runs a model on this machine; 'openai' calls any OpenAI-compatible "
            "server; 'vllm' runs a model on this machine with vllm, in the environment of make "
            "setup-vllm"
        ),
    )
    model: str = Field(
        min_length=1,
        description="a local folder or Hub id (transformers, vllm), or the name a server serves",
    )
    revision: str | None = Field(
        default=None,
        description=(
            "transformers, vllm: branch, tag or commit on the Hub; openai: your own label for "
            "the model behind the served name. A new revision means new replies."
        ),
    )
    seed: int = Field(default=0, ge=0, description="seed from which each reply gets its own")
    chat_template_kwargs: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="variables for the chat template, such as {enable_thinking: false}",
    )
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = Field(
        default=64,
        description="transformers, vllm: number of replies that are generated and stored together",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="transformers: device that computes: auto (CUDA where there is one), cpu, cuda "
        "or cuda:N",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="transformers, vllm: precision of the weights; auto is float32 on a CPU and "
        "the model's own type on CUDA",
    )
    engine: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="vllm: further engine arguments, such as {tensor_parallel_size: 2}",
    )
    base_url: str = Field(
        default="http://127.0.0.1:8000/v1", description="openai: address of the server"
    )
    base_urls: tuple[str, ...] = Field(
        default=(),
        description=(
            "openai: several servers of one model, instead of base_url; each is checked first, "
            "and calls go to the server with the fewest under way"
        ),
    )
    api_key_env: str = Field(
        default="OPENAI_API_KEY",
        description="openai: name of the environment variable that holds the key, if one is needed",
    )
    params: dict[str, JsonValue] = Field(
        default_factory=dict,
        description=(
            "openai: further fields of the request for this model, such as "
            "{reasoning_effort: low}; null leaves out a field that is sent otherwise, such as "
            "{temperature: null}. Fields with a separate setting (temperature, top_p, max_tokens, "
            "seed, logprobs, response_format) are set there"
        ),
    )
    extra_body: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="openai: fields outside the API's own, such as {top_k: 20}",
    )
    structured: Literal["response_format", "structured_outputs", "none"] = Field(
        default="response_format",
        description=(
            "openai: how a JSON Schema is sent where one is used; vllm also accepts "
            "structured_outputs. Replies are always validated"
        ),
    )
    concurrency: int = Field(
        default=16,
        ge=1,
        le=4096,
        description="openai: maximum number of requests in flight",
    )
    timeout_s: float = Field(
        default=600.0, gt=0.0, description="openai: timeout of one request, in seconds"
    )
    max_retries: int = Field(
        default=2, ge=0, le=20, description="openai: number of times a failed request is sent again"
    )
    failure_window: int = Field(
        default=100,
        ge=0,
        le=100_000,
        description=(
            "openai: the run stops when more than half of this many calls in a row failed; 0: never"
        ),
    )
    prices: Prices | None = Field(
        default=None,
        description=(
            "price of a million tokens: {prompt, completion, cached, currency}, or 0 where "
            "nothing is paid; needed for costs and --max-cost"
        ),
    )

    @field_validator("prices", mode="before")
    @classmethod
    def _are_prices(cls, value: Any) -> Any:
        return read_prices(value)

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not _VARIABLE.fullmatch(name) or looks_like_key(name):
            raise ValueError(
                "its value is not the name of an environment variable, such as OPENAI_API_KEY, "
                f"and is not shown here. If it is a key: {ADVICE}"
            )
        return name

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return check_base_url(url)

    @field_validator("base_urls")
    @classmethod
    def _are_http(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(urls)) != len(urls):
            raise ValueError("base_urls names one server twice; name each once")
        return tuple(check_base_url(url) for url in urls)

    @field_validator("chat_template_kwargs")
    @classmethod
    def _are_template_variables(cls, values: dict[str, JsonValue]) -> dict[str, JsonValue]:
        check_template_kwargs(values)
        return values

    @field_validator("params", "extra_body", "engine", "chat_template_kwargs")
    @classmethod
    def _names_no_secret(cls, values: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for place in find_secret_names(values, ()):
            raise ValueError(f"holds the secret {'.'.join(place)!r}; {ADVICE}")
        return values

    @field_validator("params", "extra_body")
    @classmethod
    def _leave_ours_alone(cls, values: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in sorted(values):
            if name in OURS:
                raise ValueError(f"{name!r} is set by maskdpo itself; leave it out")
            setting = SETTING_OF.get(name)
            if setting is not None and values[name] is not None:
                raise ValueError(
                    f"{name!r} is {values[name]!r}, but it has a separate setting: use {setting} "
                    f"here only null is allowed, which leaves {name!r} out of requests"
                )
        return values

    @model_validator(mode="after")
    def _device_can_compute(self) -> Self:
        if self.device == "cpu" and self.dtype == "float16":
            raise ValueError("dtype float16 needs a CUDA device; use float32 or bfloat16 on a CPU")
        return self

    @property
    def urls(self) -> tuple[str, ...]:
        """Every server of this model."""
        return self.base_urls or (self.base_url,)


class SampleConfig(ModelConfig):
    """Settings of `maskdpo sample`."""

    num_responses: int = Field(default=8, ge=1, le=10_000, description="responses per question")
    temperature: float = Field(
        default=1.0,
        ge=0.0,
        le=2.0,
        description="sampling temperature; 0 takes the likeliest token",
    )
    top_p: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="nucleus sampling: probability mass to keep; 1 keeps all tokens",
    )
    max_tokens: int = Field(default=512, ge=1, description="maximum length of a reply, in tokens")
    system_prompt: str | None = Field(
        default=None,
        min_length=1,
        description="sent first, except where a question has a system message",
    )
    max_failed: float = Field(
        default=DEFAULT_MAX_FAILED,
        ge=0.0,
        le=1.0,
        description="share of rows that may fail before the command ends with exit code 1",
    )


def check_base_url(url: str) -> str:
    """`url`, or a ValueError that shows the form of a server's address."""
    wanted = ValueError(
        f"base_url is {show_value(url)}, but it must look like http://127.0.0.1:8000/v1"
    )
    try:
        parts = urlsplit(url)
        _ = parts.port  # read because it checks the range
    except ValueError:
        raise wanted from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wanted
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "base_url must hold no credentials, query or fragment; "
            "a key belongs in the environment variable that api_key_env names"
        )
    return url
