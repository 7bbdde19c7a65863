"""Counts the tokens that a mask gets wrong: ours, and the published algorithm beside it.

    python benchmarks/mask_fidelity.py                                  built-in text, alone
    python benchmarks/mask_fidelity.py --data DIR --tokenizer DIR       human-labelled responses

Every response is taken once as the chosen and once as the rejected answer, under two tokenizers:
the one given (or a byte-level BPE trained here), and a SentencePiece-style Unigram trained here.

Judge of both: an oracle that paints characters and spells tokens out, byte by byte or letter by
letter. It shares no code with `trainer.masks` and uses no offsets.

Peer: the masks of open-compass/ANAH (`maskdpo/dataset.py`), re-implemented from a description of
what it does: each sentence tokenised alone and the lengths added up from the length of a
separately tokenised prompt; labels other than its two stay trained; a list that has outgrown the
text falls back to no mask at all. It is given the response in pieces that cover all of it, so
that what it gets wrong is its own. Two counts, both over the tokens of the answer:

    published              against this project's label policy
    published_misplaced    against its own label policy: what its arithmetic alone gets wrong
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.labels import Label, LabelPolicy, Side
from schemas.records import Message, Span
from schemas.spans import gaps, trim
from trainer.examples import encode_rendered
from trainer.render import frame_prompt, render_answer

FILES = ("factcheck_bench", "expertqa_rand_val", "storysumm_val", "uhgeval_first500")
LABELS = {
    "factual": Label.NO_HALLUCINATION,
    "hallucinated": Label.HALLUCINATED,
    "no_fact": Label.NO_FACT,
}
MAX_LENGTH = 1024  # the published setting
Piece = tuple[int, int, Label]
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
BUILT_IN = [
    [("Ada Ling was born in Lima.", "factual"), (" She was born in Lima.", "hallucinated")],
    [("It is.", "factual"), (" It is.", "hallucinated"), (" It is.", "factual")],
    [
        ("# Rivers\n\n", "no_fact"),
        ("- The Orr is 1,204 km long.\n", "factual"),
        ("- It *never* freezes!\n\n", "hallucinated"),
        ("See https://example.org/a?b=1.", "no_fact"),
    ],
    [("Great 😀😀", "no_fact"), ("👍🏽 truly", "hallucinated"), ("\n\n  …", None)],
    [("你好，世界。", "factual"), ("他出生于一九七一年。", "hallucinated"), ("再见！", "no_fact")],
    [("  leading space", "hallucinated"), ("and no gap", "factual"), ("  \n", None)],
    [("1.", "factual"), ("5", "hallucinated"), (" litres", "factual"), ("...", "hallucinated")],
]


@dataclass(frozen=True, kw_only=True)
class LabelledResponse:
    """A response with labelled stretches: (start, end, label), sorted and disjoint."""

    question: str
    text: str
    sentences: list[Piece]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A rendered conversation: the answer, and what the template wrote around it."""

    head: str
    answer: str
    tail: str


@dataclass(frozen=True, kw_only=True)
class TokenizerUnderTest:
    """A tokenizer, and how to spell its tokens out: text to one list of characters a token."""

    name: str
    tokenizer: Any
    spell: Callable[[str], list[list[int]]]


@dataclass(kw_only=True)
class Tally:
    """Tokens of answers and how many of them each algorithm gets wrong."""

    responses: int = 0
    tokens: int = 0
    wrong_tokens: dict[str, int] = field(default_factory=dict)
    wrong_responses: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, got: Sequence[bool], wanted: Sequence[bool]) -> None:
        """Count where one response's mask differs from the wanted one."""
        wrong = sum(a != b for a, b in zip(got, wanted, strict=True))
        self.wrong_tokens[name] = self.wrong_tokens.get(name, 0) + wrong
        self.wrong_responses[name] = self.wrong_responses.get(name, 0) + bool(wrong)


def main() -> int:
    """Run the benchmark; exit code 1 when one of our tokens is wrong."""
    arguments = parse_arguments()
    files = read_files(arguments.data)
    texts = [response.text for responses in files.values() for response in responses]
    tokenizers = [
        load_tokenizer(arguments.tokenizer) if arguments.tokenizer else train_byte_level(texts),
        train_unigram(texts),
    ]
    rows = []
    for under_test in tokenizers:
        for name, responses in files.items():
            for side in Side:
                rows.append(measure(under_test, name, responses, side, arguments.max_length))
                print(show_row(rows[-1]), flush=True)
    totals = {
        key: sum(row[key] for row in rows) for key in rows[0] if isinstance(rows[0][key], int)
    }
    peer = "open-compass/ANAH maskdpo/dataset.py, re-implemented from its description"
    print(json.dumps({"benchmark": "mask_fidelity", "peer": peer, **totals, "rows": rows}))
    return 1 if totals["ours_tokens_wrong"] else 0


def measure(
    under_test: TokenizerUnderTest,
    name: str,
    responses: Iterable[LabelledResponse],
    side: Side,
    max_length: int,
) -> dict[str, Any]:
    """Ours, the oracle and the published algorithm over the responses of one file."""
    tally = Tally()
    for response in responses:
        compare(under_test, response, side, max_length, tally)
    row: dict[str, Any] = {
        "tokenizer": under_test.name,
        "file": name,
        "side": str(side),
        "responses": tally.responses,
        "tokens": tally.tokens,
    }
    for algorithm in ("ours", "published", "published_misplaced"):
        row[f"{algorithm}_tokens_wrong"] = tally.wrong_tokens.get(algorithm, 0)
        row[f"{algorithm}_responses_wrong"] = tally.wrong_responses.get(algorithm, 0)
    return row


def compare(
    under_test: TokenizerUnderTest,
    response: LabelledResponse,
    side: Side,
    max_length: int,
    tally: Tally,
) -> None:
    """Add one response, on one side, to the tally."""
    tokenizer, policy = under_test.tokenizer, LabelPolicy()
    prompt = [Message(role="user", content=response.question)]
    frame = frame_prompt(tokenizer, prompt, {})
    rendered = render_answer(tokenizer, prompt, response.text, frame, {})
    spans = [
        Span(start=start, end=end, label=label, weight=policy.weight(label, side))
        for start, end, label in response.sentences
    ]
    sequence = encode_rendered(tokenizer, rendered, spans, trailer_weight=0.0)
    ours = [weight > 0 for weight in sequence.weights[:max_length]]

    parts = Parts(
        head=rendered.text[: rendered.start],
        answer=response.text,
        tail=rendered.text[rendered.end :],
    )
    spelled = under_test.spell(rendered.text)[:max_length]
    keeps = {span.label for span in spans if span.weight > 0}
    wanted = oracle(parts, response.sentences, keeps, spelled)

    pieces = cover(response)
    hidden = Label.HALLUCINATED if side is Side.CHOSEN else Label.NO_HALLUCINATION
    num_ids = len(sequence.token_ids[:max_length])
    opening = tokenizer.apply_chat_template(
        [message.model_dump() for message in prompt], tokenize=False, add_generation_prompt=True
    )

    def count_tokens(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    lengths = [count_tokens(response.text[start:end]) for start, end, _ in pieces]
    is_hidden = [label is hidden for _, _, label in pieces]
    theirs = published(count_tokens(opening), num_ids, lengths, is_hidden)
    own_policy = oracle(parts, pieces, set(Label) - {hidden}, spelled)

    inside = [
        at
        for at, characters in enumerate(spelled)
        if characters and characters[-1] >= rendered.start and characters[0] < rendered.end
    ]
    tally.responses += 1
    tally.tokens += len(inside)
    for name, got, expected in (
        ("ours", ours, wanted),
        ("published", theirs, wanted),
        ("published_misplaced", theirs, own_policy),
    ):
        tally.add(name, [got[at] for at in inside], [expected[at] for at in inside])


def oracle(
    parts: Parts,
    sentences: Iterable[Piece],
    keeps: set[Label],
    spelled: Sequence[Sequence[int]],
) -> list[bool]:
    """Which tokens train, by painting the text: T trains, m is masked, as are head and tail.

    White space of the answer is repainted in the colour of the letter before it (at the start:
    after it). A token trains when all its letters are T; without letters, when all its spaces are.
    """
    answer = parts.answer
    paint = ["m"] * len(answer)
    for start, end, label in sentences:
        for at in range(start, end):
            paint[at] = "T" if label in keeps else "m"
    shape = "".join(
        "_" if letter.isspace() else colour for letter, colour in zip(answer, paint, strict=True)
    )
    painted = re.sub(r"([Tm])(_+)", lambda match: match[1] * (1 + len(match[2])), shape)
    painted = re.sub(r"^(_+)([Tm]?)", lambda match: (match[2] or "m") * len(match[0]), painted)
    painted = "h" * len(parts.head) + painted + "m" * len(parts.tail)
    text = parts.head + answer + parts.tail
    trains = []
    for characters in spelled:
        colours = [painted[at] for at in characters]
        letters = [painted[at] for at in characters if not text[at].isspace()]
        trains.append("h" not in colours and set(letters or colours) == {"T"})
    return trains


def published(
    prompt_length: int, num_ids: int, lengths: Sequence[int], is_hidden: Sequence[bool]
) -> list[bool]:
    """The published masks, by their description: which tokens train, end-of-text included.

    prompt_length, lengths    tokens of the prompt, and of each sentence, each tokenised alone
    num_ids                   tokens of the whole, after truncation
    """
    origin = min(prompt_length, num_ids)
    unmasked = [False] * origin + [True] * (num_ids - origin)
    mask, position = list(unmasked), origin
    for length, hide in zip(lengths, is_hidden, strict=True):
        if hide:
            mask[position : position + length] = [False] * length  # past the end, the list grows
        position += length
    return mask if len(mask) == num_ids else unmasked


def cover(response: LabelledResponse) -> list[Piece]:
    """The sentences, and what no sentence covers as pieces of their own: `undetermined`."""
    pieces = list(response.sentences)
    spans = [(start, end) for start, end, _ in response.sentences]
    for start, end in gaps(len(response.text), spans):
        inner = trim(response.text, start, end)
        if inner is not None:
            pieces.append((*inner, Label.UNDETERMINED))
    return sorted(pieces)


def spell_bytes(tokenizer: Any, text: str) -> list[list[int]]:
    """Characters of each token of a byte-level BPE, by adding up the bytes it is spelled with."""
    owners: list[int] = []
    raw = b""
    normalizer = tokenizer.backend_tokenizer.normalizer
    for start, end in normal_segments(text):
        segment = text[start:end]
        normal = normalizer.normalize_str(segment) if normalizer else segment
        encoded = normal.encode("utf-8")
        raw += encoded
        # A composed character comes from all characters of its segment; its first one stands in.
        lengths = [len(letter.encode("utf-8")) for letter in normal]
        for at, length in enumerate(lengths):
            owners += [min(start + at, end - 1)] * length
    byte_of = byte_alphabet()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    special = set(tokenizer.all_special_ids)
    position, spelled = 0, []
    for token_id, token in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True):
        spelling = (
            token.encode("utf-8")
            if token_id in special
            else bytes(byte_of[letter] for letter in token)
        )
        if raw[position : position + len(spelling)] != spelling:
            raise AssertionError(f"token {token!r} is not what stands at byte {position}")
        spelled.append(sorted(set(owners[position : position + len(spelling)])))
        position += len(spelling)
    if position != len(raw):
        raise AssertionError(f"tokens spell {position} of {len(raw)} bytes")
    return spelled


def normal_segments(text: str) -> Iterable[tuple[int, int]]:
    """Stretches that Unicode normalisation handles apart: a letter with what combines with it."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not unicodedata.combining(text[at]):
            yield start, at
            start = at


def byte_alphabet() -> dict[str, int]:
    """Letter to byte, as byte-level BPE writes them (Radford et al. 2019, GPT-2)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + index): byte for index, byte in enumerate(others)
    }


def spell_letters(tokenizer: Any, text: str) -> list[list[int]]:
    """Characters of each token of a SentencePiece-style model, letter by letter."""
    position, spelled = 0, []
    for token in tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).tokens:
        characters = []
        for letter in token:
            here = text[position] if position < len(text) else ""
            if letter == "\u2581" and here not in (" ", "\u2581"):
                continue  # put before a word that has no space before it: no character of the text
            if letter not in (here, "\u2581"):
                raise AssertionError(f"token {token!r} is not what stands at {position}")
            characters.append(position)
            position += 1
        # The mark alone, before a word: it belongs to that word's first letter.
        spelled.append(characters or [position])
    if position != len(text):
        raise AssertionError(f"tokens spell {position} of {len(text)} characters")
    return spelled


def load_tokenizer(folder: Path) -> TokenizerUnderTest:
    """A byte-level BPE tokenizer from a folder."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.chat_template = tokenizer.chat_template or CHATML
    return TokenizerUnderTest(
        name=folder.name, tokenizer=tokenizer, spell=lambda text: spell_bytes(tokenizer, text)
    )


def train_byte_level(texts: Sequence[str]) -> TokenizerUnderTest:
    """A byte-level BPE of 2,000 tokens made from the responses themselves."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=2000, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer = wrap(backend)
    return TokenizerUnderTest(
        name="trained_byte_level",
        tokenizer=tokenizer,
        spell=lambda text: spell_bytes(tokenizer, text),
    )


def train_unigram(texts: Sequence[str]) -> TokenizerUnderTest:
    """A SentencePiece-style Unigram of up to 4,000 tokens made from the responses themselves."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=4000, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    tokenizer = wrap(backend, unk_token="<unk>")
    return TokenizerUnderTest(
        name="trained_unigram",
        tokenizer=tokenizer,
        spell=lambda text: spell_letters(tokenizer, text),
    )


def wrap(backend: Any, unk_token: str | None = None) -> Any:
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


def read_files(folder: Path | None) -> dict[str, list[LabelledResponse]]:
    """Labelled responses by file name, or the built-in ones."""
    if folder is None:
        return {"built_in": [join(parts) for parts in BUILT_IN]}
    missing = [name for name in FILES if not (folder / f"{name}.jsonl").is_file()]
    if missing:
        sys.exit(
            f"error: {folder}: holds no {', '.join(missing)} (.jsonl); --data names the folder"
        )
    return {name: list(read_responses(folder / f"{name}.jsonl")) for name in FILES}


def read_responses(path: Path) -> Iterable[LabelledResponse]:
    """The responses of one human-labelled file; null labels become `undetermined`."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield LabelledResponse(
                question=row["question"] or "Write about this.",
                text=row["response"],
                sentences=sorted(
                    (item["start"], item["end"], LABELS.get(item["label"], Label.UNDETERMINED))
                    for item in row["sentences"]
                ),
            )


def join(parts: Sequence[tuple[str, str | None]]) -> LabelledResponse:
    """A response from its pieces; None is text that nobody labelled."""
    text, sentences = "", []
    for piece, label in parts:
        if label is not None:
            sentences.append((len(text), len(text) + len(piece), LABELS[label]))
        text += piece
    return LabelledResponse(question="Write about this.", text=text, sentences=sentences)


def show_row(row: dict[str, Any]) -> str:
    """One line for a person."""
    return (
        f"{row['tokenizer']:>18} {row['file']:>18} {row['side']:>8}: "
        f"{row['responses']:>5} responses, {row['tokens']:>7} tokens; wrong tokens (responses): "
        f"ours {row['ours_tokens_wrong']} ({row['ours_responses_wrong']}), "
        f"published {row['published_tokens_wrong']} ({row['published_responses_wrong']}), "
        f"of these misplaced {row['published_misplaced_tokens_wrong']} "
        f"({row['published_misplaced_responses_wrong']})"
    )


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of human-labelled JSONL files")
    parser.add_argument("--tokenizer", type=Path, help="folder of a byte-level BPE tokenizer")
    parser.add_argument(
        "--max-length", type=int, default=MAX_LENGTH, help="tokens of prompt and answer [1024]"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
