"""Inspect: say what a model or a bundle is, and what of it cannot be run here; refuses nothing that can be described."""
