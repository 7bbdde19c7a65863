"""The judge of `mask_fidelity.py`: the weight of each token, without offsets or our own code.

The rule: the text is known letter by letter, because the benchmark writes it itself; tokens are
spelled out, byte by byte, until the text is used up; a token's weight then follows from the letters
it is made of. Nothing of `trainer` is imported here, and no tokenizer's offsets are read.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
Weighted = tuple[int, int, float]  # start, end, weight: a span of the answer
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A conversation as text: the answer, and the text around it.

    dropped    characters of the answer that a trimming template left out at its beginning
    """

    head: str
    answer: str
    tail: str
    dropped: int = 0

    @property
    def text(self) -> str:
        """The whole text."""
        return self.head + self.answer + self.tail


@dataclass(frozen=True, kw_only=True)
class TokenizerUnderTest:
    """A tokenizer, and how to spell its tokens out: text to one list of characters per token."""

    name: str
    tokenizer: Any
    spell: Callable[[str], list[list[int]]]


def expected_weights(
    parts: Parts,
    sentences: Iterable[Weighted],
    spelled: Sequence[Sequence[int]],
    *,
    tail_weight: float = 0.0,
) -> list[float]:
    """One weight per token, by painting the answer's letters with the weights of its sentences.

    White space of the answer is repainted with the weight of the letter before it (at the start:
    after it). A token of the head weighs 0, even if it only begins there; any other has the
    smallest weight of its letters or, without letters, of its spaces. Offsets of sentences are in
    the answer before a template trimmed it.
    """
    answer = parts.answer
    paint: list[float] = [0.0] * (parts.dropped + len(answer))
    for start, end, weight in sentences:
        for at in range(start, min(end, len(paint))):
            paint[at] = weight
    paint = paint[parts.dropped :]
    nearest = next((paint[at] for at, x in enumerate(answer) if not x.isspace()), 0.0)
    for at, letter in enumerate(answer):
        if letter.isspace():
            paint[at] = nearest
        nearest = paint[at]
    painted = [-1.0] * len(parts.head) + paint + [tail_weight] * len(parts.tail)
    text = parts.text
    weights = []
    for characters in spelled:
        words = [painted[at] for at in characters if not text[at].isspace()]
        in_head = any(painted[at] < 0 for at in characters)
        weights.append(0.0 if in_head else min(words or [painted[at] for at in characters]))
    return weights


def spell_bytes(tokenizer: Any, text: str) -> list[list[int]]:
    """Characters of each token of a byte-level BPE, from the bytes that it is spelled with.

    Special tokens may include the white space next to them (Phi-3, RoBERTa) without spelling it.
    """
    owners: list[tuple[int, ...]] = []
    raw = b""
    normalizer = tokenizer.backend_tokenizer.normalizer
    for start, end in _normal_segments(text):
        segment = text[start:end]
        normal = normalizer.normalize_str(segment) if normalizer else segment
        raw += normal.encode("utf-8")
        for letter, made_of in zip(normal, _ingredients(segment, normal), strict=True):
            owners += [tuple(start + at for at in made_of)] * len(letter.encode("utf-8"))
    byte_of = byte_alphabet()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    added = tokenizer.added_tokens_decoder
    position, spelled = 0, []
    for token_id, token in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True):
        start, special = position, added.get(token_id)
        spelling = token.encode("utf-8") if special else bytes(byte_of[x] for x in token)
        while special and special.lstrip and text[owners[position][0]].isspace():
            position += 1
        if raw[position : position + len(spelling)] != spelling:
            raise AssertionError(f"token {token!r} is not the text at byte {position}")
        position += len(spelling)
        while special and special.rstrip and position < len(raw):
            if not text[owners[position][0]].isspace():
                break
            position += 1
        spelled.append(sorted({at for some in owners[start:position] for at in some}))
    if position != len(raw):
        raise AssertionError(f"tokens spell {position} of {len(raw)} bytes")
    return spelled


def spell_marked(tokenizer: Any, text: str, *, always_marks: bool) -> list[list[int]]:
    """Characters of each token of a SentencePiece-style model, whose spaces are written as marks.

    A mark represents a space, or was added before a segment (the text, and what follows a special
    token) that has no space before it; with `always_marks`, also before one that has.
    """
    added = {token.content for token in tokenizer.added_tokens_decoder.values()}
    raw = text.encode("utf-8")
    owners = [at for at, letter in enumerate(text) for _ in letter.encode("utf-8")]
    position, begins, spelled = 0, True, []
    for token in tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).tokens:
        is_added = token in added
        covered: list[int] = []
        for spelling in _spellings(token, is_added=is_added):
            here = spelling
            if spelling == "\u2581".encode():
                put_before = begins and (always_marks or raw[position : position + 1] != b" ")
                begins = False
                if put_before and not raw.startswith(spelling, position):
                    continue
                here = b" " if raw.startswith(b" ", position) else spelling
            if not raw.startswith(here, position):
                raise AssertionError(f"token {token!r} is not the text at byte {position}")
            begins = False
            covered += owners[position : position + len(here)]
            position += len(here)
        begins = is_added
        # The mark alone, before a word: it belongs to that word's first letter.
        spelled.append(sorted(set(covered)) or [owners[position]])
    if position != len(raw):
        raise AssertionError(f"tokens spell {position} of {len(raw)} bytes")
    return spelled


def _spellings(token: str, *, is_added: bool) -> list[bytes]:
    """What a token adds to the text, letter by letter; a byte token is one byte."""
    if is_added:
        return [token.encode("utf-8")]
    byte = _BYTE_TOKEN.fullmatch(token)
    return [bytes([int(byte[1], 16)])] if byte else [letter.encode("utf-8") for letter in token]


def _normal_segments(text: str) -> Iterable[tuple[int, int]]:
    """Parts that Unicode normalises separately: a letter and its combining characters."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not (unicodedata.combining(text[at]) or text[at] in _composing()):
            yield start, at
            start = at


def _ingredients(segment: str, normal: str) -> list[list[int]]:
    """For each letter of `normal`, the letters of `segment` that it was made from."""
    if normal == segment:
        return [[at] for at in range(len(segment))]
    pool = [
        (part, at)
        for at, letter in enumerate(segment)
        for part in unicodedata.normalize("NFD", letter)
    ]
    made_of: list[list[int]] = []
    for letter in normal:
        used: set[int] = set()
        for part in unicodedata.normalize("NFD", letter):
            found = next(entry for entry in pool if entry[0] == part)
            pool.remove(found)
            used.add(found[1])
        made_of.append(sorted(used))
    return made_of


@cache
def _composing() -> frozenset[str]:
    """Letters that may be composed into the one before: second parts of compositions, and Jamo."""
    found = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for code in range(sys.maxunicode + 1):
        halves = unicodedata.decomposition(chr(code)).split()
        if len(halves) == 2 and not halves[0].startswith("<"):
            found.add(chr(int(halves[1], 16)))
    return frozenset(found)


def byte_alphabet() -> dict[str, int]:
    """Letter to byte, as byte-level BPE writes them (Radford et al. 2019, GPT-2)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + index): byte for index, byte in enumerate(others)
    }


def load_tokenizer(folder: Path) -> TokenizerUnderTest:
    """A byte-level BPE tokenizer from a folder."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.chat_template = tokenizer.chat_template or CHATML
    return TokenizerUnderTest(
        name=folder.name, tokenizer=tokenizer, spell=lambda text: spell_bytes(tokenizer, text)
    )


def train_byte_level(texts: Sequence[str], *, trim_offsets: bool = False) -> TokenizerUnderTest:
    """A byte-level BPE of 2,000 tokens, trained on the texts themselves.

    With `trim_offsets`, as in GPT-2's and older Llama 3 files, its offsets leave out spaces.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=2000, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer = _wrap(backend)
    return TokenizerUnderTest(
        name="trained_trim_offsets" if trim_offsets else "trained_byte_level",
        tokenizer=tokenizer,
        spell=lambda text: spell_bytes(tokenizer, text),
    )


def train_unigram(texts: Sequence[str]) -> TokenizerUnderTest:
    """A SentencePiece-style Unigram of up to 4,000 tokens, trained on the texts themselves."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=4000, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    tokenizer = _wrap(backend, unk_token="<unk>")
    return TokenizerUnderTest(
        name="trained_unigram",
        tokenizer=tokenizer,
        spell=lambda text: spell_marked(tokenizer, text, always_marks=False),
    )


def train_byte_fallback(texts: Sequence[str]) -> TokenizerUnderTest:
    """A SentencePiece-style BPE with a token for every byte, as Llama 2 and InternLM have it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    backend.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback()])
    trainer = trainers.BpeTrainer(vocab_size=1200, show_progress=False)
    # Single words, so that the trainer does not learn merges over whole texts; only ASCII, so that
    # everything else is spelled in bytes.
    words = [word for text in texts for word in re.findall(r" ?[^\s]+|\s+", text)]
    words = [word for word in words if word.isascii()]
    backend.train_from_iterator(words, trainer)
    state = backend.model.__getstate__()
    backend.model = _with_byte_tokens(state)
    tokenizer = _wrap(backend, unk_token="<unk>")
    return TokenizerUnderTest(
        name="trained_byte_fallback",
        tokenizer=tokenizer,
        spell=lambda text: spell_marked(tokenizer, text, always_marks=True),
    )


def _with_byte_tokens(state: bytes) -> Any:
    """A trained BPE with 256 byte tokens and `<unk>` in its vocabulary."""
    from tokenizers import models

    model = json.loads(state)
    vocabulary = dict(model["vocab"])
    for token in ("<unk>", *(f"<0x{byte:02X}>" for byte in range(256))):
        vocabulary.setdefault(token, len(vocabulary))
    merges = [tuple(pair) for pair in model["merges"]]
    return models.BPE(
        vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True
    )


def _wrap(backend: Any, unk_token: str | None = None) -> Any:
    """A transformers tokenizer with ChatML's markers as special tokens."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        unk_token=unk_token,
    )
    tokenizer.chat_template = CHATML
    return tokenizer
