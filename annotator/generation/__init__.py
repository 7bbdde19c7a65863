"""Text generation: messages in, replies out; and sampling a policy with it."""
