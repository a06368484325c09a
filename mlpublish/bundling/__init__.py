"""The room of `bundle`: converted models and other files become one reproducible zip."""
