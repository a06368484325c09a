"""The room of convert: sources, writers and the parity gate."""
