"""Atomic facts: the sentences of a response as single facts that a judge can label."""
