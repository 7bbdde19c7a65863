"""Data sets by name: folders here and repositories on the Hub, as tables of rows."""
