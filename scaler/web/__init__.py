"""The page, the JSON API, health and metrics. Reads the service's state and changes nothing."""
