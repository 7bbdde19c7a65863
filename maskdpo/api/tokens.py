"""The weight of each token of a pair, for people with a trainer of their own.

The rule: token ids and weights are made by the code of `maskdpo train`, so that equal settings give
equal tokens. No torch is needed: a fast tokenizer with a chat template is.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.errors import ConfigError, InputError
from schemas.records import Pair
from schemas.validation import show_value

if TYPE_CHECKING:
    from trainer.config import EosPolicy, TrainConfig
    from trainer.examples import Encoder, TokenSequence


@dataclass(frozen=True, kw_only=True, slots=True)
class SideTokens:
    """One side of a pair: prompt and answer as the model reads them; the lists are equally long.

    input_ids        token ids, without padding
    weights          the weight of each token, 0 (masked) to 1
    completion_mask  1 for tokens of the answer and of what the template writes after it, else 0
    """

    input_ids: list[int]
    weights: list[float]
    completion_mask: list[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenWeights:
    """Both sides of a pair, without padding: their lengths differ."""

    chosen: SideTokens
    rejected: SideTokens


class TokenWeigher:
    """`token_weights` for many pairs with one tokenizer, which is checked once.

    The settings are those of `token_weights`. Raises ConfigError for a tokenizer or setting that
    cannot be used.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        max_length: int = 1024,
        use_spans: bool = True,
        eos: EosPolicy | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        template_date: datetime.date | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        settings = {
            "model": "given by the caller",
            "max_length": max_length,
            "use_spans": use_spans,
            "eos": eos,
            "chat_template_kwargs": chat_template_kwargs or {},
            "template_date": template_date,
        }
        self._encoder = _make_encoder(tokenizer, settings)

    def __call__(self, pair: Pair | Mapping[str, Any]) -> TokenWeights:
        """The tokens of one pair. Raises InputError where `maskdpo train` would leave it out."""
        from trainer.render import RenderError

        record = read_pair(pair)
        try:
            example = self._encoder.encode(record)
        except RenderError as error:
            message = f"cannot train: {error.detail} ({error.reason})"
            raise InputError.of(f"pair {record.id!r}", message) from None
        return TokenWeights(chosen=_side(example.chosen), rejected=_side(example.rejected))


def token_weights(
    pair: Pair | Mapping[str, Any],
    tokenizer: Any,
    *,
    max_length: int = 1024,
    use_spans: bool = True,
    eos: EosPolicy | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    template_date: datetime.date | None = None,
) -> TokenWeights:
    """Token ids and weights of both sides of `pair`, as `maskdpo train` makes them.

    pair       a Pair, or a row with its columns, as `datasets` gives it
    tokenizer  a fast tokenizer of transformers with a chat template

    A token has the least weight of the characters that it covers (docs/training.md); `max_length`
    counts tokens. The settings are those of `maskdpo train`. For many pairs, make a
    `TokenWeigher` once. Raises ConfigError for a tokenizer or setting that cannot be used,
    InputError for a pair that cannot train.
    """
    weigh = TokenWeigher(
        tokenizer,
        max_length=max_length,
        use_spans=use_spans,
        eos=eos,
        chat_template_kwargs=chat_template_kwargs,
        template_date=template_date,
    )
    return weigh(pair)


def read_pair(given: Pair | Mapping[str, Any]) -> Pair:
    """A pair from a record or a row. Raises InputError."""
    if isinstance(given, Pair):
        return given
    from trainer.data import parse_pair

    values = dict(given) if isinstance(given, Mapping) else given
    name = values.get("id") if isinstance(values, dict) else None
    identifier = name if isinstance(name, str) and name else "1"
    try:
        return parse_pair(values, identifier)
    except (ValueError, TypeError, RecursionError) as error:  # TypeError: an array, a date
        raise InputError.of(f"pair {identifier!r}", str(error)) from None


def _make_encoder(tokenizer: Any, settings: Mapping[str, Any]) -> Encoder:
    from trainer.config import TrainConfig
    from trainer.examples import Encoder
    from trainer.render import check_tokenizer

    config: TrainConfig = TrainConfig.parse(settings, where="maskdpo.token_weights")
    if not all(hasattr(tokenizer, name) for name in ("is_fast", "chat_template")):
        raise ConfigError(
            f"tokenizer is {show_value(tokenizer)}, but it must be a tokenizer of transformers, "
            'such as AutoTokenizer.from_pretrained("ORG/NAME")'
        )
    check_tokenizer(tokenizer, where="maskdpo.token_weights", kwargs=config.template_values)
    return Encoder(tokenizer, config)


def _side(sequence: TokenSequence) -> SideTokens:
    num_prompt = len(sequence.token_ids) - sequence.num_completion
    return SideTokens(
        input_ids=list(sequence.token_ids),
        weights=list(sequence.weights),
        completion_mask=[0] * num_prompt + [1] * sequence.num_completion,
    )
