"""A judge's verdicts compared with people's labels."""
