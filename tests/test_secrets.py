"""Keys are never shown or stored, wherever a user or a server puts them; names and paths are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, make_run
from sample_server import Answer, ChatServer, as_json, echo

from maskdpo.config import load_run_config
from schemas.errors import BackendError, ConfigError, InputError
from schemas.secret_values import HIDDEN, hide_keys, hide_likely_keys, looks_like_key
from schemas.validation import show_value

# Made up, in the shape of what issuers hand out.
CERTAIN = {
    "openai": "sk-proj-Zk3pQ9vXw2LmT8aB4cDeF6gHiJ0kNrSt",
    "openai-old": "sk-9fKq2WzLx7RtVb3NcYh8Pd5MgJs6TaEu",
    "anthropic": "sk-ant-api03-h7Gf_5dSa-2Qw9ErTy4UiOp1",
    "hugging-face": "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",
    "aws": "AKIAQ3EGT7LMN5PRSTUV",
    "github": "ghp_a8Sd7Fg6Hj5Kl4Zx3Cv2Bn1MqWeRtYuIoPaS",
    "github-fine": "github_pat_11ABCDEFG0hIjKlMnOpQ_rStUvWxYz0123456789",
    "groq": "gsk_Xc7VbN2mQ9wErT4yUiOp6AsDfGh1JkLz",
    "google": "AIzaSyB-9x_Kq3LmN7pQrStUvWxYz012345678",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.dBjftJeZ4CVPmB92K27uhbUJU1p1r",
    "xai": "xai-7hGf5dSa2Qw9ErTy4UiOp1AsDfGh3JkL",
    "slack": "xoxb-2938475610-aBcDeFgHiJkLmNoP",
    "gitlab": "glpat-x9_Yz8Wv7Ut6Sr5Qp4On",
}
LIKELY = {
    "uuid": "3f2b8c1e-94d7-4a60-b5c3-7e19d0a8f264",
    "azure": "9c4f1e7a2b8d5036e1f4a7c9b2d8065f",
    "base62": "Zk3pQ9vXw2LmT8aB4cDeF6gHiJ0kNrSt",
    "base36": "k3p9q2x7w4m8t1a6b0c5d9e3f7g2h8j4",
    "base64url": "q8Zr-2LmTx7aB4c_DeF6gHiJ0kNrStVw3Y9pXbQ",
}
ALL = CERTAIN | LIKELY
HARMLESS = [
    "/home/user/models/Meta-Llama-3.1-8B-Instruct-AWQ-INT4",
    "meta-llama/Llama-3.1-8B-Instruct",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
    "Qwen3-235B-A22B-Thinking-2507-FP8",
    "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit",
    "snapshots/7ae557604adf67be50417f59c2c2f167def9a775",
    "sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
    "runs/2024-01-31T10-20-30Z/responses.jsonl",
    "OPENAI_API_KEY",
    "MY_COMPANY_OPENAI_API_KEY_2",
    "http://127.0.0.1:8000/v1",
    "sk-learn-is-a-library-of-python",
    "Bearer authentication required",
    "max_tokens=512, api_key_env: OPENAI_API_KEY",
    "the_quick_brown_fox_jumps_over_the_lazy_dog_42",
    "mask_dpo-epoch3-lr5e-6-beta0.1-seed42",
    "LlamaForSequenceClassificationV2",
    "糖尿病足.html-q0-0",
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run(monkeypatch, capsys)


def assert_hidden(secret: str, *texts: str) -> None:
    for text in texts:
        for start in range(len(secret) - 12):  # not even a part of it
            assert secret[start : start + 13] not in text


@pytest.mark.parametrize("secret", ALL.values(), ids=ALL)
def test_a_value_that_looks_like_a_key_is_hidden_in_every_frame(secret: str) -> None:
    for frame in ("{}", "model {} is gone", "'{}'", "a={}", "x {}\n", "({})"):
        assert_hidden(secret, hide_likely_keys(frame.format(secret)), show_value([secret]))
        assert HIDDEN in hide_likely_keys(frame.format(secret))
    assert looks_like_key(secret)


@pytest.mark.parametrize("secret", CERTAIN.values(), ids=CERTAIN)
def test_no_error_of_ours_can_hold_a_key(secret: str) -> None:
    for error in (ConfigError(secret), BackendError(f"a {secret} b"), InputError.of("f", secret)):
        assert_hidden(secret, str(error))


@pytest.mark.parametrize("text", HARMLESS)
def test_long_harmless_values_stay_readable(text: str) -> None:
    assert hide_likely_keys(text) == text
    assert show_value(text) == repr(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://ann:pa55word@host/v1", f"https://{HIDDEN}@host/v1"),
        ("http://host/v1?api_key=abcdef", f"http://host/v1?api_key={HIDDEN}"),
        ('{"password": "hunter2"}', f'{{"password": "{HIDDEN}"}}'),
        ("Authorization: Bearer abc123def456ghi", f"Authorization: Bearer {HIDDEN}"),
        ("sent Bearer abc123def456ghi to it", f"sent {HIDDEN} to it"),
    ],
)
def test_headers_and_addresses_lose_only_their_secret(text: str, left: str) -> None:
    assert hide_keys(text) == left


@pytest.mark.parametrize("secret", [*ALL.values(), "sk-right"], ids=[*ALL, "short"])
def test_a_key_pasted_into_api_key_env_is_not_echoed(run: Run, secret: str) -> None:
    Path("run.yaml").write_text(f"annotate: {{llm: {{model: m, api_key_env: '{secret}'}}}}\n")
    code, out, err = run("annotate", "--config", "run.yaml")
    assert code == 2 and "llm.api_key_env" in err and "OPENAI_API_KEY" in err
    assert secret not in out + err
    assert_hidden(secret, out, err)


@pytest.mark.parametrize("secret", CERTAIN.values(), ids=CERTAIN)
def test_a_key_is_refused_as_any_setting_and_never_echoed(run: Run, secret: str) -> None:
    for override in (
        f"sample.model={secret}",
        f"sample.extra_body={{api_key: {secret}}}",
        f"sample.params={{user: [{secret}]}}",
        f"annotate.llm={{model: m, extra_body: {{deep: {{er: {secret}}}}}}}",
        f"sample.num_responses={secret}",
        f"sample.{secret}=1",
        f"{secret}.key=1",
        secret,
        f"sample.model={{{secret}",
        f"train={secret}",
    ):
        code, out, err = run("sample", "--set", override)
        assert code == 2, override
        assert_hidden(secret, out, err)
    Path("run.yaml").write_text(f"sample: {secret}\n")
    code, out, err = run("sample", "--config", "run.yaml")
    assert code == 2
    assert_hidden(secret, out, err)
    for arguments in (("sample", f"--{secret}"), (secret,), ("sample", "--max-calls", secret)):
        code, out, err = run(*arguments)
        assert code == 2
        assert_hidden(secret, out, err)


@pytest.mark.parametrize("secret", CERTAIN.values(), ids=CERTAIN)
def test_no_setting_can_be_a_key(secret: str) -> None:
    for setting in ("sample.model={}", "sample.params={{user: [{}]}}", "train.revision={}"):
        with pytest.raises(ConfigError, match="holds what looks like a key") as caught:
            load_run_config(None, [setting.format(f"'{secret}'")])
        assert_hidden(secret, str(caught.value))


def test_a_secret_by_its_name_is_refused_whatever_its_shape() -> None:
    for name in ("api_key", "password", "hf_token", "Authorization"):
        with pytest.raises(ConfigError) as caught:
            load_run_config(None, [f"sample.extra_body={{{name}: short}}"])
        assert f"the secret {name!r}" in str(caught.value) and "short" not in str(caught.value)


@pytest.mark.parametrize("secret", ALL.values(), ids=ALL)
def test_what_a_server_says_of_a_key_reaches_no_file(
    run: Run, tmp_path: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server repeats a key that is not ours, so only its shape can give it away."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ours")
    questions = [{"id": word, "question": word} for word in ("good", "bad")]
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    refusal = as_json(418, {"error": {"message": f"the key {secret} of sk-ours is bad"}})

    def answer(body: dict[str, Any]) -> Answer:
        return echo(body) if body["messages"][-1]["content"] == "good" else refusal

    with ChatServer(answer) as server:
        settings = {"backend": "openai", "base_url": server.base_url, "max_retries": 0}
        sets = [f"--set=sample.{name}={value}" for name, value in settings.items()]
        code, out, err = run(
            *("sample", "--questions", "questions.jsonl", "--model", "policy"),
            *("--output", "responses.jsonl", *sets),
        )
    assert code == 1
    assert_hidden(secret, out, err)
    assert "sk-ours" not in out + err
    written = [path for path in tmp_path.iterdir() if path.is_file()]
    assert {path.name for path in written} >= {"store.sqlite", "responses.failed.jsonl"}
    for path in written:
        assert_hidden(secret, path.read_bytes().decode("utf-8", "replace"))
