"""What a protocol is: a way of asking a judge model about the sentences of one response.

The rule: everything that depends on the protocol is in its object. The code that runs, estimates or
shows a protocol reads it from there and does not know protocols by name. To add one: a file with
its dialogues and its object, its texts in YAML, and a line in the table (table.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from annotator.calls.dialogue import Ask, Dialogue
from annotator.judging.protocols.prompts import SHARED_PROMPTS, Placeholders
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.judging.protocols.steps import ProtocolSettings
from schemas.records import Verdict

Dialogues = Iterator[tuple[int, Dialogue[list[Verdict]]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgingProtocol:
    """One protocol.

    name          as in `annotate.llm.protocol` and in every verdict
    summary       one line for help texts: the content of one call
    texts         its prompts by key, with the placeholders of each
    folder        where en.yaml and zh.yaml with these texts are. In the shared folder they are
                  part of every protocol's fingerprint, as the first three always were; in a
                  separate folder they are part of this protocol's fingerprint only
    dialogues     (number of the first sentence, dialogue), in sentence order; each dialogue returns
                  one verdict for each of its sentences
    assume        the text with which a judge that makes no mistake replies to a call of the
                  dialogue that begins with this sentence; it must lead to the most calls there
                  can be without a repair. Estimates and previews follow it
    upper_bound   why fewer calls than estimated may be made; '' where the estimate is exact
    shown_call    which call of a preview is printed in full
    uses_window   whether `annotate.llm.window` changes the calls
    can_ask_spans whether it can ask for the wrong words (`annotate.llm.ask_spans`): its requests
                  are made with `Prompts.request`, its verdicts read with `read_verdict`
    """

    name: str
    summary: str
    texts: Mapping[str, Placeholders] = field(hash=False)
    dialogues: Callable[[ProtocolInput, ProtocolSettings], Dialogues]
    assume: Callable[[ProtocolInput, int, Ask], str]
    folder: Path = SHARED_PROMPTS
    upper_bound: str = ""
    shown_call: int = 0
    uses_window: bool = False
    can_ask_spans: bool = False
