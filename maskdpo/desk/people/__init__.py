"""The people who review: who reads what, how quickly, and how well they agree."""
