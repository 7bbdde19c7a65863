"""Sentences of a text as code-point offsets into the untouched text."""

from __future__ import annotations

from schemas.spans import Offsets, trim


def split_sentences(text: str, *, language: str, splitter: str = "sentencex") -> list[Offsets]:
    """Sorted, disjoint, trimmed spans that cover every non-space character; [] for blank text."""
    import sentencex

    cuts = {0, len(text)}
    cuts.update(
        boundary["end_index"] for boundary in sentencex.get_sentence_boundaries(language, text)
    )
    edges = sorted(cut for cut in cuts if 0 <= cut <= len(text))
    spans = (trim(text, *edge) for edge in zip(edges, edges[1:], strict=False))
    return [span for span in spans if span is not None]
