"""One module per command that is a stage of a run."""
