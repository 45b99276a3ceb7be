"""The catalogue of every metric that calltide shows: name, type, unit, help, labels."""
