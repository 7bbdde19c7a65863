"""Model backends: from messages to replies."""
