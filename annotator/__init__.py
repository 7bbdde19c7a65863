"""From questions and documents to responses with a verdict for every sentence."""
