"""The closed worlds of the study: people, texts, exact truth, and the base model."""
