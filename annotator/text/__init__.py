"""Texts: their language and their sentences."""
