"""Records, span invariants, label policy and scores, typed files, errors.

The package that all others import; it imports no other package of the project and nothing heavy.
"""
