"""How fast a server is asked: limits that nobody knows, found from what it accepts."""
