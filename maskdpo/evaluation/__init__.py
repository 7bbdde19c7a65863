"""Comparison of models: same sampling, same judge, scores with intervals."""
