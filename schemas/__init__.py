"""Records, span invariants, label policy and scores, typed files, errors.

The room everyone imports; it imports nothing of ours and nothing heavy.
"""
