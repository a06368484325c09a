"""Benchmarks and studies that anyone can run again: how fast the evaluator is, and what the parity gate catches."""
