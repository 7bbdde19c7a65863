"""Calls and prompt tokens per response, by protocol, and the share that a prefix cache serves.

The protocols are the annotator's own dialogues, answered by an oracle that gives people's label for
each sentence (and quotes the document); there is no server and no model. The peer is the published
order (open-compass/ANAH, its ANAH-v2 evaluation), re-implemented here from its description: one
conversation per sentence, three questions, the sentence first and the document last, in short
wording. The document comes with the second question, so a sentence without a fact does not include
it.

The cache is simulated: blocks of 16 tokens keyed by all tokens before them, as in vLLM, of
unlimited size, calls in order; the last token of a prompt is always computed. Replies are in the
cache too. The ceiling of `sentence` is what a cache could serve if the calls of a response shared
every token: (n - 1) / n for a response with n sentences, weighted by prompt tokens. It is compared
with a cache that is emptied after each response, so that the system message, which is the same in
every response, does not help.

    python benchmarks/prompt_economy.py --labels factcheck_bench.jsonl --tokenizer qwen2
    python benchmarks/prompt_economy.py ... --hallucinated contradicted

The last line is one JSON object: for each protocol calls_per_response, prompt_tokens_per_response,
uncached_prompt_tokens_per_response, cache_share; sentence_ceiling, sentence_of_ceiling,
response_of_published.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotator.calls.dialogue import Ask
from annotator.calls.store import Store
from annotator.calls.usage import Meter
from annotator.judging.evidence.quotes import QuoteFinder
from annotator.judging.judge import JudgeTask
from annotator.judging.llm_config import LlmConfig
from annotator.judging.llm_judge import LlmJudge
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.models.backend import Reply
from annotator.text.config import RetrievalConfig
from formats.human_labels import read_human_labels
from schemas.labels import Label
from schemas.records import Message

PROTOCOLS = ("anah", "sentence", "response")
PUBLISHED = "published"
BLOCK = 16
MOST_OF_PUBLISHED = 0.25
LEAST_OF_CEILING = 0.95
_FINDER = QuoteFinder()
REASON = "The document says so."

Encode = Callable[[Sequence[Message], str], tuple[list[int], list[int]]]
"""A call's messages and its reply, as the tokens of the prompt and of the reply."""
Call = tuple[Sequence[Message], str]
"""The messages of a call and the reply to it."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A labelled response: its task, and for each sentence the label that a judge would give."""

    task: JudgeTask
    labels: Sequence[str]
    quote: str


def main() -> int:
    args = parse_arguments()
    encode = make_encoder(args.tokenizer)
    cases = read_cases(args.labels, args.hallucinated)
    tallies = {name: Tally() for name in (*PROTOCOLS, PUBLISHED)}
    for name in PROTOCOLS:
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "store") as store:
            judge = LlmJudge(
                config=LlmConfig(model="oracle", protocol=name),
                retrieval=RetrievalConfig(max_tokens=10**9),  # whole documents, as the peer's
                splitter="sentencex",
                store=store,
                meter=Meter(),
            )
            for case in cases:
                tallies[name].add(calls_of(judge, case), encode)
    for case in cases:
        tallies[PUBLISHED].add(published_calls(case), encode)
    result = {name: tally.figures() for name, tally in tallies.items()}
    sentence = tallies["sentence"]
    ceiling = sentence.ceiling([len(case.task.sentences) for case in cases])
    reached = sentence.share_alone / ceiling
    share = tallies["response"].num_tokens / tallies[PUBLISHED].num_tokens
    num_sentences = sum(len(case.task.sentences) for case in cases)
    print(
        f"{len(cases)} responses, {num_sentences} sentences, "
        f"hallucinated ones answered {args.hallucinated!r}"
    )
    print("protocol    calls  prompt tokens  not cached  cache serves   (per response)")
    for name, values in result.items():
        print(
            f"{name:<10} {values['calls_per_response']:6.2f} "
            f"{values['prompt_tokens_per_response']:14,.0f} "
            f"{values['uncached_prompt_tokens_per_response']:11,.0f} {values['cache_share']:13.1%}"
        )
    print(
        f"sentence: a cache emptied after each response serves {sentence.share_alone:.2%}; "
        f"{num_sentences} sentences in {len(cases)} responses allow at most {ceiling:.2%}: "
        f"{reached:.1%} of it, target at least {LEAST_OF_CEILING:.0%}"
    )
    print(
        f"response: {share:.1%} of the published order's prompt tokens, "
        f"target at most {MOST_OF_PUBLISHED:.0%}"
    )
    summary = {
        "responses": len(cases),
        "sentences": num_sentences,
        "hallucinated": args.hallucinated,
        **result,
        "sentence_ceiling": round(ceiling, 4),
        "sentence_share_alone": round(sentence.share_alone, 4),
        "sentence_of_ceiling": round(reached, 4),
        "response_of_published": round(share, 4),
    }
    print(json.dumps(summary))
    return int(reached < LEAST_OF_CEILING or share > MOST_OF_PUBLISHED)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=Path, required=True, help="JSONL of people's labels")
    parser.add_argument(
        "--tokenizer", type=Path, required=True, help="tokenizer folder, with chat template"
    )
    parser.add_argument(
        "--hallucinated",
        choices=("contradicted", "not_mentioned"),
        default="not_mentioned",
        help="the oracle's label for sentences that people called hallucinated: with "
        "not_mentioned the third question is not asked, so the published order needs the fewest "
        "calls",
    )
    return parser.parse_args()


def make_encoder(folder: Path) -> Encode:
    """Prompts by the tokenizer's chat template."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encode(messages: Sequence[Message], reply: str) -> tuple[list[int], list[int]]:
        rows = [{"role": item.role, "content": item.content} for item in messages]
        text = tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=True)
        return (
            tokenizer.encode(text, add_special_tokens=False),
            tokenizer.encode(reply, add_special_tokens=False),
        )

    return encode


def read_cases(path: Path, hallucinated: str) -> list[Case]:
    """The labelled sentences of each response; unlabelled sentences are not judged."""
    labels = read_human_labels(path)
    names = {
        Label.NO_HALLUCINATION: "supported",
        Label.HALLUCINATED: hallucinated,
        Label.NO_FACT: "no_fact",
    }
    documents = {item.id: item for item in labels.documents if item.text.strip()}
    cases = []
    for annotation in labels.annotations:
        judged = [item for item in annotation.sentences if item.verdict.label in names]
        task = JudgeTask(
            response=annotation,
            sentences=[(item.start, item.end) for item in judged],
            documents=[documents[i] for i in annotation.document_ids if i in documents],
        )
        if judged and task.documents:  # without a document nothing is asked
            said = [names[item.verdict.label] for item in judged]
            cases.append(Case(task=task, labels=said, quote=first_words(task)))
    return cases


def first_words(task: JudgeTask) -> str:
    """The beginning of the longest line of the documents: some words to quote."""
    lines = (line.strip() for item in task.documents for line in item.text.splitlines())
    words = max(lines, key=len)[:160].split(" ")
    texts = [item.text for item in task.documents]
    while len(words) > 1 and not _FINDER.locate(" ".join(words), texts):
        words.pop()  # what is left is a word, a number or a name that is cut
    return " ".join(words)


def calls_of(judge: LlmJudge, case: Case) -> Iterator[Call]:
    """The calls of a response's dialogues, in order, with the oracle's replies."""
    inputs = judge.prepare(case.task)
    assert inputs is not None
    for first, dialogue in judge.dialogues_of(inputs):
        answer: Reply | None = None
        try:
            while True:
                # A generator is started by sending None.
                ask = dialogue.send(answer)  # type: ignore[arg-type]
                assert ask.purpose != "repair", "the oracle's answers need no repair"
                text = say(judge.config.protocol, ask, inputs, case, first)
                answer = Reply(text=text, finish_reason="stop")
                yield ask.messages, text
        except StopIteration as end:
            assert isinstance(end.value, list), "an oracle's verdicts are all usable"


def say(protocol: str, ask: Ask, inputs: ProtocolInput, case: Case, first: int) -> str:
    """The reply of a judge that agrees with people."""
    if protocol == "sentence":
        return json.dumps(verdict(case, first))
    if protocol == "response":
        verdicts = [
            {"id": number + 1, "begins": inputs.sentence(number)[:20], **verdict(case, number)}
            for number in range(first, len(case.labels))
            if number < first + LlmConfig(model="oracle").window
        ]
        return json.dumps({"verdicts": verdicts})
    num_asked = sum(message.role == "user" for message in ask.messages)
    return anah_answers(case, first)[num_asked - 1]


def verdict(case: Case, number: int) -> dict[str, Any]:
    label = case.labels[number]
    quotes = [case.quote] if label in ("supported", "contradicted") else []
    return {"quotes": quotes, "reason": REASON, "label": label}


def anah_answers(case: Case, number: int) -> list[str]:
    """The answers to the three questions, or to those that are asked."""
    label = case.labels[number]
    if label == "no_fact":
        return ["<No Facts>"]
    if label == "not_mentioned":
        return ["<Fact>", "<No Reference Information>"]
    final = {"supported": "<No Hallucination>", "contradicted": "<Contradictory>"}[label]
    return ["<Fact>", f"<Reference>{case.quote}</Reference>", final]


def published_calls(case: Case) -> Iterator[Call]:
    """The published order: one conversation per sentence, the sentence first, the document last."""
    question = case.task.response.prompt[-1].content
    document = "\n".join(item.text for item in case.task.documents)
    text = case.task.response.text
    for number, (start, end) in enumerate(case.task.sentences):
        shown = f"Sentence: {text[start:end]}\nQuestion: {question}"
        answers = anah_answers(case, number)
        asked = [
            f"Does this sentence of an answer hold a fact to check? Say <Fact> or <No Facts>.\n"
            f"{shown}",
            f"List what the document says about this sentence, or say <No Reference Information>.\n"
            f"{shown}\nDocument: {document}",
            "By these points, is the sentence <No Hallucination>, <Contradictory> or "
            f"<Unverifiable>?\n{shown}\nPoints: {answers[1] if len(answers) > 1 else ''}",
        ]
        messages: list[Message] = []
        for ask, answer in zip(asked, answers, strict=False):
            messages = [*messages, Message(role="user", content=ask)]
            yield messages, answer
            messages = [*messages, Message(role="assistant", content=answer)]


class PrefixCache:
    """Blocks of tokens, keyed by all tokens before them; nothing is ever evicted."""

    def __init__(self) -> None:
        self._blocks: set[int] = set()

    def serve(self, prompt: Sequence[int], whole: Sequence[int]) -> int:
        """The number of cached tokens of `prompt`; then caches `whole` (with the reply) too."""
        num_served, is_there, prefix = 0, True, 0
        usable = (len(prompt) - 1) // BLOCK  # the last token is always computed
        for number in range(len(whole) // BLOCK):
            block = tuple(whole[number * BLOCK : (number + 1) * BLOCK])
            prefix = hash((prefix, block))
            is_there = is_there and prefix in self._blocks
            num_served += BLOCK * (is_there and number < usable)
            self._blocks.add(prefix)
        return num_served


@dataclass(kw_only=True)
class Tally:
    """Calls and prompt tokens of one protocol, with one cache for all and one per response."""

    num_calls: int = 0
    num_served: int = 0
    num_served_alone: int = 0
    tokens_of: list[int] = field(default_factory=list)
    _cache: PrefixCache = field(default_factory=PrefixCache)

    def add(self, calls: Iterator[Call], encode: Encode) -> None:
        """Count the calls of one response."""
        alone = PrefixCache()
        num_tokens = 0
        for messages, reply in calls:
            prompt, said = encode(messages, reply)
            whole = prompt + said
            self.num_calls += 1
            num_tokens += len(prompt)
            self.num_served += self._cache.serve(prompt, whole)
            self.num_served_alone += alone.serve(prompt, whole)
        self.tokens_of.append(num_tokens)

    @property
    def num_tokens(self) -> int:
        """Prompt tokens of all calls."""
        return sum(self.tokens_of)

    @property
    def share_alone(self) -> float:
        """What a cache that is emptied after each response serves, as a share of prompt tokens."""
        return self.num_served_alone / self.num_tokens

    def ceiling(self, num_sentences: Sequence[int]) -> float:
        """The share that could be served if the calls of a response shared every token."""
        shared = sum(
            tokens * (count - 1) / count
            for tokens, count in zip(self.tokens_of, num_sentences, strict=True)
        )
        return shared / self.num_tokens

    def figures(self) -> dict[str, float]:
        """The printed figures: averages per response, and what the cache for all serves."""
        count = len(self.tokens_of)
        return {
            "calls_per_response": round(self.num_calls / count, 3),
            "prompt_tokens_per_response": round(self.num_tokens / count, 1),
            "uncached_prompt_tokens_per_response": round(
                (self.num_tokens - self.num_served) / count, 1
            ),
            "cache_share": round(self.num_served / self.num_tokens, 4),
        }


if __name__ == "__main__":
    sys.exit(main())
