"""What is written down: every document and archive that mlpublish writes or reads, with its version."""
