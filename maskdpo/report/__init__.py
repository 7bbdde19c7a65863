"""The room that draws."""
