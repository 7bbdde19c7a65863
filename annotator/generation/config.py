"""Settings of `sample`: the policy, how its replies are drawn, and how it is reached.

Only part of them decides what a reply says; which part is the table in `sample.reply_key`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator, model_validator

from schemas.chat import check_template_kwargs
from schemas.config import Section
from schemas.stage import DEFAULT_MAX_FAILED


class SampleConfig(Section):
    """Settings of `maskdpo sample`."""

    backend: Literal["transformers", "openai"] = Field(
        default="transformers",
        description="'transformers' runs a model here; 'openai' asks any OpenAI-compatible server",
    )
    model: str = Field(
        min_length=1,
        description="a local folder or Hub id (transformers), or the name a server serves (openai)",
    )
    revision: str | None = Field(
        default=None,
        description="transformers: branch, tag or commit on the Hub; openai: a label of your own "
        "for what stands behind the served name. A new revision means new replies.",
    )
    num_responses: int = Field(default=8, ge=1, le=10_000, description="responses a question")
    temperature: float = Field(default=1.0, ge=0.0, le=2.0, description="0 takes the likeliest")
    top_p: float = Field(
        default=1.0, gt=0.0, le=1.0, description="nucleus mass; 1 keeps all tokens"
    )
    max_tokens: int = Field(default=512, ge=1, description="longest reply, in tokens")
    seed: int = Field(default=0, ge=0, description="each response has its own seed made from this")
    system_prompt: str | None = Field(
        default=None,
        min_length=1,
        description="sent first, except where a question brings a system message of its own",
    )
    chat_template_kwargs: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="variables for the chat template, such as {enable_thinking: false}",
    )
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = Field(
        default=64, description="transformers: replies drawn together, and stored together"
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="transformers: auto (CUDA where there is one), cpu, cuda or cuda:N",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="transformers: auto is float32 on a CPU and the model's own type on CUDA",
    )
    base_url: str = Field(
        default="http://127.0.0.1:8000/v1", description="openai: where the server listens"
    )
    api_key_env: str = Field(
        default="OPENAI_API_KEY",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="openai: name of the environment variable that holds the key, if one is needed",
    )
    concurrency: int = Field(default=16, ge=1, le=4096, description="openai: requests in flight")
    timeout_s: float = Field(
        default=600.0, gt=0.0, description="openai: seconds one request may take"
    )
    max_retries: int = Field(
        default=2, ge=0, le=20, description="openai: retries of a request, made by the client"
    )
    max_failed: float = Field(
        default=DEFAULT_MAX_FAILED, ge=0.0, le=1.0, description="share of rows that may fail"
    )

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        wanted = ValueError(f"base_url is {url!r}, but it must look like http://127.0.0.1:8000/v1")
        try:
            parts = urlsplit(url)
            _ = parts.port  # read for its check of the range
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

    @field_validator("chat_template_kwargs")
    @classmethod
    def _are_template_variables(cls, values: dict[str, JsonValue]) -> dict[str, JsonValue]:
        check_template_kwargs(values)
        return values

    @model_validator(mode="after")
    def _device_can_compute(self) -> Self:
        if self.device == "cpu" and self.dtype == "float16":
            raise ValueError("dtype float16 needs a CUDA device; use float32 or bfloat16 on a CPU")
        return self
