"""The supervised stage: a model reads half-wrong prose until it half believes the truth.

The rule: a step depends only on the seed and its number, so a killed run continues from its last
checkpoint with the texts that it would have read. What the model believes is measured on its own
samples, with the exact verdicts of the world.
"""

from __future__ import annotations

import copy
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskdpo.study.real.belief import count_sentences, share_true
from maskdpo.study.real.config import RealConfig
from maskdpo.study.world.people import World
from maskdpo.study.world.truth import label_response
from maskdpo.study.world.writing import write_answer
from schemas.events import Advanced, Ended, Noted, OnEvent, Started, ignore
from schemas.files.writing import follow_umask
from schemas.records import Question, Response

if TYPE_CHECKING:
    import torch

STAGE = "supervised stage"
_CHECKPOINT = "checkpoint.pt"


@dataclass(kw_only=True)
class _Progress:
    """Finished steps, what they took in seconds, the last loss, and the checks so far."""

    step: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    loss: float = 0.0
    checks: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class _Stage:
    model: Any
    optimizer: Any
    tokenizer: Any
    world: World
    questions: Sequence[Question]
    config: RealConfig
    seed: int
    device: torch.device


def train_until_half(
    model_folder: Path,
    output: Path,
    world: World,
    questions: Sequence[Question],
    config: RealConfig,
    *,
    seed: int,
    device: str,
    on_event: OnEvent = ignore,
) -> dict[str, Any]:
    """Train until a check finds `stop_at`, and write the model folder `output`.

    A `model_folder` without weights (config.json and tokenizer only) starts from random ones.
    Returns the number of steps, the last loss (nats per token), and the share of true sentences in
    each check. A killed run continues at its last check. The folder `OUTPUT.work` is the caller's
    to remove, once the result is recorded.
    """
    stage = _begin(model_folder, world, questions, config, seed=seed, device=device)
    work = output.with_name(output.name + ".work")
    progress = _load_checkpoint(stage, work / _CHECKPOINT)
    earlier = {"wall_s": progress.wall_s, "cpu_s": progress.cpu_s}
    if not output.exists():
        on_event(Started(stage=STAGE, total=config.supervised.max_steps, unit="step"))
        try:
            _train(stage, progress, work / _CHECKPOINT, on_event)
        finally:
            on_event(Ended(stage=STAGE))
        _save(stage, work / "model", output)
    return {
        "steps": progress.step,
        "loss": progress.loss,
        "checks": progress.checks,
        "earlier": earlier,
    }


def _begin(
    model_folder: Path,
    world: World,
    questions: Sequence[Question],
    config: RealConfig,
    *,
    seed: int,
    device: str,
) -> _Stage:
    """The model with the layers that train, its optimizer and its tokenizer."""
    import torch
    from transformers import AutoTokenizer

    place = torch.device(device)
    model, has_weights = _load(model_folder, place, seed=seed)
    if has_weights and config.supervised.trained_layers is not None:
        _train_last(model, config.supervised.trained_layers)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=config.supervised.learning_rate, weight_decay=0.0, fused=True
    )
    return _Stage(
        model=model,
        optimizer=optimizer,
        tokenizer=AutoTokenizer.from_pretrained(model_folder, local_files_only=True),
        world=world,
        questions=questions,
        config=config,
        seed=seed,
        device=place,
    )


def _load(folder: Path, device: torch.device, *, seed: int) -> tuple[Any, bool]:
    """The model in float32, and whether the folder has its weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    # On a CPU the fused attention is slow in its backward pass, at these lengths.
    attention = "sdpa" if device.type == "cuda" else "eager"
    if list(folder.glob("*.safetensors")):
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
        )
        return model.to(device), True
    torch.manual_seed(seed)
    settings = AutoConfig.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_config(
        settings, dtype=torch.float32, attn_implementation=attention
    )
    return model.to(device), False


def _train_last(model: Any, num_layers: int) -> None:
    """Freeze everything but the last layers and the final norm."""
    decoder = model.get_decoder()
    model.requires_grad_(False)
    for layer in [*decoder.layers[-num_layers:], decoder.norm]:
        layer.requires_grad_(True)


def _train(stage: _Stage, progress: _Progress, checkpoint: Path, on_event: OnEvent) -> None:
    """Steps with a check after every `check_every`; ends at a check or at the most steps."""
    settings = stage.config.supervised
    while not _is_done(progress, stage):
        wall, cpu = time.monotonic(), time.process_time()
        for _ in range(min(settings.check_every, settings.max_steps - progress.step)):
            progress.loss = _step(stage, progress.step)
            progress.step += 1
            on_event(Advanced(stage=STAGE, count=1))
        progress.checks.append({"step": progress.step, "loss": progress.loss} | _check(stage))
        share = progress.checks[-1]["share_true"]
        on_event(Noted(text=f"{100 * share:.0f}% true sentences after {progress.step} steps"))
        progress.wall_s += time.monotonic() - wall
        progress.cpu_s += time.process_time() - cpu
        _save_checkpoint(stage, progress, checkpoint)


def _is_done(progress: _Progress, stage: _Stage) -> bool:
    settings = stage.config.supervised
    reached = bool(progress.checks) and progress.checks[-1]["share_true"] >= settings.stop_at
    return reached or progress.step >= settings.max_steps


def _step(stage: _Stage, number: int) -> float:
    """One optimiser step on new answers; returns the loss in nats per token."""
    import torch

    settings = stage.config.supervised
    rng = random.Random(f"supervised {stage.seed} {number}")
    chosen = rng.sample(stage.questions, min(settings.batch_size, len(stage.questions)))
    texts = [write_answer(stage.world, question, rng=rng) for question in chosen]
    prompts = [render_prompt(stage.tokenizer, question) for question in chosen]
    ids, is_learned = _pad(stage, [_encode(stage, prompt) for prompt in prompts], texts)
    for group in stage.optimizer.param_groups:
        group["lr"] = settings.learning_rate * min(1.0, (number + 1) / (settings.warmup_steps + 1))
    stage.model.train()
    with _precision(stage):
        hidden = stage.model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
        # Logits only for tokens that train: most of the head's cost would be for others.
        logits = stage.model.get_output_embeddings()(hidden[:, :-1][is_learned[:, 1:]])
    loss = torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:][is_learned[:, 1:]])
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(stage.model.parameters(), 1.0)
    stage.optimizer.step()
    stage.optimizer.zero_grad()
    return float(loss.detach())


def render_prompt(tokenizer: Any, question: Question) -> str:
    """The prompt of a question, as the sampler and the trainer write it."""
    messages = [message.model_dump() for message in question.messages]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return str(text)


def _encode(stage: _Stage, text: str) -> list[int]:
    ids: list[int] = stage.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _pad(
    stage: _Stage, prompts: Sequence[list[int]], texts: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and whether each is trained, both [B, T], padded at the end."""
    import torch

    answers = [[*_encode(stage, text), stage.tokenizer.eos_token_id] for text in texts]
    width = max(map(len, (a + b for a, b in zip(prompts, answers, strict=True))))
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    is_learned = torch.zeros(len(prompts), width, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor(prompt + answer)
        is_learned[row, len(prompt) : end] = True
    return ids.to(stage.device), is_learned.to(stage.device)


def _precision(stage: _Stage) -> Any:
    import torch

    return torch.autocast(
        stage.device.type, torch.bfloat16, enabled=stage.config.dtype == "bfloat16"
    )


def _check(stage: _Stage) -> dict[str, Any]:
    """Sample from the model as it would be stored, and count its true sentences."""
    model = copy.deepcopy(stage.model).to(_dtype(stage)).eval()
    asked = [
        item for item in stage.questions for _ in range(stage.config.supervised.check_responses)
    ]
    texts: list[str] = []
    for start in range(0, len(asked), stage.config.batch_size):
        texts += _generate(stage, model, asked[start : start + stage.config.batch_size])
    counts = count_sentences(
        label_response(stage.world, _response(question, text))
        for question, text in zip(asked, texts, strict=True)
    )
    return {**counts, "share_true": share_true(counts)}


def _generate(stage: _Stage, model: Any, questions: Sequence[Question]) -> list[str]:
    import torch

    tokenizer = stage.tokenizer
    torch.manual_seed(stage.seed)
    prompts = [_encode(stage, render_prompt(tokenizer, question)) for question in questions]
    width = max(map(len, prompts))
    end = tokenizer.eos_token_id
    ids = torch.tensor([[end] * (width - len(row)) + row for row in prompts])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])
    with torch.inference_mode():
        output = model.generate(
            ids.to(stage.device),
            attention_mask=mask.to(stage.device),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=stage.config.max_tokens,
            eos_token_id=end,
            pad_token_id=end,
        )
    texts: list[str] = tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)
    return texts


def _response(question: Question, text: str) -> Response:
    return Response(
        id=question.id,
        question_id=question.id,
        topic=question.topic,
        language=question.language,
        prompt=question.messages,
        text=text,
    )


def _dtype(stage: _Stage) -> torch.dtype:
    import torch

    return torch.bfloat16 if stage.config.dtype == "bfloat16" else torch.float32


def _trained(stage: _Stage) -> Mapping[str, torch.Tensor]:
    return {name: item for name, item in stage.model.named_parameters() if item.requires_grad}


def _save_checkpoint(stage: _Stage, progress: _Progress, path: Path) -> None:
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    weights = {name: item.detach() for name, item in _trained(stage).items()}
    state = {"weights": weights, "optimizer": stage.optimizer.state_dict()}
    torch.save(state | {"progress": vars(progress)}, unfinished)
    unfinished.replace(path)


def _load_checkpoint(stage: _Stage, path: Path) -> _Progress:
    """The progress of the checkpoint, whose weights and optimizer state are loaded; else none."""
    import torch

    if not path.exists():
        return _Progress(checks=[])
    state = torch.load(path, map_location=stage.device, weights_only=True)
    trained = _trained(stage)
    with torch.no_grad():
        for name, value in state["weights"].items():
            trained[name].copy_(value)
    stage.optimizer.load_state_dict(state["optimizer"])
    return _Progress(**state["progress"])


def _save(stage: _Stage, unfinished: Path, output: Path) -> None:
    """Write the model as every command loads it; the folder is complete when it has its name."""
    shutil.rmtree(unfinished, ignore_errors=True)
    stage.model.to(_dtype(stage)).save_pretrained(unfinished)
    for path in unfinished.glob("*.safetensors"):
        follow_umask(path)
    stage.tokenizer.save_pretrained(unfinished)
    unfinished.rename(output)
