"""The front door: the command line, the run config, the demo, evaluation and its report."""
