"""The demo: simulated tenants whose calls make eight weeks of history and then go on live."""
