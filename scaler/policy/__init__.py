"""Policies in YAML: the model, inheritance, errors with file and line, and what is in force."""
