"""The closed world of `maskdpo demo`."""
