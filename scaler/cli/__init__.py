"""The command `calltide`."""
