"""The embedded update server: delivery is static files by construction; it verifies, and signs freshness only."""
