"""FActScore (arXiv 2305.14251): the share of a response's atomic facts that documents support."""
