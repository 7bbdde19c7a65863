"""How dialogues are run: over servers call by call, over local models in rounds."""
