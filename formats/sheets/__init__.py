"""Sheets: sentences as a table that people fill in, and what they decided as reviews."""
