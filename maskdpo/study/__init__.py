"""`maskdpo study`: the paper's claims tested in closed worlds, where the truth is exact."""
