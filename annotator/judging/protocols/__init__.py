"""How a judge model is asked: one module per protocol."""
