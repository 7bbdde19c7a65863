"""From verdicts to preference pairs: pure and deterministic, without network and plots."""
