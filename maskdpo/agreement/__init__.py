"""`agreement`: judges measured against people's labels, compared, listed and drawn."""
