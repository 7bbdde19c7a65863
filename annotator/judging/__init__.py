"""Judges: a response and documents in, a verdict per sentence out."""
