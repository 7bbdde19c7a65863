"""Shows a domain's prompts, token counts and sentences for a dry run, before anything is spent.

The rule: the messages are those that the protocols themselves build, so what is printed is what
`annotate` sends. Nothing here needs a model: the replies are those that each protocol assumes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from annotator.calls.dialogue import Ask, Dialogue
from annotator.calls.usage import estimate_prompt
from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.domain import JUDGED_LABELS, Domain, DomainExample, render_guidance
from annotator.judging.evidence.quotes import QuoteFinder
from annotator.judging.excerpts import ExcerptChooser
from annotator.judging.judge import JudgeTask
from annotator.judging.llm_config import LlmConfig
from annotator.judging.protocols.load_prompts import load_prompts
from annotator.judging.protocols.protocol import JudgingProtocol
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.steps import ProtocolSettings
from annotator.judging.protocols.table import PROTOCOLS
from annotator.judging.tasks import split_response
from annotator.models.backend import Reply
from annotator.text.token_estimate import estimate_tokens
from schemas.labels import Label
from schemas.records import Document, Message, Response, Verdict
from schemas.text.language import resolve_language
from schemas.text.language_codes import AUTO

NUM_TRIED = 3
_QUESTIONS = {"en": "What do the documents say?", "zh": "文档里说了什么？"}
# Of the examples that `domain new` writes.
STARTER_DOCUMENTS = (
    "The Karsted lighthouse was built in 1871 and is 34 metres high.",
    "青川灯塔建于1871年，高34米。",
)
# Tokens; guidance is part of every call, and more than this gives a note.
_LONG_GUIDANCE_TOKENS = 1_500

_BUILT_IN = {
    "en": (
        ("The bridge of Karsted opened in 2019 and is three kilometres long.",
         "The bridge opened in 2019.", Label.NO_HALLUCINATION),
        ("The bridge of Karsted opened in 2019 and is three kilometres long.",
         "It is five kilometres long.", Label.CONTRADICTORY),
        ("The bridge of Karsted opened in 2019 and is three kilometres long.",
         "It cost nine million crowns.", Label.UNVERIFIABLE),
    ),
    "zh": (
        ("青川大桥于2019年通车，全长三公里。", "大桥于2019年通车。", Label.NO_HALLUCINATION),
        ("青川大桥于2019年通车，全长三公里。", "大桥全长五公里。", Label.CONTRADICTORY),
        ("青川大桥于2019年通车，全长三公里。", "大桥造价九百万元。", Label.UNVERIFIABLE),
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocolPreview:
    """The calls of one protocol for a response.

    calls           the largest number of calls without a repair, in order; messages as sent
    shown           the one of `calls` that is printed in full
    num_tokens      estimated prompt tokens of all of them
    is_upper_bound  whether fewer calls may be made
    """

    protocol: str
    calls: Sequence[Ask]
    shown: Ask
    num_tokens: int
    is_upper_bound: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedSentence:
    """A sentence of a dry run with its documents, and the owner's label, if any."""

    task: JudgeTask
    expected: Label | None = None

    @property
    def sentence(self) -> str:
        """The first sentence of the task, which is the one that is tried."""
        start, end = self.task.sentences[0]
        return self.task.response.text[start:end]


def choose_examples(domain: Domain) -> list[DomainExample]:
    """Three of the domain's examples, with different labels where possible; then built-in ones."""
    first_of_each = [
        next((example for example in domain.examples if example.label is label), None)
        for label in JUDGED_LABELS
    ]
    chosen = [example for example in first_of_each if example is not None][:NUM_TRIED]
    chosen += [example for example in domain.examples if example not in chosen]
    built_in = [
        DomainExample(document=document, sentence=sentence, label=label, reason="-")
        for document, sentence, label in _BUILT_IN[domain.wording]
    ]
    return [*chosen, *built_in][:NUM_TRIED]


def make_sample(domain: Domain, config: AnnotateConfig) -> JudgeTask:
    """One response made of the chosen examples' sentences, with their documents, split."""
    examples = choose_examples(domain)
    gap = "" if domain.wording == "zh" else " "
    response = _make_response(domain, gap.join(example.sentence for example in examples), "sample")
    texts = dict.fromkeys(example.document for example in examples)
    documents = [Document(id=f"d{n}", text=text) for n, text in enumerate(texts, start=1)]
    return JudgeTask(
        response=response, sentences=split_response(response, config), documents=documents
    )


def make_trials(domain: Domain) -> list[TriedSentence]:
    """The chosen examples, each as a separate task, compared only with its own document."""
    return [
        TriedSentence(
            task=JudgeTask(
                response=_make_response(domain, example.sentence, f"example-{number}"),
                sentences=[(0, len(example.sentence))],
                documents=[Document(id=f"d{number}", text=example.document)],
            ),
            expected=example.label,
        )
        for number, example in enumerate(choose_examples(domain), start=1)
    ]


def first_sentences(tasks: Sequence[JudgeTask]) -> list[TriedSentence]:
    """The first three sentences of tasks, each as a separate task within its whole response."""
    return [
        TriedSentence(
            task=JudgeTask(response=task.response, sentences=[offsets], documents=task.documents)
        )
        for task in tasks
        for offsets in task.sentences
    ][:NUM_TRIED]


def without_tried(domain: Domain) -> Domain:
    """The domain without the examples of the dry run: a judge must not read their labels."""
    tried = choose_examples(domain)
    kept = tuple(example for example in domain.examples if example not in tried)
    return domain.model_copy(update={"examples": kept})


def preview_protocols(
    domain: Domain, config: AnnotateConfig, task: JudgeTask
) -> list[ProtocolPreview]:
    """The calls of each protocol about `task`, with the judge's settings in `config`.

    `config` has the domain's defaults already (`with_domain`); one of the task's documents has
    text. Raises ConfigError for an invalid folder of prompts.
    """
    chosen = ExcerptChooser(config.retrieval, splitter=config.text.splitter).choose(task)
    if chosen is None:
        raise ValueError(f"the documents of {task.response.id!r} are blank: no call is made")
    llm = config.llm or LlmConfig(model="judge", prompt_language=domain.prompt_language)
    language: str = llm.prompt_language
    if language == AUTO:
        language = task.response.language or resolve_language(AUTO, task.response.text)
    settings = ProtocolSettings(
        judge=llm.model, max_tokens=llm.max_tokens, window=llm.window, evidence="keep"
    )
    return [
        _preview(
            protocol,
            ProtocolInput(
                task=task,
                prompts=load_prompts(
                    language, llm.prompts, protocol=protocol, ask_spans=llm.ask_spans
                ),
                excerpts=chosen.shared,
                own=chosen.own,
                finder=QuoteFinder(),
                guidance=render_guidance(domain),
            ),
            settings,
        )
        for protocol in PROTOCOLS.values()
    ]


def find_doubts(domain: Domain, config: AnnotateConfig) -> list[str]:
    """What is allowed in a domain but probably not intended, one sentence each."""
    doubts = []
    given = {example.label for example in domain.examples}
    missing = [label.value for label in JUDGED_LABELS if label not in given]
    if missing:
        doubts.append(f"no example is labelled {' or '.join(missing)}; give one of each label")
    for number, example in enumerate(domain.examples, start=1):
        response = _make_response(domain, example.sentence, "example")
        count = len(split_response(response, config))
        if count != 1:
            doubts.append(
                f"example {number}: the splitter divides its sentence into {count} sentences; give "
                "one, or another text.splitter"
            )
    num_tokens = estimate_tokens(render_guidance(domain))
    if num_tokens > _LONG_GUIDANCE_TOKENS:
        doubts.append(
            f"the guidance has about {num_tokens} tokens and is part of every call; shorten it, or "
            "prefer a server with a prefix cache"
        )
    if any(example.document in STARTER_DOCUMENTS for example in domain.examples):
        doubts.append("the examples are the invented ones of 'domain new'; replace them")
    return doubts


def describe_verdict(verdict: Verdict, task: JudgeTask) -> tuple[str, list[str], str]:
    """(label with its reason, quotes as the documents have them, rationale)."""
    label = verdict.label.value + (f" ({verdict.reason})" if verdict.reason else "")
    texts = {document.id: document.text for document in task.documents}
    quotes = [texts[item.document_id][item.start : item.end] for item in verdict.evidence]
    return label, quotes, verdict.rationale


def _make_response(domain: Domain, text: str, name: str) -> Response:
    question = Message(role="user", content=_QUESTIONS[domain.wording])
    language = "" if domain.language == AUTO else domain.language
    return Response(
        id=name, question_id="question", prompt=[question], text=text, language=language
    )


def _preview(
    protocol: JudgingProtocol, inputs: ProtocolInput, settings: ProtocolSettings
) -> ProtocolPreview:
    """The calls of all dialogues, followed with the replies that the protocol assumes."""
    calls: list[Ask] = []
    for first, dialogue in protocol.dialogues(inputs, settings):
        calls += _walk(dialogue, partial(protocol.assume, inputs, first))
    return ProtocolPreview(
        protocol=protocol.name,
        calls=calls,
        shown=calls[protocol.shown_call],
        num_tokens=sum(estimate_prompt(ask.messages) for ask in calls),
        is_upper_bound=bool(protocol.upper_bound),
    )


def _walk(dialogue: Dialogue[list[Verdict]], assume: Callable[[Ask], str]) -> list[Ask]:
    """The calls of a dialogue until it ends or asks for a repair.

    A repair is asked for where a sample's sentence is an example of the guidance, too: its echo is
    then treated as a copy of the prompt.
    """
    asked: list[Ask] = []
    try:
        ask = next(dialogue)
        while ask.purpose != "repair":
            asked.append(ask)
            ask = dialogue.send(Reply(text=assume(ask), finish_reason="stop"))
    except StopIteration:
        return asked
    dialogue.close()
    return asked
