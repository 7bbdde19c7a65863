"""One small module a verb: options in, a call of a room, the closing lines."""
