"""The command line: parse, call one verb, tell the outcome."""
