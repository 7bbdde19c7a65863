"""Readers of files, one module a format: bytes in, text and what the file says of itself out."""
