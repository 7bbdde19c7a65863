"""Makes the judge that a config names."""

from __future__ import annotations

from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import Judge
from annotator.judging.lexical import LexicalJudge


def make_judge(config: AnnotateConfig) -> Judge:
    """The judge of `config.judge`, built from that judge's own section."""
    match config.judge:
        case "lexical":
            return LexicalJudge(config.lexical)
