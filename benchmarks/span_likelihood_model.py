"""Training and measuring of `span_likelihood.py`: one policy per method and seed.

The rule: the project's own trainer trains (`trainer.fit`), and a token belongs to a kind of text by
the rule that gives tokens their weights (`trainer.masks`): all characters of the token do. Tokens
of two kinds are counted as `mixed` and enter no figure except the KL divergence.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from span_likelihood_data import KINDS, Answers, places_of_kind

from schemas.errors import ConfigError, InputError
from schemas.records import Annotation, Pair
from trainer.batches import lay_tensors
from trainer.choice import Choice, choose_layout
from trainer.config import TrainConfig
from trainer.examples import Example, TokenSequence, encode_rendered, prepare_examples
from trainer.failures import StopSignals
from trainer.fit import fit
from trainer.head import DEFAULT_BYTES
from trainer.layouts import arrange
from trainer.lora import add_adapter
from trainer.models import hash_weights, load_model, load_tokenizer, pick_dtype, quiet_library_bars
from trainer.reference import ReferenceCache, ReferenceModel, reference_logps, with_reference
from trainer.render import frame_prompt, render_answer

MIXED = "mixed"


@dataclass(frozen=True, kw_only=True)
class MeasuredAnswer:
    """One answer as tokens, with the kind and the sentence of each.

    sequence    prompt and answer, without the template's trailer
    kinds       of each token of the answer: one of KINDS, or `mixed`
    sentences   the number of its sentence from 1; 0 for a mixed token
    """

    sequence: TokenSequence
    kinds: list[str]
    sentences: list[int]


def encode_answer(row: Annotation, tokenizer: Any) -> MeasuredAnswer:
    """Tokens, kinds and sentences of one answer."""
    frame = frame_prompt(tokenizer, row.prompt, {})
    rendered = render_answer(tokenizer, row.prompt, row.text, frame, {})
    by_kind = {
        kind: encode_rendered(
            tokenizer, rendered, places_of_kind(row, kind), trailer_weight=0.0, keep_trailer=False
        )
        for kind in KINDS
    }
    sequence = by_kind[KINDS[0]]
    kinds, sentences = [], []
    for index in range(sequence.first, len(sequence.token_ids)):
        found = {kind: side.weights[index] for kind, side in by_kind.items() if side.weights[index]}
        kinds.append(next(iter(found), MIXED))
        sentences.append(int(next(iter(found.values()), 0)))
    return MeasuredAnswer(sequence=sequence, kinds=kinds, sentences=sentences)


class Workbench:
    """The reference, what it computed, and the answers; trains and measures policies.

    The reference is computed once: on the pairs into `folder`/reference, on the answers in memory.
    Policies compute in `dtype` while they train, and in float32 when they are measured.
    """

    def __init__(self, config: TrainConfig, answers: Sequence[Answers], folder: Path) -> None:
        quiet_library_bars()
        self.config, self.folder = config, folder
        self.source = Path(config.model)
        self.tokenizer = load_tokenizer(self.source)
        self.dtype = pick_dtype(config.dtype, torch.device("cpu"))
        self.answers = [
            (encode_answer(item.faulty, self.tokenizer), encode_answer(item.other, self.tokenizer))
            for item in answers
        ]
        self.documents = [item.document for item in answers]
        self.model = load_model(self.source, device=torch.device("cpu"))
        self.choice: Choice | None = None
        self.num_reference = 0  # answers on which the reference was computed
        self._reference: list[torch.Tensor] = []

    def train(self, pairs: Sequence[Pair], *, seed: int) -> Any:
        """A policy that is trained on the pairs."""
        config = self.config.model_copy(update={"seed": seed})
        prepared = prepare_examples(pairs, self.tokenizer, config)
        if prepared.dropped:
            first = prepared.dropped[0]
            raise InputError.of(f"pair {first.id}", f"cannot train: {first.detail}")
        longest = max(max_tokens(example) for example in prepared.examples)
        if longest >= config.max_length:
            raise ConfigError(
                f"an answer is cut at {config.max_length} tokens; prompts are too long"
            )
        logps = self._score_pairs(prepared.examples, config)
        policy = copy.deepcopy(self.model)
        if config.lora is not None:
            add_adapter(policy, config.lora, seed=seed)
        with TemporaryDirectory(dir=self.folder) as output, StopSignals() as signals:
            fit(
                config,
                policy,
                train=with_reference(prepared.examples, logps),
                test=[],
                output=Path(output),
                dtype=self.dtype,
                signals=signals,
                choice=self._choose(prepared.examples),
            )
        return policy

    def measure(self, policy: Any) -> list[dict[str, Any]]:
        """For each answer its document, and lists with an item per token.

        kinds        `wrong`, `innocent`, `clean` or `mixed`
        sentences    the number of its sentence, from 1; 0: mixed
        ratios       log-probability under the policy less that under the reference
        kl           KL(policy || reference) of the whole vocabulary, where the token is predicted
        reference    log-probability under the reference
        """
        if not self._reference:
            self._reference = list(self._score_answers(self.model))
            self.num_reference += len(self._reference)
        names = [name for name in self.documents for _ in range(2)]
        sides = [side for both in self.answers for side in both]
        scored = zip(self._score_answers(policy), self._reference, strict=True)
        return [
            {"document": name, "kinds": side.kinds, "sentences": side.sentences}
            | compare(side.sequence, *logps)
            for name, side, logps in zip(names, sides, scored, strict=True)
        ]

    def _score_pairs(self, examples: Sequence[Example], config: TrainConfig) -> Mapping[str, Any]:
        identity = ReferenceModel(
            weights_hash=hash_weights(self.source),
            compute_dtype=str(self.dtype),
            weights_dtype=str(torch.float32),
            device="cpu",
        )
        cache = ReferenceCache(self.folder / "reference", identity)
        choice = self._choose(examples)
        logps, _ = reference_logps(
            self.model, examples, cache, config=config, dtype=self.dtype, choice=choice
        )
        return logps

    def _score_answers(self, model: Any) -> Iterator[torch.Tensor]:
        """Log-probabilities [N, V] at the N tokens of each answer."""
        examples = [
            Example(id=name, chosen=faulty.sequence, rejected=other.sequence)
            for name, (faulty, other) in zip(self.documents, self.answers, strict=True)
        ]
        choice = self._choose(examples)
        model.eval()
        for example in examples:
            yield from score_all(model, example, choice)

    def _choose(self, examples: Sequence[Example]) -> Choice:
        """How to compute; checked once, on the first pairs."""
        if self.choice is None:
            self.choice = choose_layout(
                self.model,
                examples,
                setting=self.config.layout,
                max_length=self.config.max_length,
                max_bytes=DEFAULT_BYTES,
                dtype=self.dtype,
            )
        return self.choice


def max_tokens(example: Example) -> int:
    """Tokens of the longer side, with its prompt."""
    return max(len(example.chosen.token_ids), len(example.rejected.token_ids))


def compare(
    sequence: TokenSequence, policy_NV: torch.Tensor, reference_NV: torch.Tensor
) -> dict[str, list[float]]:
    """The figures of each token of an answer, from log-probabilities of the whole vocabulary."""
    targets = torch.tensor(sequence.token_ids[sequence.first :])[:, None]
    policy, reference = policy_NV.gather(1, targets)[:, 0], reference_NV.gather(1, targets)[:, 0]
    kl = (policy_NV.exp() * (policy_NV - reference_NV)).sum(1)
    found = {"ratios": policy - reference, "kl": kl, "reference": reference}
    return {name: [round(value, 6) for value in part.tolist()] for name, part in found.items()}


@torch.no_grad()
def score_all(model: Any, example: Example, choice: Choice) -> list[torch.Tensor]:
    """Log-probabilities of the whole vocabulary at both completions, [N, V] each."""
    arrangement = arrange([example], choice.layout, "completion")
    batch = lay_tensors(arrangement)
    mask = batch.get("segments", batch.get("attention_mask"))
    positions = {"position_ids": batch["position_ids"]} if "position_ids" in batch else {}
    places = [torch.from_numpy(placed.places) for placed in arrangement.placed]
    with selecting(model.get_output_embeddings(), torch.cat(places)):
        output = model(
            input_ids=batch["input_ids"], attention_mask=mask, use_cache=False, **positions
        )
    logps = output.logits.squeeze(0).log_softmax(-1)
    return list(logps.split([len(part) for part in places]))


@contextmanager
def selecting(matrix: Any, rows: torch.Tensor) -> Iterator[None]:
    """Within the block, the LM head computes the logits of these hidden states only."""
    handle = matrix.register_forward_pre_hook(
        lambda _, arguments: (arguments[0].flatten(0, 1)[rows][None],)
    )
    try:
        yield
    finally:
        handle.remove()
