"""All protocols. All code that lists, checks or uses a protocol's name reads this table."""

from __future__ import annotations

from annotator.judging.protocols.anah import ANAH
from annotator.judging.protocols.protocol import JudgingProtocol
from annotator.judging.protocols.response import RESPONSE
from annotator.judging.protocols.sentence import SENTENCE

DEFAULT = RESPONSE.name
PROTOCOLS: dict[str, JudgingProtocol] = {
    RESPONSE.name: RESPONSE,
    SENTENCE.name: SENTENCE,
    ANAH.name: ANAH,
}
