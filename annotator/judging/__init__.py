"""Judges: from a response and documents to a verdict per sentence."""
