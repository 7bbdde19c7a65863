"""Judges, and the stages that use them: annotate and agreement."""
