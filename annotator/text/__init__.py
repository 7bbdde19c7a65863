"""Texts in: which language they are in and where their sentences are."""
