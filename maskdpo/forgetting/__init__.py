"""Removal of people and responses from a run: rows, calls and names."""
