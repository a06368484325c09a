"""Fitted estimators as graphs, read from their public attributes: one module per family, and the table of all of them."""
