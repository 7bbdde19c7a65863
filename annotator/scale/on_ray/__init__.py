"""Pieces on Ray Data: the cluster, the workers, what they share, and the driver."""
