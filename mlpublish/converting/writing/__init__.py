"""A graph becomes a Core ML file: which stages it needs, and how each is written. Nothing of the library that trained it."""
