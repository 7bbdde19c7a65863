"""Reports, before anything is paid, a stated language that the responses contradict.

The rule: one note with counts, from the first rows; only sure contradictions count.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from schemas.files.jsonl import Row, scan_rows
from schemas.records import Response
from schemas.text.language import is_in_another_language
from schemas.text.language_codes import AUTO

MAX_ROWS = 500
_SHOWN = 3


def language_notes(config: AnnotateConfig, responses: Path) -> list[str]:
    """A warning where responses are surely not in the language of the settings or of their row."""
    language = with_domain(config).text.language
    rows = [
        item.record
        for item in islice(scan_rows(responses, Response), MAX_ROWS)
        if isinstance(item, Row)
    ]
    stated = [row for row in rows if language != AUTO or row.language]
    wrong = [
        row.id
        for row in stated
        if is_in_another_language(row.text, row.language if language == AUTO else language)
    ]
    if not wrong:
        return []
    by = "their rows state" if language == AUTO else f"is set ({language!r})"
    shown = ", ".join(wrong[:_SHOWN]) + (", ..." if len(wrong) > _SHOWN else "")
    return [
        f"warning: {len(wrong):,} of {len(stated):,} responses are clearly not in the language "
        f"that {by}: {shown}; correct it, or use --set annotate.text.language=auto"
    ]
