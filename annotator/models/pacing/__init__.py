"""How fast one server is asked: limits that nobody knows, found from what it accepts and refuses."""
