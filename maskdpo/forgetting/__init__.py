"""Removal of rows, calls and names that must be forgotten."""
