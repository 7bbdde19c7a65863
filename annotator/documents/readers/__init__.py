"""Readers of files, one module per format: from bytes to text and the metadata of the file."""
