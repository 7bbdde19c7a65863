"""The lexical judge: a baseline that needs no model and no network."""

from annotator.judging.lexical.judge import LexicalJudge

__all__ = ["LexicalJudge"]
