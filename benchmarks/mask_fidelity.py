"""Counts the tokens that a mask gets wrong: ours, and the published algorithm as the peer.

Three sets, with several tokenizers; our masks must have no wrong token (else exit code 1):

    human       human-labelled responses (--data), each once as the chosen and once as the
                rejected answer, cut at the published 1,024 tokens and not cut; without --data a
                few built-in ones
    adverse     Markdown, tables, code, emoji, repeats, outer spaces, spans inside letters, in four
                chat templates, whole and cut at every length from the prompt's to the full one
    control     text that is read as a control token, at every place of a pair: must be refused

Tokenizers: the one given with --tokenizer (a byte-level BPE folder; else one trained here) and a
SentencePiece-style Unigram trained here; for `adverse` and `control` also a byte-level BPE whose
offsets leave spaces out, and a SentencePiece-style BPE with byte tokens. Ours runs as in training:
`trainer.examples.prepare_examples` on pairs. Every token counts, including prompt and template, and
ids and float weights must be equal to the judge's. A pair that is dropped without the judge's
agreement counts as `ours_pairs_lost`, a side that is kept without a token to train as
`ours_sides_unmasked`: both are errors.

Judge: `mask_oracle.py`, which shares no code with `trainer` and reads no offsets.

Peer: the masks of open-compass/ANAH (`maskdpo/dataset.py`), re-implemented from its description:
each sentence is tokenised alone, and the lengths are added to the length of a separately tokenised
prompt; labels other than its two stay trained; a list that is longer than the text makes both sides
fall back to no mask. It gets the response in pieces that cover all of it, so that its errors are
its own. Two counts, over the tokens of the answer only:

    published              compared with this project's label policy
    published_misplaced    compared with its own label policy: errors of its arithmetic alone

Examples:

    python benchmarks/mask_fidelity.py
    python benchmarks/mask_fidelity.py --data human_labels --tokenizer tokenizers/qwen2
    python benchmarks/mask_fidelity.py --sets adverse control

The last line is one JSON object: `ours_wrong`, and for each set its totals and `rows`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mask_cases import CASES, TEMPLATES, Case, Sentences, Template
from mask_oracle import (
    Parts,
    TokenizerUnderTest,
    expected_weights,
    load_tokenizer,
    train_byte_fallback,
    train_byte_level,
    train_unigram,
)

from schemas.labels import Label, LabelPolicy, Side
from schemas.records import Message, Pair, Span
from schemas.spans import gaps, trim
from trainer.config import TrainConfig
from trainer.examples import Example, prepare_examples

SETS = ("human", "adverse", "control")
LABELS = {
    "factual": Label.NO_HALLUCINATION,
    "hallucinated": Label.HALLUCINATED,
    "no_fact": Label.NO_FACT,
}
MAX_LENGTHS = [1024, 16384]  # the published setting, and one that cuts nothing
PEER = "open-compass/ANAH maskdpo/dataset.py, re-implemented from its description"
Piece = tuple[int, int, Label]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response with labelled spans, sorted and disjoint, as one side of a pair."""

    text: str
    sentences: list[Piece]
    side: Side

    def spans(self) -> list[Span]:
        """The spans as `build` would write them; every second one has a weight that is not 1."""
        policy = LabelPolicy()
        return [
            Span(
                start=start,
                end=end,
                label=label,
                weight=policy.weight(label, self.side) * (0.25 if index % 2 else 1.0),
            )
            for index, (start, end, label) in enumerate(self.sentences)
        ]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One side, not cut: its ids, the expected weights, and the peer's view of it.

    inside      indices of the answer's tokens
    first       number of tokens that are entirely before the answer
    own         which tokens train by the peer's own label policy
    opening, lengths, hidden    what the peer sums: tokens of the prompt and of every piece,
                each tokenised alone, and whether the piece is masked
    """

    ids: list[int]
    weights: list[float]
    inside: list[int]
    first: int
    own: list[bool]
    opening: int
    lengths: list[int]
    hidden: list[bool]


class Tally:
    """The counts of one row, by name; 0 for a name that was never added."""

    COUNTS = (
        "responses",
        "kept_responses",
        "tokens",
        "kept_tokens",
        "answer_tokens",
        *(
            f"{who}_{what}_wrong"
            for who in ("ours", "published", "published_misplaced")
            for what in ("tokens", "responses")
        ),
        "ours_pairs_lost",
        "ours_sides_unmasked",
        "published_sides_unmasked",
    )

    def __init__(self) -> None:
        self.counts = dict.fromkeys(self.COUNTS, 0)

    def add(self, name: str, count: int) -> None:
        """Add to one count."""
        self.counts[name] += count

    def add_wrong(self, who: str, wrong: int) -> None:
        """Count one response's wrong tokens."""
        self.add(f"{who}_tokens_wrong", wrong)
        self.add(f"{who}_responses_wrong", bool(wrong))


def main() -> int:
    """Run the benchmark; exit code 1 if one of our masks is wrong."""
    arguments = parse_arguments()
    files = read_files(arguments.data)
    texts = [text for responses in files.values() for _, text, _ in responses]
    own = train_byte_level([*texts, *case_texts()])
    byte_level = load_tokenizer(arguments.tokenizer) if arguments.tokenizer else own
    unigram = train_unigram(texts if arguments.data else [*texts, *case_texts()])
    result: dict[str, Any] = {"benchmark": "mask_fidelity", "peer": PEER}
    if "human" in arguments.sets:
        result["human"] = run_human([byte_level, unigram], files, arguments.max_length)
    if {"adverse", "control"} & set(arguments.sets):
        adverse = [
            byte_level,
            train_unigram(case_texts()),
            train_byte_level(case_texts(), trim_offsets=True),
            train_byte_fallback(case_texts()),
        ]
        if "adverse" in arguments.sets:
            result["adverse"] = run_adverse(adverse)
        if "control" in arguments.sets:
            result["control"] = run_control(adverse)
    wrong = sum(result[name]["ours_wrong"] for name in arguments.sets)
    print(json.dumps({**result, "ours_wrong": wrong}, ensure_ascii=False))
    return 1 if wrong else 0


def run_human(
    tokenizers: Sequence[TokenizerUnderTest],
    files: dict[str, list[tuple[str, str, list[Piece]]]],
    max_lengths: Sequence[int],
) -> dict[str, Any]:
    """Every human-labelled response on either side, paired with an answer that always trains."""
    rows = []
    for under_test in tokenizers:
        for name, responses in files.items():
            for side in Side:
                tallies = {max_length: Tally() for max_length in max_lengths}
                for question, text, sentences in responses:
                    answer = Answer(text=text, sentences=sentences, side=side)
                    compare_response(under_test, question, answer, tallies)
                for max_length, tally in tallies.items():
                    row = {"tokenizer": under_test.name, "file": name, "side": str(side)}
                    rows.append({**row, "max_length": max_length, **tally.counts})
                    print(show_row(rows[-1], f"{name} {side} {max_length}"), flush=True)
    by_length = {
        str(length): totals([row for row in rows if row["max_length"] == length])
        for length in max_lengths
    }
    return {"by_max_length": by_length, **summed(rows)}


def compare_response(
    under_test: TokenizerUnderTest,
    question: str,
    answer: Answer,
    tallies: Mapping[int, Tally],
) -> None:
    """Add one response to the tally of each maximum length."""
    other_side = Side.REJECTED if answer.side is Side.CHOSEN else Side.CHOSEN
    kept = Label.NO_HALLUCINATION if other_side is Side.CHOSEN else Label.HALLUCINATED
    other = Answer(text="Yes.", sentences=[(0, 4, kept)], side=other_side)
    parts = own_parts(under_test.tokenizer, question, answer.text)
    judged = judge(under_test, parts, answer)
    for max_length, tally in tallies.items():
        config = TrainConfig(model="benchmark", max_length=max_length)
        example, reason = encode_pair(under_test.tokenizer, question, [answer, other], config)
        tally.add("ours_pairs_lost", is_lost(reason, [judged], max_length))
        compare_side(judged, example, answer.side, max_length, tally)
        mask, fell_back = published(judged, max_length)
        compare_published(judged, mask, max_length, tally)
        tally.add("published_sides_unmasked", fell_back)


def run_adverse(tokenizers: Sequence[TokenizerUnderTest]) -> dict[str, Any]:
    """Every case in every template, whole and cut at every length."""
    rows = []
    for under_test in tokenizers:
        for template in TEMPLATES:
            under_test.tokenizer.chat_template = template.jinja
            for case in CASES:
                tally = Tally()
                compare_case(under_test, template, case, tally)
                rows.append(
                    {
                        "tokenizer": under_test.name,
                        "template": template.name,
                        "case": case.name,
                        **tally.counts,
                    }
                )
            those = [row for row in rows if row["tokenizer"] == under_test.name]
            those = [row for row in those if row["template"] == template.name]
            print(show_row({**those[0], **totals(those)}, template.name), flush=True)
    return summed(rows)


def compare_case(
    under_test: TokenizerUnderTest, template: Template, case: Case, tally: Tally
) -> None:
    """Add one pair to the tally, once per length from one token of the answer to all tokens."""
    answers = [join(case.chosen, Side.CHOSEN), join(case.rejected, Side.REJECTED)]
    judged = {
        answer.side: judge(under_test, template.parts(case.question, answer.text), answer)
        for answer in answers
    }
    shortest = min(side.first for side in judged.values()) + 1
    longest = max(len(side.ids) for side in judged.values())
    for max_length in range(shortest, longest + 1):
        config = TrainConfig(model="benchmark", max_length=max_length)
        example, reason = encode_pair(under_test.tokenizer, case.question, answers, config)
        tally.add("ours_pairs_lost", is_lost(reason, judged.values(), max_length))
        masks = {side: published(one, max_length) for side, one in judged.items()}
        fell_back = any(fell for _, fell in masks.values())  # one side's failure unmasks both
        tally.add("published_sides_unmasked", 2 * fell_back)
        for side, one in judged.items():
            compare_side(one, example, side, max_length, tally)
            mask = unmasked(one, max_length) if fell_back else masks[side][0]
            compare_published(one, mask, max_length, tally)


def is_lost(reason: str | None, judged: Iterable[Judged], max_length: int) -> bool:
    """Whether a pair was dropped for a reason that neither side gives."""
    if reason is None:
        return False
    return all(reason not in drop_reasons(side, max_length) for side in judged)


def drop_reasons(judged: Judged, max_length: int) -> set[str]:
    """Why a pair with this side must be dropped; empty if this side can train."""
    reasons = set()
    if judged.first >= max_length:
        reasons.add("prompt_too_long")
    if not any(judged.weights):
        reasons.add("no_active_token")
    elif not reasons and not any(judged.weights[:max_length]):
        reasons.add("truncated")
    return reasons


def run_control(tokenizers: Sequence[TokenizerUnderTest]) -> dict[str, Any]:
    """Control text at every place of a pair: the cases that were not refused."""
    rows = []
    fine = {side: join([("It is. ", "no_fact"), ("So.", "no_fact")], side) for side in Side}
    config = TrainConfig(model="benchmark")
    for under_test in tokenizers:
        tokenizer = under_test.tokenizer
        controls = [token.content for token in tokenizer.added_tokens_decoder.values()]
        tried = refused = 0
        for template in TEMPLATES:
            tokenizer.chat_template = template.jinja
            for control, place in ((c, p) for c in controls for p in ("{} b", "a{}b", "a\n{}")):
                said = place.format(control)
                for where in (None, *Side):
                    answers = dict(fine)
                    if where:
                        answers[where] = join([(said, "factual"), (said, "hallucinated")], where)
                    _, reason = encode_pair(
                        tokenizer, "Who?" if where else said, list(answers.values()), config
                    )
                    tried += 1
                    refused += reason == "control_token"
        rows.append(
            {
                "tokenizer": under_test.name,
                "control_tokens": len(controls),
                "tried": tried,
                "refused": refused,
                "ours_wrong": tried - refused,
            }
        )
        print(f"{under_test.name:>22} {'control text':>28}: {refused} of {tried} refused")
    keys = ("tried", "refused", "ours_wrong")
    return {key: sum(row[key] for row in rows) for key in keys} | {"rows": rows}


def encode_pair(
    tokenizer: Any, question: str, answers: Sequence[Answer], config: TrainConfig
) -> tuple[Example | None, str | None]:
    """Ours: the example as in training, or the reason for the drop."""
    values: dict[str, Any] = {}
    for answer in answers:
        values[str(answer.side)] = [Message(role="assistant", content=answer.text)]
        values[f"{answer.side}_spans"] = answer.spans()
    pair = Pair(id="pair", prompt=[Message(role="user", content=question)], **values)
    prepared = prepare_examples([pair], tokenizer, config)
    if prepared.dropped:
        return None, prepared.dropped[0].reason
    return prepared.examples[0], None


def judge(under_test: TokenizerUnderTest, parts: Parts, answer: Answer) -> Judged:
    """One side by the oracle, and what the peer needs to know about it."""
    tokenizer = under_test.tokenizer

    def count_tokens(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    spelled = under_test.spell(parts.text)
    spans = [(span.start, span.end, span.weight) for span in answer.spans()]
    pieces = cover(answer)
    hidden = Label.HALLUCINATED if answer.side is Side.CHOSEN else Label.NO_HALLUCINATION
    own = [(start, end, float(label is not hidden)) for start, end, label in pieces]
    start, end = len(parts.head), len(parts.head) + len(parts.answer)
    return Judged(
        ids=tokenizer(parts.text, add_special_tokens=False)["input_ids"],
        weights=expected_weights(parts, spans, spelled),
        inside=[at for at, some in enumerate(spelled) if some[-1] >= start and some[0] < end],
        first=sum(some[-1] < start for some in spelled),
        own=[weight > 0 for weight in expected_weights(parts, own, spelled)],
        opening=count_tokens(parts.head),
        lengths=[count_tokens(answer.text[start:end]) for start, end, _ in pieces],
        hidden=[label is hidden for _, _, label in pieces],
    )


def own_parts(tokenizer: Any, question: str, answer: str) -> Parts:
    """The conversation in the tokenizer's own template, which must not trim, with part lengths."""
    prompt = [{"role": "user", "content": question}]
    head = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    reply = {"role": "assistant", "content": answer}
    text = tokenizer.apply_chat_template([*prompt, reply], tokenize=False)
    if not text.startswith(head + answer):
        sys.exit("error: the chat template of --tokenizer trims or rewrites answers; give another")
    return Parts(head=head, answer=answer, tail=text[len(head) + len(answer) :])


def compare_side(
    judged: Judged, example: Example | None, side: Side, max_length: int, tally: Tally
) -> None:
    """Count our wrong tokens of one side; a dropped pair has none: see `is_lost`."""
    wanted, ids = judged.weights[:max_length], judged.ids[:max_length]
    tally.add("responses", 1)
    tally.add("tokens", len(ids))
    if example is None:
        tally.add_wrong("ours", 0)
        return
    sequence = example.chosen if side is Side.CHOSEN else example.rejected
    got = list(zip(sequence.token_ids, sequence.weights, strict=True))
    wrong = sum(a != b for a, b in zip(got, zip(ids, wanted, strict=True), strict=False))
    tally.add_wrong("ours", wrong + abs(len(got) - len(ids)))
    tally.add("ours_sides_unmasked", not any(sequence.weights))
    tally.add("kept_responses", 1)
    tally.add("kept_tokens", len(ids))


def compare_published(judged: Judged, mask: Sequence[bool], max_length: int, tally: Tally) -> None:
    """Count the peer's wrong tokens of the answer, by our label policy and by its own."""
    inside = [at for at in judged.inside if at < max_length]
    tally.add("answer_tokens", len(inside))
    wanted = [weight > 0 for weight in judged.weights]
    tally.add_wrong("published", sum(mask[at] != wanted[at] for at in inside))
    tally.add_wrong("published_misplaced", sum(mask[at] != judged.own[at] for at in inside))


def published(judged: Judged, max_length: int) -> tuple[list[bool], bool]:
    """The published masks, by their description, and whether they fell back to no mask."""
    mask = unmasked(judged, max_length)
    num_ids, position = len(mask), min(judged.opening, len(mask))
    for length, hide in zip(judged.lengths, judged.hidden, strict=True):
        if hide:
            mask[position : position + length] = [False] * length  # past the end, the list grows
        position += length
    if len(mask) == num_ids:
        return mask, False
    return unmasked(judged, max_length), True


def unmasked(judged: Judged, max_length: int) -> list[bool]:
    """Which tokens train without masks: all after the prompt, as the peer measures it."""
    num_ids = min(len(judged.ids), max_length)
    origin = min(judged.opening, num_ids)
    return [False] * origin + [True] * (num_ids - origin)


def cover(answer: Answer) -> list[Piece]:
    """The sentences, and the text between them as separate pieces: `undetermined`."""
    pieces = list(answer.sentences)
    spans = [(start, end) for start, end, _ in answer.sentences]
    for start, end in gaps(len(answer.text), spans):
        inner = trim(answer.text, start, end)
        if inner is not None:
            pieces.append((*inner, Label.UNDETERMINED))
    return sorted(pieces)


def join(sentences: Sentences, side: Side) -> Answer:
    """An answer from its pieces; None means text without a label."""
    text, pieces = "", []
    for piece, label in sentences:
        if label is not None:
            pieces.append((len(text), len(text) + len(piece), LABELS[label]))
        text += piece
    return Answer(text=text, sentences=pieces, side=side)


def case_texts() -> list[str]:
    """All answers of the adverse cases, on which tokenizers are trained."""
    sides = [side for case in CASES for side in (case.chosen, case.rejected)]
    return ["".join(piece for piece, _ in sentences) for sentences in sides] * 4


def read_files(folder: Path | None) -> dict[str, list[tuple[str, str, list[Piece]]]]:
    """Question, response and sentences by file name: of a folder's JSONL files, or built-in."""
    if folder is None:
        answers = [join(case.chosen, Side.CHOSEN) for case in CASES]
        return {"built_in": [("Write about this.", one.text, one.sentences) for one in answers]}
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        sys.exit(f"error: {folder}: has no .jsonl file; --data must be the folder of human labels")
    return {path.stem: list(read_responses(path)) for path in paths}


def read_responses(path: Path) -> Iterator[tuple[str, str, list[Piece]]]:
    """The responses of one human-labelled file; null labels become `undetermined`."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            sentences = [
                (item["start"], item["end"], LABELS.get(item["label"], Label.UNDETERMINED))
                for item in row["sentences"]
            ]
            yield row["question"] or "Write about this.", row["response"], sorted(sentences)


def totals(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The sums of the rows' counts."""
    return {key: sum(row[key] for row in rows) for key in Tally.COUNTS}


def summed(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A set's totals, all and by tokenizer, and its rows."""
    names = dict.fromkeys(row["tokenizer"] for row in rows)
    all_rows = totals(rows)
    wrong = ("ours_tokens_wrong", "ours_pairs_lost", "ours_sides_unmasked")
    return {
        **all_rows,
        "ours_wrong": sum(all_rows[key] for key in wrong),
        "by_tokenizer": {
            name: totals([row for row in rows if row["tokenizer"] == name]) for name in names
        },
        "rows": rows,
    }


def show_row(row: dict[str, Any], what: str) -> str:
    """One line of text for a row."""
    return (
        f"{row['tokenizer']:>22} {what:>28}: {row['responses']:>5} responses, "
        f"{row['tokens']:>7} tokens, {row['answer_tokens']:>7} of answers; wrong tokens "
        f"(responses): ours {row['ours_tokens_wrong']} ({row['ours_responses_wrong']}), "
        f"published {row['published_tokens_wrong']} ({row['published_responses_wrong']}), "
        f"of these misplaced {row['published_misplaced_tokens_wrong']} "
        f"({row['published_misplaced_responses_wrong']}); sides without mask: "
        f"ours {row['ours_sides_unmasked']}, published {row['published_sides_unmasked']}"
    )


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of human-labelled JSONL files")
    parser.add_argument("--tokenizer", type=Path, help="folder of a byte-level BPE tokenizer")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), help="what to run")
    parser.add_argument(
        "--max-length",
        type=int,
        nargs="+",
        default=MAX_LENGTHS,
        help="tokens, for the human set [1024 16384]",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
