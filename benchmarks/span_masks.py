"""Which characters and tokens train on the rejected side: whole sentences against wrong words.

The rule: what is wrong is read from the spans of people in the file itself, character by character;
the pairs come from the product (import, `build`, the trainer's masks). White space is not counted.

    pairs     characters of rejected sides that train although no person marked them (innocent),
              marked characters that keep a weight, and responses that cannot be a rejected side
    tokens    every response as both sides of a pair: token weights of `trainer` against the judge
              of `mask_oracle.py`, which shares no code with it and reads no offsets

Examples:

    python benchmarks/span_masks.py --data ragtruth.jsonl
    python benchmarks/span_masks.py --data ragtruth.jsonl --tokenizer qwen2 smollm2-135m

The last line is one JSON object. Exit code 1 if a token is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mask_oracle import CHATML, Parts, TokenizerUnderTest, expected_weights, load_tokenizer

from dataset_builder.build import build_pairs
from dataset_builder.config import BuildConfig, Granularity
from dataset_builder.weights import lacks_wrong_words, make_spans
from formats.human_labels import read_human_labels
from schemas.labels import Label, Side
from schemas.records import Annotation, Message, Pair, Span

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "sentence": {"granularity": Granularity.SENTENCE},
    "span": {"granularity": Granularity.SPAN},
    "span, context 0.25": {
        "granularity": Granularity.SPAN,
        "context_weight": 0.25,
        "chosen_context_weight": 0.25,
    },
}
QUESTION = "Write about this."
Marked = Mapping[str, frozenset[int]]


def main() -> int:
    """Run the benchmark; exit code 1 if the weight of a token is wrong."""
    arguments = parse_arguments()
    rows = read_human_labels(arguments.data).annotations
    marked = read_marked(arguments.data)
    pairs = {
        name: count_pairs(rows, marked, BuildConfig.parse(values, where=name))
        for name, values in SETTINGS.items()
    }
    for name, counts in pairs.items():
        print(show_pairs(name, counts))
    tokens = [
        {"tokenizer": folder.name, "setting": name, **count_tokens(rows, marked, folder, values)}
        for folder in arguments.tokenizer
        for name, values in SETTINGS.items()
    ]
    for row in tokens:
        print(show_tokens(row), flush=True)
    wrong = sum(row["wrong_tokens"] for row in tokens)
    print(json.dumps({"benchmark": "span_masks", "pairs": pairs, "tokens": tokens}))
    return 1 if wrong else 0


def read_marked(path: Path) -> dict[str, frozenset[int]]:
    """The characters that people marked, by response id; without white space."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return {
        row["id"]: frozenset(
            at
            for span in row.get("spans", ())
            for at in range(span["start"], span["end"])
            if not row["response"][at].isspace()
        )
        for row in rows
    }


def count_pairs(
    rows: Sequence[Annotation], marked: Marked, config: BuildConfig
) -> dict[str, int | float]:
    """Characters of the rejected sides of the pairs that `build` makes with its default rule."""
    counts: Counter[str] = Counter()
    for pair in build_pairs(rows, config).pairs:
        text, wrong = pair.rejected[0].content, marked[pair.rejected_id]
        trains = active_characters(text, pair.rejected_spans or ())
        counts.update(
            pairs=1,
            active=len(trains),
            innocent=len(trains - wrong),
            marked=len(wrong),
            kept=len(trains & wrong),
            sides_without_weight=not trains,
        )
    counts["responses_without_wrong_words"] = sum(lacks_wrong_words(row, config) for row in rows)
    shares = {
        "innocent_share": counts["innocent"] / counts["active"],
        "kept_share": counts["kept"] / counts["marked"],
    }
    return {**counts, **shares}


def active_characters(text: str, spans: Iterable[Span]) -> set[int]:
    """Characters that train at full weight or less, without white space."""
    return {
        at
        for span in spans
        if span.weight > 0.0
        for at in range(span.start, span.end)
        if not text[at].isspace()
    }


def count_tokens(
    rows: Sequence[Annotation], marked: Marked, folder: Path, values: Mapping[str, Any]
) -> dict[str, int]:
    """Every response as both sides: tokens, wrong ones, and what of the marked text trains."""
    under_test = load_tokenizer(folder)
    under_test.tokenizer.chat_template = CHATML
    config = BuildConfig.parse(values, where="span_masks")
    counts: Counter[str] = Counter()
    for row in rows:
        for side in Side:
            spans = make_spans(row, side, config) or []
            counts.update(compare(under_test, row, side, spans, marked[row.id]))
    return dict(counts)


def compare(
    under_test: TokenizerUnderTest,
    row: Annotation,
    side: Side,
    spans: Sequence[Span],
    marked: frozenset[int],
) -> dict[str, int]:
    """One response on one side against the judge."""
    parts = Parts(
        head=f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n",
        answer=row.text,
        tail="<|im_end|>\n",
    )
    spelled = under_test.spell(parts.text)
    weighted = [(span.start, span.end, span.weight) for span in spans]
    expected = expected_weights(parts, weighted, spelled)
    found = token_weights(under_test.tokenizer, row.text, side, spans)
    if found is None:  # dropped: right only if no token trains
        return {"sides_without_token": 1, "wrong_tokens": sum(weight > 0 for weight in expected)}
    start = len(parts.head)
    counts = {
        "sides": 1,
        "tokens": len(expected),
        "wrong_tokens": sum(ours != judge for ours, judge in zip(found, expected, strict=True)),
        "active_tokens": sum(weight > 0 for weight in found),
    }
    if side is Side.REJECTED:
        trains = {
            at - start
            for weight, characters in zip(found, spelled, strict=True)
            if weight > 0
            for at in characters
            if not parts.text[at].isspace()
        }
        counts |= {"marked": len(marked), "kept": len(trains & marked)}
        counts |= {"active": len(trains), "innocent": len(trains - marked)}
    return counts


def token_weights(
    tokenizer: Any, text: str, side: Side, spans: Sequence[Span]
) -> list[float] | None:
    """The weights of all tokens as in training; None for a pair that was dropped."""
    from trainer.config import TrainConfig
    from trainer.examples import prepare_examples

    is_chosen = side is Side.CHOSEN
    label = Label.HALLUCINATED if is_chosen else Label.NO_HALLUCINATION
    other = (
        [Message(role="assistant", content="Yes.")],
        [Span(start=0, end=4, label=label, weight=1.0)],
    )
    ours = ([Message(role="assistant", content=text)], list(spans))
    chosen, rejected = (ours, other) if is_chosen else (other, ours)
    pair = Pair(
        id="pair",
        prompt=[Message(role="user", content=QUESTION)],
        chosen=chosen[0],
        rejected=rejected[0],
        chosen_spans=chosen[1],
        rejected_spans=rejected[1],
    )
    config = TrainConfig(model="benchmark", max_length=16384)
    prepared = prepare_examples([pair], tokenizer, config)
    if prepared.dropped:
        return None
    example = prepared.examples[0]
    return (example.chosen if is_chosen else example.rejected).weights


def show_pairs(name: str, counts: Mapping[str, int | float]) -> str:
    """One line of text."""
    return (
        f"{name:>20}: {counts['pairs']} pairs, rejected sides: {counts['active']:,} characters "
        f"train, of them innocent {counts['innocent']:,} ({counts['innocent_share']:.1%}); marked "
        f"{counts['marked']:,}, of them train {counts['kept']:,} ({counts['kept_share']:.1%}); "
        f"sides that do not train {counts['sides_without_weight']}, responses that cannot be "
        f"rejected for lack of wrong words {counts['responses_without_wrong_words']}"
    )


def show_tokens(row: Mapping[str, Any]) -> str:
    """One line of text."""
    innocent, kept = row["innocent"] / row["active"], row["kept"] / row["marked"]
    return (
        f"{row['tokenizer']:>20}: {row['setting']}: {row['sides']:,} sides, {row['tokens']:,} "
        f"tokens, wrong {row['wrong_tokens']}; in rejected sides, innocent characters in active "
        f"tokens {innocent:.1%}, marked characters in active tokens {kept:.1%}; sides without an "
        f"active token {row.get('sides_without_token', 0)}"
    )


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="human labels with spans, JSONL")
    parser.add_argument(
        "--tokenizer", type=Path, nargs="*", default=[], help="folders of byte-level BPE tokenizers"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
