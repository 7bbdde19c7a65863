"""What runs and services count, as data that can be added up, and as OpenMetrics text."""
