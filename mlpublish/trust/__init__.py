"""Keys, pins and offline verification."""
