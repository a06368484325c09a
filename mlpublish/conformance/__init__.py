"""For those who write their own client: cases with the answers that are expected, and the runner that asks any client.

The protocol is written down in docs/write-a-client.md. Every case is made here from fixed keys and dates, so its bytes are the
same on every machine; ``tests/wire/vectors`` holds them as files.
"""
