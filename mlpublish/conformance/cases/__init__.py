"""The cases, one file per kind."""
