"""Boosted trees as graphs, read from the public formats of the libraries that grew them."""
