"""Questions and documents in, responses with a verdict for every sentence out."""
