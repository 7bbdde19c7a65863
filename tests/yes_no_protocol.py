"""A protocol that is not ours: one yes-or-no question per sentence, as a contributor adds it."""

from collections.abc import Generator
from pathlib import Path

from annotator.calls.dialogue import Answer, Ask, Dialogue
from annotator.judging.protocols.prompts import Placeholders, fill, wrap
from annotator.judging.protocols.protocol import Dialogues, JudgingProtocol
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.read_reply import ReplyFault, form_fault
from annotator.judging.protocols.repairs import ask_with_room, name_fault, repair
from annotator.judging.protocols.steps import (
    ProtocolSettings,
    as_result,
    make_decoding,
    make_seed,
    undetermined,
)
from schemas.labels import Label
from schemas.records import Verdict

LABELS = {"yes": Label.NO_HALLUCINATION, "no": Label.HALLUCINATED}
TEXTS = {
    "en": "Do the documents say this?\n{{sentence}}\nReply yes or no.",
    "zh": "文档里有没有这样说？\n{{sentence}}\n只回答 yes 或 no。",
}


def write_prompts(folder: Path) -> Path:
    """A folder with the protocol's texts."""
    folder.mkdir()
    for language, text in TEXTS.items():
        indented = text.replace("\n", "\n  ")
        (folder / f"{language}.yaml").write_text(f"yes_no: |-\n  {indented}\n", encoding="utf-8")
    return folder


def make_protocol(folder: Path) -> JudgingProtocol:
    """The object; its line in the table is the caller's."""
    return JudgingProtocol(
        name="yes_no",
        summary="one yes-or-no question per sentence",
        texts={"yes_no": Placeholders(needed={"sentence"})},
        folder=folder,
        dialogues=_dialogues,
        assume=lambda _inputs, _first, _ask: "yes",
    )


def _dialogues(inputs: ProtocolInput, settings: ProtocolSettings) -> Dialogues:
    for number in range(len(inputs.task.sentences)):
        yield number, _dialogue(inputs, number, settings)


def _dialogue(
    inputs: ProtocolInput, number: int, settings: ProtocolSettings
) -> Dialogue[list[Verdict]]:
    request = fill(
        inputs.prompts.text("yes_no"), {"sentence": wrap("sentence", inputs.sentence(number))}
    )
    ask = Ask(
        messages=inputs.opening([number], request),
        decoding=make_decoding(settings, settings.max_tokens, None),
        seed=make_seed(settings, 0),
        purpose="verdict",
    )
    found = yield from _ask_twice(ask, inputs)
    if isinstance(found, ReplyFault):
        return as_result([undetermined(found, settings, "yes_no")])
    return as_result([Verdict(label=found, judge=settings.judge, protocol="yes_no")])


def _ask_twice(ask: Ask, inputs: ProtocolInput) -> Generator[Ask, Answer, Label | ReplyFault]:
    fault = form_fault("it is neither yes nor no")
    for _ in range(2):
        reply = yield from ask_with_room(ask)
        if isinstance(reply, ReplyFault):
            return reply
        label = LABELS.get(reply.text.strip(" .\n").lower())
        if label is not None:
            return label
        ask = repair(ask, reply, name_fault(fault, inputs), inputs)
    return fault
