"""One module per command that looks, checks or exports: no stage of a run."""
