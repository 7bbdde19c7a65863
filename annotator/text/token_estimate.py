"""Placeholder until the retrieval branch lands."""


def estimate_tokens(text: str) -> int:
    """About how many tokens."""
    return len(text) // 4 + 1
