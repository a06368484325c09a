"""One TUF repository per app: its head, its edits, its commits."""
