"""Where load of the past is read: Prometheus, Loki and files, behind one small protocol."""
