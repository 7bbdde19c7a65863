"""The review desk: pages on which people see what a judge said, and decide themselves."""
