"""Typed JSON Lines files with sidecars, YAML, safe writing."""
