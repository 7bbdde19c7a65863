"""The annotation service: single responses and durable jobs over HTTP, and nothing else."""
