"""The models: each a short file behind the one contract `Forecaster`."""
