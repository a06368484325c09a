"""How reports are told: text, JSON, HTML."""
