"""Classic Core ML specifications: one module per family of stages, and what runs them in a row, networks among them."""
