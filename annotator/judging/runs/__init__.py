"""Judging of whole files: outputs, sidecars, reports."""
