"""The room of `publish`: a release reaches an endpoint."""
