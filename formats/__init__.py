"""Formats other than ours, read into the records of `schemas`."""
