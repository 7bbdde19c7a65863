"""Model backends: messages in, replies out."""
