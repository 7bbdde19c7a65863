"""How a judge model is called: one module per protocol."""
