"""Grafana dashboards and alert rules as code, made from the metric catalogue."""
