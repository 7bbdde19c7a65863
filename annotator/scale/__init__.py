"""Runs past one process: parts of the input, Ray Data, and joining what the parts made."""
