"""Text rules that several packages share."""
