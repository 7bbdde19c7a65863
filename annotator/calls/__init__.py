"""Cached model calls: the store, dialogues, limits, usage, estimates."""
