"""Commands that make what the repository holds generated."""
