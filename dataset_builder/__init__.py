"""From verdicts to preference pairs: pure and deterministic, no network, no drawing."""
