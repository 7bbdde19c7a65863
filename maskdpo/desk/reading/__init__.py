"""One response and its documents: what is shown of them, and what a person decides about them."""
