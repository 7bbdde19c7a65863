"""Documents: reading files, passages, retrieval."""
