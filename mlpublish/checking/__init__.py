"""The room of `check`: play the device once, and say in one of nine statuses what happened."""
