"""Core ML on disk: open, describe, normalise and run saved models, without Apple's runtime."""
