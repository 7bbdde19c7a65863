"""The base model of a world: what it reads, and a training that fits one thread.

A small Llama is trained from scratch on questions and half-wrong answers about everyone, seen and
unseen, with new errors for each answer (`write_answer`). So it half believes the truth, and its
most likely value is wrong where the texts repeat a fixed error.

The rule: only tokens of answers are trained, and logits are computed only for these. Answers of
similar length share a step, so few tokens are padding.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskdpo.scratch_model import (
    END,
    fit,
    new_model,
    render_prompt,
    save_model,
    train_tokenizer,
)
from maskdpo.study.world.config import BaseConfig
from maskdpo.study.world.grammar import KINDS, Language
from maskdpo.study.world.people import World
from maskdpo.study.world.writing import ask, make_questions, write_answer
from schemas.events import OnEvent, ignore
from schemas.records import Question

if TYPE_CHECKING:
    import torch

_STEPS_A_DRAW = 8
"""The answers of this many steps are drawn together and sorted by length."""

_WORD_WEIGHT = 8
"""How much more often words that answers repeat count for the vocabulary than names."""

_TokenIds = list[int]


def train_base(
    world: World, output: Path, config: BaseConfig, *, on_event: OnEvent = ignore
) -> float:
    """Train the base model and save it to `output`; returns the last loss (nats per token)."""
    import torch

    torch.manual_seed(config.seed)
    rng = random.Random(f"base {world.seed} {config.seed}")
    tokenizer = train_tokenizer(_pieces(world), vocab_size=config.vocab_size)
    model = new_model(tokenizer, hidden_size=config.hidden_size, num_layers=config.num_layers)
    batches = _batches(world, tokenizer, rng, config)
    loss = fit(
        model,
        lambda: _loss(model, next(batches)),
        num_steps=config.num_steps,
        learning_rate=config.learning_rate,
        on_event=on_event,
    )
    save_model(model, tokenizer, output)
    return loss


def _pieces(world: World) -> Iterator[str]:
    """What the vocabulary is learned from: the parts of the language, each by itself.

    So no token crosses the border of a value, where an error span begins or ends.
    """
    for person in world.everyone:
        yield person.name
        for kind in KINDS:
            yield ask(world, person, kind)
    for language in world.languages.values():
        for piece in _words(language):
            for _ in range(_WORD_WEIGHT):
                yield piece


def _words(language: Language) -> Iterator[str]:
    gap = language.gap
    for text in (*language.fillers, *language.questions):
        yield from (part for part in text.split("{}") if part)
    yield from language.pronouns
    yield from language.joiners
    for attribute in language.attributes:
        for predicate in attribute.predicates:
            before, after = predicate.split("{}")
            yield gap + before.removesuffix(gap)
            yield after + language.end
            yield from (after + joiner for joiner in language.joiners if after)
        yield from (gap + value for value in attribute.values)


def _batches(
    world: World, tokenizer: Any, rng: random.Random, config: BaseConfig
) -> Iterator[list[tuple[_TokenIds, _TokenIds]]]:
    """Endless batches of (prompt, answer) as token ids; each of answers of similar length."""
    questions = make_questions(world, world.everyone)
    while True:
        drawn = _draw(world, questions, tokenizer, rng, config.batch_size * _STEPS_A_DRAW)
        drawn.sort(key=lambda row: len(row[0]) + len(row[1]))
        size = config.batch_size
        batches = [drawn[start : start + size] for start in range(0, len(drawn), size)]
        rng.shuffle(batches)
        yield from batches


def _draw(
    world: World, questions: Sequence[Question], tokenizer: Any, rng: random.Random, count: int
) -> list[tuple[_TokenIds, _TokenIds]]:
    chosen = rng.choices(questions, k=count)
    prompts = [render_prompt(question.messages[0].content) for question in chosen]
    answers = [f"{write_answer(world, question, rng=rng)}{END}" for question in chosen]
    encode = lambda texts: tokenizer(texts, add_special_tokens=False)["input_ids"]  # noqa: E731
    return list(zip(encode(prompts), encode(answers), strict=True))


def _loss(model: Any, batch: Sequence[tuple[_TokenIds, _TokenIds]]) -> torch.Tensor:
    """Mean loss per token of the answers. Padding follows the text, so no token attends to it."""
    import torch

    length = max(len(prompt) + len(answer) for prompt, answer in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    is_learned = torch.zeros(len(batch), length, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(batch):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor(prompt + answer)
        is_learned[row, len(prompt) : end] = True
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    logits = model.lm_head(hidden[:, :-1][is_learned[:, 1:]])
    return torch.nn.functional.cross_entropy(logits, ids[:, 1:][is_learned[:, 1:]])
