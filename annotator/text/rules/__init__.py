"""Rules for sentence ends, one module per language, each rule with its reason."""
