"""Where bytes are kept: blobs in a folder, and an index in SQL."""
