"""Preference pairs side by side, and which of them people drop."""
