"""The street's way back: what became of a model is noted in the registry that it came from."""
