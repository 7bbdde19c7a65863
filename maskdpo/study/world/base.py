"""The base model of a world: what it reads, and a training that fits one thread.

A small Llama is trained from scratch on questions and half-wrong answers about everyone, seen and
unseen, with new errors for each answer (`write_answer`). So it half believes the truth, and its
most likely value is wrong where the texts repeat a fixed error.

The rule: only tokens of answers are trained, and logits are computed only for these. Answers of
similar length share a step, which keeps padding low.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskdpo.scratch_model import (
    END,
    fit,
    make_word_tokenizer,
    new_model,
    render_prompt,
    save_model,
)
from maskdpo.study.world.config import BaseConfig
from maskdpo.study.world.grammar import Language
from maskdpo.study.world.people import Person, World
from maskdpo.study.world.writing import find_person, make_questions, value_shares, write_answer
from schemas.events import OnEvent, ignore
from schemas.records import Question

if TYPE_CHECKING:
    import torch

_STEPS_A_DRAW = 8
"""The answers of this many steps are drawn together and sorted by length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Example:
    """A question and an answer as token ids, and whom it is about."""

    prompt: list[int]
    answer: list[int]
    person: Person

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


_Targets = Mapping[tuple[str, int], Mapping[int, float]]
"""By person and value token: the share of each token that could be in its place."""


def train_base(
    world: World, output: Path, config: BaseConfig, *, on_event: OnEvent = ignore
) -> float:
    """Train the base model and save it to `output`; returns the last loss (nats per token)."""
    import torch

    torch.manual_seed(config.seed)
    rng = random.Random(f"base {world.seed} {config.seed}")
    tokenizer = make_word_tokenizer(_words(world))
    model = new_model(
        tokenizer,
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        initializer_range=config.initializer_range,
    )
    batches = _batches(world, tokenizer, rng, config)
    targets = _make_targets(world, tokenizer)
    loss = fit(
        model,
        lambda: _loss(model, next(batches), targets),
        num_steps=config.num_steps,
        learning_rate=config.learning_rate,
        on_event=on_event,
        fused=True,
    )
    save_model(model, tokenizer, output)
    return loss


def _words(world: World) -> Iterator[str]:
    """What gets one token each: names, values, and the words of the forms.

    Few tokens and no token across the border of a value, where an error span begins or ends.
    """
    for person in world.everyone:
        first, *others = person.name.split()
        yield from (first, *(f" {word}" for word in (first, *others)))
    for language in world.languages.values():
        for piece in _pieces(language):
            yield from [piece] if language.code == "zh" else re.findall(r" ?\w+|[^\w\s]", piece)


def _pieces(language: Language) -> Iterator[str]:
    """The constant parts of the language's forms and the values, as they occur in texts."""
    gap = language.gap
    for text in (*language.fillers, *language.questions):
        yield from (part for part in text.split("{}") if part)
    yield from (gap + text for text in (*language.fillers, *language.pronouns))
    yield from (*language.joiners, language.end)
    for attribute in language.attributes:
        for predicate in attribute.predicates:
            yield from (gap + part for part in predicate.split("{}") if part)
        yield from (gap + value for value in attribute.values)


def _make_targets(world: World, tokenizer: Any) -> _Targets:
    """What answers state in the place of a value, for each person and each value's token."""
    targets: dict[tuple[str, int], Mapping[int, float]] = {}
    for person in world.everyone:
        language = world.languages[person.language]
        for attribute in language.attributes:
            if attribute.name in person.facts:
                texts = [language.gap + value for value in attribute.values]
                tokens = [ids[0] for ids in tokenizer(texts)["input_ids"]]
                shares = value_shares(world, person, attribute)
                row = dict(zip(tokens, shares.values(), strict=True))
                targets |= {(person.id, token): row for token in tokens}
    return targets


def _batches(
    world: World, tokenizer: Any, rng: random.Random, config: BaseConfig
) -> Iterator[list[_Example]]:
    """Endless batches of examples; each of answers of similar length."""
    questions = make_questions(world, world.everyone)
    size = config.batch_size
    while True:
        drawn = _draw(world, questions, tokenizer, rng, size * _STEPS_A_DRAW)
        drawn.sort(key=len)
        batches = [drawn[start : start + size] for start in range(0, len(drawn), size)]
        rng.shuffle(batches)
        yield from batches


def _draw(
    world: World, questions: Sequence[Question], tokenizer: Any, rng: random.Random, count: int
) -> list[_Example]:
    chosen = rng.choices(questions, k=count)
    prompts = [render_prompt(question.messages[0].content) for question in chosen]
    answers = [f"{write_answer(world, question, rng=rng)}{END}" for question in chosen]
    prompt_ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    answer_ids = tokenizer(answers, add_special_tokens=False)["input_ids"]
    return [
        _Example(prompt=prompt, answer=answer, person=find_person(world, question.topic))
        for prompt, answer, question in zip(prompt_ids, answer_ids, chosen, strict=True)
    ]


def _loss(model: Any, batch: Sequence[_Example], targets: _Targets) -> torch.Tensor:
    """Mean loss per token of the answers. Padding follows the text, so no token attends to it."""
    import torch

    length = max(map(len, batch))
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    is_answer = torch.zeros(len(batch), length, dtype=torch.bool)
    wanted: list[tuple[int, int, float]] = []  # token of the batch, vocabulary entry, share
    count = 0
    for row, example in enumerate(batch):
        ids[row, : len(example)] = torch.tensor(example.prompt + example.answer)
        is_answer[row, len(example.prompt) : len(example)] = True
        for token in example.answer:
            shares = targets.get((example.person.id, token), {token: 1.0})
            wanted += [(count, entry, share) for entry, share in shares.items()]
            count += 1
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    logits = model.lm_head(hidden[:, :-1][is_answer[:, 1:]])
    places, entries, shares_ = zip(*wanted, strict=True)
    log_probs = torch.log_softmax(logits, dim=-1)[list(places), list(entries)]
    return -(log_probs * torch.tensor(shares_)).sum() / count
