"""How fast a server is asked: unknown limits, found from what it accepts."""
