"""Splits by topic, and training questions that leak into them."""
