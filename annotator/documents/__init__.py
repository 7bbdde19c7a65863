"""Documents: files to text, passages, retrieval."""
